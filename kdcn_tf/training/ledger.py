"""The ledger: which (epoch, file) pieces of training work are done.

Promise: every file is trained on at least once per epoch; exactly once when nothing fails. The ledger
is saved in the same checkpoint as the weights, so the two can't disagree.
"""

import json
import random
from collections.abc import Sequence

import tensorflow as tf

from kdcn_tf.errors import DataError


class Ledger(tf.train.experimental.PythonState):
    """Progress of one run.

    Args:
        files: names of the training files, in the manifest's order.
        epochs: passes over them.
        seed: decides the order of files in each epoch.

    Raises:
        DataError: there are no files.
    """

    def __init__(self, files: Sequence[str], epochs: int, seed: int):
        if not files:
            raise DataError("the dataset has no training files")
        self._files, self.epochs, self._seed = list(files), epochs, seed
        self.epoch = 0
        self._done: set[str] = set()
        self.history: list[dict] = []

    @property
    def finished(self) -> bool:
        return self.epoch >= self.epochs

    def todo(self) -> list[str]:
        """Files of the current epoch that aren't done, in the order that (seed, epoch) decides."""
        order = list(self._files)
        random.Random(f"{self._seed}/{self.epoch}").shuffle(order)
        return [name for name in order if name not in self._done]

    def mark_done(self, file: str) -> None:
        self._done.add(file)

    def end_epoch(self, figures: dict) -> None:
        """Closes the epoch; `figures` (loss, metrics) go to its history."""
        if len(self._done) != len(self._files):
            raise RuntimeError(f"epoch {self.epoch}: {len(self._done)} of {len(self._files)} files done")
        self.history.append(figures)
        self._done.clear()
        self.epoch += 1

    def stop(self) -> None:
        """Ends training before the last epoch."""
        self.epochs = self.epoch

    def serialize(self) -> str:
        body = {
            "files": self._files, "epochs": self.epochs, "seed": self._seed,
            "epoch": self.epoch, "done": sorted(self._done), "history": self.history,
        }  # fmt: skip
        return json.dumps(body)

    def deserialize(self, string_value: str | bytes) -> None:
        body = json.loads(string_value)
        if body["files"] != self._files:
            raise DataError("checkpoint: it was made from other training files; name a fresh --output")
        self.epochs, self._seed, self.epoch = body["epochs"], body["seed"], body["epoch"]
        self._done, self.history = set(body["done"]), body["history"]
