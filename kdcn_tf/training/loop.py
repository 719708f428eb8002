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
from kdcn_tf.training.watching import COUNTS, ROWS, STEPS, CollapseWatch

log = logging.getLogger(__name__)

IN_FLIGHT_PER_WORKER = 2
"""Closures scheduled ahead: one running, one waiting, so that no worker idles and staleness is bounded."""

REPORT_SECONDS = 10.0

FileSums = dict[str, float]
"""What a closure returns for one file: the number of "rows" and of "steps", sums over its steps of what they
count (`watching.COUNTS`), and sums over its rows of everything else, such as "loss"."""


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
        train_file: closure (path, seed int32 [2]) -> sums, see `FileSums`.
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
    watch = CollapseWatch()
    while not ledger.finished:
        epoch = ledger.epoch
        progress = _Progress(epoch, ledger.epochs, len(ledger.todo()), unit)
        waiting: collections.deque = collections.deque()
        for name in ledger.todo():
            file_seed = np.array([epoch, stable_hash(name, str(seed)) & 0x7FFFFFFF], np.int32)
            waiting.append((name, scheduler.schedule(train_file, path_of(name), file_seed)))
            if len(waiting) >= IN_FLIGHT_PER_WORKER * scheduler.num_workers:
                progress.add(_collect(waiting, ledger, path_of, rows_of))
        while waiting:
            progress.add(_collect(waiting, ledger, path_of, rows_of))
        scheduler.join()
        means = progress.figures()
        watch.see(means)
        figures = {"epoch": epoch, **means, **end_of_epoch(epoch)}
        log.info("epoch %d/%d: %s", epoch + 1, ledger.epochs, readable(_numbers(figures)))
        ledger.end_epoch(figures)
        if should_stop(ledger.history):
            ledger.stop()
        if ledger.finished or ledger.epoch % checkpoint_every == 0:
            checkpoints.save()


def _collect(
    waiting: collections.deque, ledger: Ledger, path_of: Callable[[str], str], rows_of: Mapping[str, int]
) -> FileSums:
    name, pending = waiting.popleft()
    sums = {key: float(value) for key, value in pending.fetch().items()}
    check_rows(path_of(name), sums[ROWS], rows_of[name])
    ledger.mark_done(name)
    return sums


def _numbers(figures: dict) -> dict:
    return {k: v for k, v in figures.items() if k != "epoch" and not isinstance(v, dict)}


class _Progress:
    """Loss, speed and expected time of one epoch."""

    def __init__(self, epoch: int, epochs: int, num_files: int, unit: str):
        self._epoch, self._epochs, self._num_files, self._unit = epoch, epochs, num_files, unit
        self._sums: collections.Counter[str] = collections.Counter()
        self._files = 0
        self._start = self._reported = time.monotonic()

    def add(self, sums: FileSums) -> None:
        self._sums.update(sums)
        self._files += 1
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS and self._files < self._num_files:
            self._reported = now
            left = (now - self._start) / self._files * (self._num_files - self._files)
            log.info(
                "epoch %d/%d: %d/%d files, loss %.4f, %s %s/s, epoch ends in %.0f s",
                self._epoch + 1, self._epochs, self._files, self._num_files,
                self._means()["loss"], f"{self._rate():,.0f}", self._unit, left,
            )  # fmt: skip

    def _rate(self) -> float:
        return self._sums[ROWS] / max(time.monotonic() - self._start, 1e-9)

    def _means(self) -> dict[str, float]:
        names = [name for name in self._sums if name not in (ROWS, STEPS, *COUNTS)]
        return {name: self._sums[name] / max(self._sums[ROWS], 1.0) for name in names}

    def figures(self) -> dict:
        counted = [name for name in COUNTS if name in self._sums]
        per_step = {f"{name}_per_step": self._sums[name] / max(self._sums[STEPS], 1.0) for name in counted}
        return {**self._means(), f"{self._unit}_per_s": self._rate(), **per_step}
