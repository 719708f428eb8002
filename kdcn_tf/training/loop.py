"""The training loop: the same for GCN-TransE and K-DCN, inline and on a cluster.

The unit of work is one file per closure. The worker reads the file and loops over its batches inside
one `tf.function`, so a step costs no round trip to the chief, and stragglers balance by themselves.
"""

import collections
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from kdcn_tf.data.failures import check_rows
from kdcn_tf.keys import stable_hash
from kdcn_tf.manifest import DataFile
from kdcn_tf.options import readable
from kdcn_tf.training.checkpoints import Checkpoints
from kdcn_tf.training.cluster import Scheduler
from kdcn_tf.training.ledger import Ledger
from kdcn_tf.training.reporting import FileSums, Reporter, StepBytes
from kdcn_tf.training.watching import ROWS, CollapseWatch

log = logging.getLogger(__name__)

IN_FLIGHT_PER_WORKER = 2
"""Closures scheduled ahead: one running, one waiting, so that no worker idles and staleness is bounded."""


def steps_of(files: Iterable[DataFile], batch_size: int) -> int:
    """Steps of an epoch: each file begins a new batch, so its last one may be smaller."""
    return sum(-(-file.count // batch_size) for file in files)


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
    step_bytes: StepBytes | None = None,
    tensorboard: str | None = None,
) -> None:
    """Trains until the ledger is finished.

    Args:
        scheduler: runs the closures.
        ledger: what is left to do.
        checkpoints: saved every `checkpoint_every` epochs and at the end.
        train_file: closure (path, seed int32 [2]) -> sums, see `reporting.FileSums`.
        path_of: file name -> path that workers can open.
        rows_of: file name -> the rows that its manifest says it has.
        end_of_epoch: epoch -> figures for the ledger's history, such as validation metrics.
        should_stop: whether the history says that more epochs won't help.
        seed: of the order of rows inside each file.
        unit: what a row is, for the log ("triples").
        checkpoint_every: epochs.
        step_bytes: what a step moves between worker and servers, for the report.
        tensorboard: folder for scalars, or None.

    Raises:
        DataError: a file is corrupt, or has other rows than its manifest says.
        UnavailableError: the cluster is gone.
    """
    watch = CollapseWatch()
    epoch_rows = sum(rows_of.values())
    with Reporter(
        epochs=ledger.epochs, unit=unit, epoch_rows=epoch_rows, step_bytes=step_bytes, tensorboard=tensorboard
    ) as reporter:
        while not ledger.finished:
            epoch = ledger.epoch
            reporter.begin(epoch, len(ledger.todo()))
            for sums in _trained(scheduler, ledger, train_file, path_of, rows_of, seed):
                reporter.add(sums)
            means = reporter.end()
            watch.see(means)
            figures = {"epoch": epoch, **means, **end_of_epoch(epoch)}
            log.info("epoch %d/%d: %s", epoch + 1, ledger.epochs, readable(_numbers(figures)))
            reporter.scalars(figures)
            ledger.end_epoch(figures)
            if should_stop(ledger.history):
                ledger.stop()
            if ledger.finished or ledger.epoch % checkpoint_every == 0:
                checkpoints.save()


def _trained(
    scheduler: Scheduler,
    ledger: Ledger,
    train_file: Callable,
    path_of: Callable[[str], str],
    rows_of: Mapping[str, int],
    seed: int,
) -> Iterator[FileSums]:
    """Trains on the files that an epoch has left; yields the sums of each as it is done."""
    waiting: collections.deque = collections.deque()
    for name in ledger.todo():
        file_seed = np.array([ledger.epoch, stable_hash(name, str(seed)) & 0x7FFFFFFF], np.int32)
        waiting.append((name, scheduler.schedule(train_file, path_of(name), file_seed)))
        if len(waiting) >= IN_FLIGHT_PER_WORKER * scheduler.num_workers:
            yield _collect(waiting, ledger, path_of, rows_of)
    while waiting:
        yield _collect(waiting, ledger, path_of, rows_of)
    scheduler.join()


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
