"""Trains several programs in turns, so that all of them meet the same machine, however busy it is.

Each is a process of its own (or a tree of them) that speaks as `benchmarks/peers/turns.py` says. While one trains,
the others wait. The first slice of each is its warm-up and isn't counted.
"""

import contextlib
import json
import os
import queue
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TURN = "TURN "
START_S, SLICE_S = 600.0, 300.0
"""Seconds after which a program that says nothing has failed: when it starts, and in a slice."""


NOT_INHERITED = ("TF_CONFIG", "TF_USE_LEGACY_KERAS", "PYTHONPATH")
"""Variables of this process and of kdcn_tf that would change another program."""


class MeasurementError(Exception):
    """A program did not do what was to be measured."""


@dataclass
class Program:
    """One program of the comparison.

    Args:
        name: in figures and messages.
        command: what to run.
        log: file for its error output.
        env: environment on top of this process's.
        last_order: "stop" to write its vectors and end, "quit" to end at once.
        unit: what a row is that it trains on.
    """

    name: str
    command: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    last_order: str = "stop"
    unit: str = "triples"
    slices: list[dict] = field(default_factory=list)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    failure: str | None = None

    def start(self) -> None:
        """Starts it in a session and a folder of its own (its log's); it warms up at once."""
        with self.log.open("w") as errors:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**{k: v for k, v in os.environ.items() if k not in NOT_INHERITED}, **self.env},
                cwd=self.log.parent, start_new_session=True,
            )  # fmt: skip
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(TURN):
                self._lines.put(line.removeprefix(TURN))
        self._lines.put(None)

    def turn(self, timeout: float = SLICE_S) -> dict:
        """The next slice that the program reports.

        Raises:
            MeasurementError: it ended, or said nothing in time.
        """
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise MeasurementError(f"{self.name}: no progress in {timeout:.0f} s; see {self.log}") from None
        if line is None:
            raise MeasurementError(f"{self.name}: ended with exit code {self._process.wait()}: {self._last_words()}")
        return json.loads(line)

    def tell(self, order: str) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(order + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise MeasurementError(f"{self.name}: ended: {self._last_words()}") from None

    def finish(self, timeout: float = SLICE_S) -> None:
        """Gives it the last order, and waits for its end.

        Raises:
            MeasurementError: it failed.
        """
        self.peak_bytes = peak_bytes(self._process.pid)
        self.tell(self.last_order)
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MeasurementError(f"{self.name}: did not end in {timeout:.0f} s; see {self.log}") from None
        if code:
            raise MeasurementError(f"{self.name}: exit code {code}: {self._last_words()}")

    def end(self) -> None:
        """Ends whatever of it is left, with all it started."""
        if not hasattr(self, "_process"):
            return
        if not self.peak_bytes:
            self.peak_bytes = peak_bytes(self._process.pid)
        for pid in members(self._process.pid):
            with_no_error(os.kill, pid, signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            for pid in members(self._process.pid):
                with_no_error(os.kill, pid, signal.SIGKILL)
            self._process.wait()

    def slice(self) -> None:
        """Lets it train for a slice.

        Raises:
            MeasurementError: it failed.
        """
        before = cpu_seconds(self._process.pid)
        self.tell("go")
        done = self.turn()
        self.slices.append({**done, "cpu_s": cpu_seconds(self._process.pid) - before})

    def _last_words(self) -> str:
        return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-3:])

    @property
    def seconds(self) -> float:
        return sum(s["seconds"] for s in self.slices)

    @property
    def rate(self) -> float:
        """Median rows/s of the slices; one slice that the machine disturbed doesn't move it."""
        return statistics.median(s[self.unit] / s["seconds"] for s in self.slices)

    def report(self) -> dict[str, Any]:
        rates = sorted(s[self.unit] / s["seconds"] for s in self.slices)
        rows, cpu_s = sum(s[self.unit] for s in self.slices), sum(s["cpu_s"] for s in self.slices)
        return {
            f"{self.unit}_per_s": self.rate,
            "slowest_slice": rates[0],
            "fastest_slice": rates[-1],
            "training_seconds": self.seconds,
            self.unit: rows,
            f"{self.unit}_per_cpu_s": rows / cpu_s if cpu_s else None,
            "peak_bytes": self.peak_bytes,
        }


def with_no_error(call, *arguments) -> None:
    """Calls; that a process has just ended is no error."""
    with contextlib.suppress(ProcessLookupError):
        call(*arguments)


def stats(session: int) -> dict[int, list[str]]:
    """Processes of a session, and the fields of their `stat` from the third on."""
    found = {}
    for task in Path("/proc").iterdir():
        if task.name.isdigit():
            try:
                fields = (task / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # ended meanwhile
                continue
            if int(fields[3]) == session:
                found[int(task.name)] = fields
    return found


def members(session: int) -> list[int]:
    """Processes of a session."""
    return list(stats(session))


def cpu_of(fields: list[str]) -> float:
    """Seconds of all cores that a process with such `stats` has used."""
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(session: int) -> float:
    """Seconds of all cores that the live processes of a session have used."""
    return sum(map(cpu_of, stats(session).values()))


def peak_bytes(session: int) -> dict[str, int]:
    """High-water mark of the memory of every process of a session that has 10 MiB or more, by role or place."""
    found: dict[str, int] = {}
    for place, pid in enumerate(sorted(members(session))):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        size = int((re.findall(r"^VmHWM:\s+(\d+) kB", status, re.M) or ["0"])[0]) * 1024
        config = next((v[10:] for v in environment.split(b"\0") if v.startswith(b"TF_CONFIG=")), None)
        task = json.loads(config)["task"] if config else None
        if size >= 10 << 20:
            found[f"{task['type']}-{task['index']}" if task else f"process-{place}"] = size
    return found


def train_in_turns(programs: Sequence[Program], budget_s: float, say=print) -> None:
    """Trains every program for `budget_s` seconds of its own; a failure is noted in the program and ends it alone."""
    live = []
    for program in programs:
        try:
            program.start()
            live.append(program)
        except OSError as error:
            program.failure = str(error)
    try:
        for program in list(live):
            _guarded(program, live, lambda p: p.turn(START_S))
        while live:
            for program in list(live):
                _guarded(program, live, Program.slice)
                if program in live and program.seconds >= budget_s:
                    began = time.monotonic()
                    _guarded(program, live, Program.finish)
                    if program in live:
                        live.remove(program)
                    took = time.monotonic() - began
                    say(f"  {program.name}: {program.rate:,.0f} {program.unit}/s, ended in {took:.0f} s")
    finally:
        for program in programs:
            program.end()


def _guarded(program: Program, live: list[Program], call) -> None:
    try:
        call(program)
    except MeasurementError as error:
        program.failure = str(error)
        live.remove(program)
        program.end()
