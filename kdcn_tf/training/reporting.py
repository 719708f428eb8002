"""How training goes, for people: a bar on a terminal, else a log line now and then, and TensorBoard scalars."""

import collections
import logging
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kdcn_tf.training.watching import COUNTS, ROWS, STEPS

log = logging.getLogger(__name__)

REPORT_SECONDS = 10.0
"""Between two log lines, and between two points of TensorBoard, within an epoch."""

FileSums = dict[str, float]
"""What a closure returns for one file: the number of "rows" and of "steps", sums over its steps of what they
count (`watching.COUNTS`), and sums over its rows of everything else, such as "loss"."""

StepBytes = Callable[[Mapping[str, float]], float]
"""What a step counts on average (`watching.COUNTS`) -> bytes that it moves between worker and servers."""

BYTES = "bytes_per_step"


class Meter:
    """Figures of the files done since it was made.

    Args:
        unit: what a row is ("triples").
        step_bytes: bytes of a step, where that is known.
    """

    def __init__(self, unit: str, step_bytes: StepBytes | None = None):
        self._unit, self._step_bytes = unit, step_bytes
        self._sums: collections.Counter[str] = collections.Counter()
        self._start = time.monotonic()
        self.files = 0

    def add(self, sums: FileSums) -> None:
        self._sums.update(sums)
        self.files += 1

    @property
    def rows(self) -> float:
        return self._sums[ROWS]

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self._start, 1e-9)

    def figures(self) -> dict[str, float]:
        """Means per row, rows per second, and what a step counts and moves."""
        means = {n: s / max(self.rows, 1.0) for n, s in self._sums.items() if n not in (ROWS, STEPS, *COUNTS)}
        counts = {n: self._sums[n] / max(self._sums[STEPS], 1.0) for n in COUNTS if n in self._sums}
        moved = {BYTES: self._step_bytes(counts)} if self._step_bytes and counts else {}
        per_step = {f"{name}_per_step": count for name, count in counts.items()}
        return {**means, f"{self._unit}_per_s": self.rows / self.seconds, **per_step, **moved}


class Reporter:
    """Reports one epoch after the other; a context, so that the terminal is left as it was.

    Args:
        epochs: of the run.
        unit: what a row is, for people ("triples").
        epoch_rows: rows of a whole epoch.
        step_bytes: see `Meter`.
        tensorboard: folder for scalars, or None. They lie over the number of rows seen since training began, so that a
            resumed run goes on where the first one stopped.
        console: where the bar goes; by default stderr, if that is a terminal.
    """

    def __init__(
        self,
        *,
        epochs: int,
        unit: str,
        epoch_rows: int,
        step_bytes: StepBytes | None = None,
        tensorboard: str | None = None,
        console: Console | None = None,
    ):
        self._epochs, self._unit, self._epoch_rows, self._step_bytes = epochs, unit, epoch_rows, step_bytes
        self._scalars = tf.summary.create_file_writer(tensorboard) if tensorboard else None
        self._console = console or Console(stderr=True)
        self._bar: _Bar | None = None

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_bar()
        if self._scalars:
            self._scalars.close()

    def begin(self, epoch: int, num_files: int) -> None:
        """Starts an epoch of which `num_files` are to be done."""
        self._epoch, self._num_files = epoch, num_files
        self._meter, self._recent = self._new_meter(), self._new_meter()
        if self._console.is_terminal:
            self._bar = _Bar(self._console, f"epoch {epoch + 1}/{self._epochs}", num_files)

    def _new_meter(self) -> Meter:
        return Meter(self._unit, self._step_bytes)

    def add(self, sums: FileSums) -> None:
        """Takes in a finished file."""
        self._meter.add(sums)
        self._recent.add(sums)
        if self._bar:
            self._bar.show(self._meter.files, self._line())
        if self._recent.seconds >= REPORT_SECONDS and self._meter.files < self._num_files:
            if not self._bar:
                place = f"{self._meter.files}/{self._num_files} files"
                log.info("epoch %d/%d: %s, %s", self._epoch + 1, self._epochs, place, self._line())
            self._write("within_epoch", self._recent.figures())
            self._recent = self._new_meter()

    def _line(self) -> str:
        figures, done = self._meter.figures(), self._meter.files
        left = self._meter.seconds / done * (self._num_files - done)
        return (
            f"loss {figures['loss']:.4f}, {figures[f'{self._unit}_per_s']:,.0f} {self._unit}/s{_traffic(figures)}, "
            f"epoch ends in {left:.0f} s"
        )

    def end(self) -> dict[str, float]:
        """Ends the epoch; returns its figures."""
        self._stop_bar()
        return self._meter.figures()

    def scalars(self, figures: Mapping) -> None:
        """Writes the figures of the epoch that ended, also those that weren't known at its end."""
        self._write("epoch", figures)

    def _write(self, group: str, figures: Mapping) -> None:
        if not self._scalars:
            return
        step = int(self._epoch * self._epoch_rows + self._meter.rows)
        with self._scalars.as_default():
            for name, value in _flat(figures).items():
                tf.summary.scalar(f"{group}/{name}", value, step=step)
        self._scalars.flush()

    def _stop_bar(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None


def _traffic(figures: Mapping[str, float]) -> str:
    if BYTES in figures:
        return f", {figures[BYTES]:,.0f} bytes/step"
    rows = sum(figures.get(f"{name}_per_step", 0.0) for name in COUNTS)
    return f", {rows:,.0f} rows/step" if rows else ""


def _flat(figures: Mapping) -> dict[str, float]:
    """The numbers among figures, those of a group as group/name; what is undefined is left out."""
    found: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= {f"{name}/{inner}": number for inner, number in _flat(value).items()}
        elif isinstance(value, (int, float)) and name != "epoch":
            found[name] = float(value)
    return found


class _Bar:
    """A bar of files below the log, which goes on above it."""

    def __init__(self, console: Console, title: str, num_files: int):
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.completed}/{task.total} files"),
            TextColumn("{task.fields[line]}"), console=console, transient=True,
        )  # fmt: skip
        # Handlers hold the stream itself; only what goes through sys.stderr, which the bar replaces, is kept apart.
        handlers = [h for h in logging.getLogger().handlers if isinstance(h, logging.StreamHandler)]
        self._handlers = [(h, h.stream) for h in handlers if h.stream is sys.stderr]
        self._bar.start()
        for handler, _ in self._handlers:
            handler.setStream(sys.stderr)
        self._task = self._bar.add_task(title, total=num_files, line="")

    def show(self, files: int, line: str) -> None:
        self._bar.update(self._task, completed=files, line=line)

    def stop(self) -> None:
        self._bar.stop()
        for handler, stream in self._handlers:
            handler.setStream(stream)
