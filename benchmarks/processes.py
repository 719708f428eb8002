"""Running a command to its end, and what it used: time, CPU, memory of it and of its worker processes."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import lockstep
from benchmarks.lockstep import MeasurementError

SAMPLE_S = 0.2
_SMALL = 10 << 20  # shells between a runner and its workers


@dataclass(frozen=True)
class Usage:
    """What a command used.

    Attributes:
        wall_s: from its start to its end.
        cpu_s: of all its processes.
        runner_bytes: high-water mark of the process that was started.
        worker_bytes: that of the largest of the processes it started; 0 if there are none.
        workers: number of those.
        together_bytes: highest sum of the resident memory of all, at one time; shared pages count in each.
    """

    wall_s: float
    cpu_s: float
    runner_bytes: int
    worker_bytes: int
    workers: int
    together_bytes: int


class _Watch:
    """Samples the processes of a session."""

    def __init__(self, session: int):
        self._session = session
        self._high: dict[int, int] = {}
        self._cpu: dict[int, float] = {}
        self._together = 0

    def sample(self) -> None:
        together = 0
        for pid, fields in lockstep.stats(self._session).items():
            self._cpu[pid] = lockstep.cpu_of(fields)
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:  # ended meanwhile
                continue
            sizes = {
                name: int(kilobytes) << 10 for name, kilobytes in re.findall(r"^Vm(HWM|RSS):\s+(\d+)", status, re.M)
            }
            self._high[pid] = max(self._high.get(pid, 0), sizes.get("HWM", 0))
            together += sizes.get("RSS", 0)
        self._together = max(self._together, together)

    def usage(self, wall_s: float, waited_cpu_s: float) -> Usage:
        workers = [size for pid, size in self._high.items() if pid != self._session and size >= _SMALL]
        return Usage(
            wall_s=wall_s,
            cpu_s=max(waited_cpu_s, sum(self._cpu.values())),  # a worker that was killed isn't waited for
            runner_bytes=self._high.get(self._session, 0),
            worker_bytes=max(workers, default=0),
            workers=len(workers),
            together_bytes=self._together,
        )


def measure(
    command: Sequence[str], log: Path, *, cores: Sequence[int], timeout_s: float, env: Mapping[str, str] | None = None
) -> Usage:
    """Runs a command on these cores, its output to `log`.

    Raises:
        MeasurementError: it failed, or took longer than `timeout_s`; with its last words.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in lockstep.NOT_INHERITED}
    before, began = _waited_cpu_s(), time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**inherited, **(env or {})},
            cwd=log.parent, start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
    watch = _Watch(process.pid)
    try:
        while process.returncode is None:
            watch.sample()
            if time.monotonic() - began > timeout_s:
                raise MeasurementError(f"{log.stem}: did not end in {timeout_s:.0f} s; see {log}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SAMPLE_S)
        wall_s = time.monotonic() - began
    finally:
        for pid in lockstep.members(process.pid):
            lockstep.with_no_error(os.kill, pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        words = " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
        raise MeasurementError(f"{log.stem}: exit code {process.returncode}: {words}")
    return watch.usage(wall_s, _waited_cpu_s() - before)


def _waited_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
