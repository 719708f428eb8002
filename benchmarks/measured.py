"""A run of a benchmark that compares programs: what was found, peers that may be missing, the report."""

import contextlib
import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import lockstep, programs, reporting
from benchmarks.peers import environments
from kdcn_tf.errors import ConfigError


@dataclasses.dataclass
class Measured:
    """One run and what it has found.

    Attributes:
        work: folder for data and models, used again; `scratch` in it is this run's own.
        only: what to measure.
        budget_s: seconds of training of each program that is compared.
        figures: by name; None for one that failed.
        details: what the figures come from.
        failures: texts.
        install_s: seconds that the peers' installation took.
    """

    work: Path
    only: tuple[str, ...]
    budget_s: float
    figures: dict[str, float | None] = dataclasses.field(default_factory=dict)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    failures: list[str] = dataclasses.field(default_factory=list)
    install_s: float = 0.0

    def __post_init__(self) -> None:
        self.scratch = self.work / "run"
        self.peers = self.work.with_name(self.work.name + "-peers")

    def wants(self, *names: str) -> bool:
        return all(name in self.only for name in names)

    def installed(self, name: str, needed: bool) -> bool:
        """Whether a peer's environment is there now; if not, the reason is noted, as a failure if a figure needs it."""
        try:
            self.install_s += environments.install(self.peers, name)
            self.details.setdefault("peer_versions", {})[name] = environments.versions(self.peers, name)
            return True
        except environments.InstallError as error:
            print(f"  {name}: can't be installed on this machine: {error}")
            self.details.setdefault("unavailable", {})[name] = str(error)
            if needed:
                self.failures.append(f"{name}: {error}")
            return False

    def train(self, compared: list[lockstep.Program], budget_s: float) -> dict[str, lockstep.Program]:
        """Trains in turns; returns the programs that did. Failures are noted."""
        lockstep.train_in_turns(compared, budget_s)
        self.failures += [program.failure for program in compared if program.failure]
        return {program.name: program for program in compared if not program.failure}

    def ratio(self, figure: str, over: float | None, under: float | None) -> None:
        self.figures[figure] = over / under if over and under else None


AnyRun = TypeVar("AnyRun", bound=Measured)


def require_known(only: Sequence[str], names: Sequence[str]) -> None:
    """Raises:
    ConfigError: `--only` names nothing, or what can't be measured.
    """
    unknown = [name for name in only if name not in names]
    if unknown or not only:
        raise ConfigError(f"--only: unknown {', '.join(unknown) or 'nothing'}; known: {', '.join(names)}")


def measure(
    run: AnyRun,
    parts: Sequence[Callable[[AnyRun], None]],
    show: Callable[[AnyRun], None],
    bars: Mapping[str, tuple[str, float]],
    report: str | None,
) -> int:
    """Measures the parts on the first cores, prints what was found, writes the report; returns the exit code."""
    shutil.rmtree(run.scratch, ignore_errors=True)
    run.scratch.mkdir(parents=True)
    machine, began = reporting.machine(), time.monotonic()
    with pinned(programs.THREADS):
        for part in parts:
            part(run)
    if not run.failures:  # else its logs say why
        shutil.rmtree(run.scratch)
    seconds = {"run": time.monotonic() - began - run.install_s, "installation": run.install_s}
    show(run)
    print(f"took {seconds['run']:.0f} s, and {seconds['installation']:.0f} s for the peers' installation")
    if report:
        body = {
            "figures": run.figures, "bars": bars, "failures": run.failures, "details": run.details,
            "machine": machine, "versions": reporting.versions(), "seconds": seconds,
        }  # fmt: skip
        Path(report).write_text(json.dumps(body, indent=1) + "\n")
    return 1 if run.failures else 0


@contextlib.contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Keeps this process, and what it starts, on the first so many cores that it may use."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
