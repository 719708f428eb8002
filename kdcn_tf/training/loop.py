"""The training loop: the same for GCN-TransE and K-DCN, inline and on a cluster.

The unit of work is one file per closure. The worker reads the file and loops over its batches inside
one `tf.function`, so a step costs no round trip to the chief, and stragglers balance by themselves.
"""

import collections
import logging
import time
from collections.abc import Callable, Mapping

import numpy as np

from kdcn_tf.data.failures import check_rows
from kdcn_tf.keys import stable_hash
from kdcn_tf.options import readable
from kdcn_tf.training.checkpoints import Checkpoints
from kdcn_tf.training.cluster import Scheduler
from kdcn_tf.training.ledger import Ledger

log = logging.getLogger(__name__)

IN_FLIGHT_PER_WORKER = 2
"""Closures scheduled ahead: one running, one waiting, so that no worker idles and staleness is bounded."""

REPORT_SECONDS = 10.0

FileResult = tuple[float, float]
"""Sum of the loss over the rows of a file, and the number of rows."""


def run_epochs(
    *,
    scheduler: Scheduler,
    ledger: Ledger,
    checkpoints: Checkpoints,
    train_file: Callable,
    path_of: Callable[[str], str],
    rows_of: Mapping[str, int],
    end_of_epoch: Callable[[int], dict],
    should_stop: Callable[[list[dict]], bool],
    seed: int,
    unit: str,
    checkpoint_every: int = 1,
) -> None:
    """Trains until the ledger is finished.

    Args:
        scheduler: runs the closures.
        ledger: what is left to do.
        checkpoints: saved every `checkpoint_every` epochs and at the end.
        train_file: closure (path, seed int32 [2]) -> (sum of losses, rows).
        path_of: file name -> path that workers can open.
        rows_of: file name -> the rows that its manifest says it has.
        end_of_epoch: epoch -> figures for the ledger's history, such as validation metrics.
        should_stop: whether the history says that more epochs won't help.
        seed: of the order of rows inside each file.
        unit: what a row is, for the log ("triples").
        checkpoint_every: epochs.

    Raises:
        DataError: a file is corrupt, or has other rows than its manifest says.
        UnavailableError: the cluster is gone.
    """
    while not ledger.finished:
        epoch = ledger.epoch
        progress = _Progress(epoch, ledger.epochs, len(ledger.todo()), unit)
        waiting: collections.deque = collections.deque()
        for name in ledger.todo():
            file_seed = np.array([epoch, stable_hash(name, str(seed)) & 0x7FFFFFFF], np.int32)
            waiting.append((name, scheduler.schedule(train_file, path_of(name), file_seed)))
            if len(waiting) >= IN_FLIGHT_PER_WORKER * scheduler.num_workers:
                progress.add(*_collect(waiting, ledger, path_of, rows_of))
        while waiting:
            progress.add(*_collect(waiting, ledger, path_of, rows_of))
        scheduler.join()
        figures = {"epoch": epoch, **progress.figures(), **end_of_epoch(epoch)}
        log.info("epoch %d/%d: %s", epoch + 1, ledger.epochs, readable(_numbers(figures)))
        ledger.end_epoch(figures)
        if should_stop(ledger.history):
            ledger.stop()
        if ledger.finished or ledger.epoch % checkpoint_every == 0:
            checkpoints.save()


def _collect(
    waiting: collections.deque, ledger: Ledger, path_of: Callable[[str], str], rows_of: Mapping[str, int]
) -> FileResult:
    name, pending = waiting.popleft()
    loss, rows = pending.fetch()
    check_rows(path_of(name), rows, rows_of[name])
    ledger.mark_done(name)
    return float(loss), float(rows)


def _numbers(figures: dict) -> dict:
    return {k: v for k, v in figures.items() if k != "epoch" and not isinstance(v, dict)}


class _Progress:
    """Loss, speed and expected time of one epoch."""

    def __init__(self, epoch: int, epochs: int, num_files: int, unit: str):
        self._epoch, self._epochs, self._num_files, self._unit = epoch, epochs, num_files, unit
        self._loss = self._rows = 0.0
        self._files = 0
        self._start = self._reported = time.monotonic()

    def add(self, loss: float, rows: float) -> None:
        self._loss += loss
        self._rows += rows
        self._files += 1
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS and self._files < self._num_files:
            self._reported = now
            left = (now - self._start) / self._files * (self._num_files - self._files)
            log.info(
                "epoch %d/%d: %d/%d files, loss %.4f, %s %s/s, epoch ends in %.0f s",
                self._epoch + 1, self._epochs, self._files, self._num_files,
                self._loss / max(self._rows, 1.0), f"{self._rate():,.0f}", self._unit, left,
            )  # fmt: skip

    def _rate(self) -> float:
        return self._rows / max(time.monotonic() - self._start, 1e-9)

    def figures(self) -> dict:
        return {"loss": self._loss / max(self._rows, 1.0), f"{self._unit}_per_s": self._rate()}
