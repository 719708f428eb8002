"""Speed and memory of build-ckg and build-ctr, beside the same job element by element and in Polars.

    python benchmarks/pipelines.py [--json=FILE] [--scale=1] [--only=PART,...] [--work=DIR]

Writes its own logs (`benchmarks/raw_logs.py`); at scale 1 the largest make 10 million triples. Every run is a process
of its own, pinned to the same two cores. The start-up of each program is measured on logs of a few records and taken
out of every rate and ratio. Small and large logs, even and skewed ones take turns, and a median counts where there are
several runs. Triples are those of the finished dataset, each once. Ends with code 1 if a measurement failed, with 0
even where a bar is missed: it is a report.
"""

import dataclasses
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import lockstep, pipeline_jobs, processes, raw_logs, reporting
from benchmarks.pipeline_jobs import build_ckg, build_ctr, elementwise, polars
from kdcn_tf import command
from kdcn_tf.errors import ConfigError

CORES = 2
TIMEOUT_S = 900.0

TRIPLES = {"few": 2_000, "1x": 1_000_000, "10x": 10_000_000, "even": 1_000_000, "skewed": 1_000_000, "small": 250_000}
"""Name of the logs -> triples at scale 1; `few` is what start-up is measured on, at any scale."""

FILE_BYTES = 4 << 20
"""Of a log file: the same for small and large logs, so that a worker meets the same in both."""

IMPRESSIONS = 4
REPEATS = 3

BARS = {
    "over_elementwise": (">=", 5.0),
    "polars_over_ours": ("<=", 4.0),
    "time_10x": ("<=", 10.5),
    "memory_10x": ("<=", 1.3),
    "skew": ("<=", 1.3),
}


@dataclasses.dataclass
class Measured:
    """All runs of one program on the same logs."""

    command: list[str] = dataclasses.field(default_factory=list)
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    runs: list[processes.Usage] = dataclasses.field(default_factory=list)

    def median(self, name: str) -> float:
        return statistics.median(getattr(usage, name) for usage in self.runs)


@dataclasses.dataclass
class Run:
    """One run of the benchmark and what it has found."""

    work: Path
    only: tuple[str, ...]
    scale: float
    figures: dict[str, float | None] = dataclasses.field(default_factory=dict)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    failures: list[str] = dataclasses.field(default_factory=list)
    found: dict[tuple[str, str], Measured] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cores = sorted(os.sched_getaffinity(0))[:CORES]

    def logs(self, name: str) -> Path:
        """Raw logs of that name, made when they are first asked for."""
        path = self.work / "raw" / name
        if not path.exists():
            triples = TRIPLES[name] if name == "few" else max(int(TRIPLES[name] * self.scale), TRIPLES["few"])
            shown = IMPRESSIONS if name in ("few", "1x") else 0
            shape = raw_logs.shape_of(triples, skew=name == "skewed", shown=shown)
            raw_logs.write(str(path), shape, file_bytes=FILE_BYTES)
        return path

    def measure(self, program: str, order: pipeline_jobs.Command, logs: str, keep: bool = False) -> Path:
        """Runs a program once more. Its output goes away unless it is to be kept.

        Raises:
            MeasurementError: it failed.
        """
        raw, output = self.logs(logs), self.work / "output"
        shutil.rmtree(output, ignore_errors=True)
        entry = self.found.setdefault((program, logs), Measured(order(raw, output)))
        log = self.work / f"{program}-{logs}.log".replace(" ", "-")
        env = {"PYTHONPATH": str(pipeline_jobs.ROOT), "POLARS_MAX_THREADS": str(len(self.cores))}
        usage = processes.measure(entry.command, log, cores=self.cores, timeout_s=TIMEOUT_S, env=env)
        entry.runs.append(usage)
        entry.counts = pipeline_jobs.counted(output)
        print(f"  {program} on {logs}: {usage.wall_s:.1f} s, {usage.cpu_s:.1f} CPU s", flush=True)
        if not keep:
            shutil.rmtree(output)
            return output
        kept = self.work / "kept" / logs
        shutil.rmtree(kept, ignore_errors=True)
        kept.parent.mkdir(exist_ok=True)
        return output.rename(kept)

    def alternate(self, *turns: tuple[str, pipeline_jobs.Command, str], repeats: int = 0) -> None:
        """Measures these in turns, each `REPEATS` times where nothing else is asked for."""
        for _ in range(repeats or REPEATS):
            for turn in turns:
                self.measure(*turn)

    def seconds(self, program: str, logs: str, name: str = "wall_s") -> float:
        """Median time of a program without its start-up.

        Raises:
            MeasurementError: the start-up takes as long.
        """
        found = self.found[program, logs].median(name) - self.found[program, "few"].median(name)
        if found <= 0:
            raise lockstep.MeasurementError(f"{program}: {logs} takes no longer than its start-up; raise --scale")
        return found

    def rate(self, program: str, logs: str, count: str = "rows", name: str = "wall_s") -> float:
        """Rows of the finished dataset, or what else was counted, in a second of work."""
        return self.found[program, logs].counts[count] / self.seconds(program, logs, name)

    def fastest(self, job: str, logs: str) -> str:
        """The program of this job that was the fastest on these logs, of the modes it ran in.

        Raises:
            MeasurementError: none ran.
        """
        ran = [name for (name, of), at in self.found.items() if name.startswith(f"{job}, ") and of == logs and at.runs]
        if not ran:
            raise lockstep.MeasurementError(f"{job} on {logs} was not measured")
        return max(ran, key=lambda program: self.rate(program, logs))


def growth(run: Run) -> None:
    """build-ckg by two workers, from 1x to 10x."""
    program, order = "build-ckg, 2 workers", build_ckg("2 workers")
    run.alternate((program, order, "few"), (program, order, "1x"))
    run.alternate((program, order, "10x"), repeats=2)
    one, ten = run.found[program, "1x"], run.found[program, "10x"]
    input_10x = ten.counts["rows"] / one.counts["rows"]
    run.figures["time_10x"] = run.seconds(program, "10x") / run.seconds(program, "1x")
    run.figures["memory_10x"] = ten.median("worker_bytes") / one.median("worker_bytes")
    run.details["growth"] = {
        "triples_10x": input_10x,
        "cpu_10x": run.seconds(program, "10x", "cpu_s") / run.seconds(program, "1x", "cpu_s"),
        "runner_memory_10x": ten.median("runner_bytes") / one.median("runner_bytes"),
    }


def workers(run: Run) -> None:
    """build-ckg by one worker process, and without any."""
    for mode in ("1 worker", "in process"):
        program, order = f"build-ckg, {mode}", build_ckg(mode)
        run.alternate((program, order, "few"), repeats=2)
        run.measure(program, order, "10x")


def elements(run: Run) -> None:
    """The same job element by element, on smaller logs, as it takes long."""
    for mode in ("2 workers", "in process"):
        program, order = f"element-wise, {mode}", elementwise(mode)
        run.alternate((program, order, "few"), repeats=2)
        run.measure(program, order, "small")


def one_machine(run: Run) -> None:
    """The same job in Polars."""
    run.alternate(("Polars", polars, "few"), ("Polars", polars, "10x"))


def skew(run: Run) -> None:
    """build-ckg by two workers where one key has half of the records."""
    program, order = "build-ckg, 2 workers", build_ckg("2 workers")
    if (program, "few") not in run.found:
        run.alternate((program, order, "few"))
    run.alternate((program, order, "even"), (program, order, "skewed"))
    run.figures["skew"] = run.seconds(program, "skewed") / run.seconds(program, "even")
    run.details["skew"] = {
        "cpu": run.seconds(program, "skewed", "cpu_s") / run.seconds(program, "even", "cpu_s"),
        "triples": run.found[program, "skewed"].counts["rows"] / run.found[program, "even"].counts["rows"],
    }


def ctr(run: Run) -> None:
    """build-ctr, on logs with impressions."""
    for logs in ("few", "1x"):
        graph = run.measure("build-ckg, in process", build_ckg("in process"), logs, keep=True)
        for mode in ("2 workers", "1 worker"):
            program, order = f"build-ctr, {mode}", build_ctr(mode, graph)
            run.alternate((program, order, logs), repeats=2)


PARTS: dict[str, Callable[[Run], None]] = {
    "growth": growth, "workers": workers, "elementwise": elements, "polars": one_machine, "skew": skew, "ctr": ctr,
}  # fmt: skip
NEEDS = {
    "over_elementwise": ("growth", "workers", "elementwise"), "polars_over_ours": ("growth", "workers", "polars"),
    "time_10x": ("growth",), "memory_10x": ("growth",), "skew": ("skew",),
}  # fmt: skip
"""Figure -> the parts that it needs."""


def compare(run: Run) -> None:
    """Ours beside the others, each where it is the fastest."""
    ours = run.fastest("build-ckg", "10x")
    if "over_elementwise" in run.figures:
        theirs = run.fastest("element-wise", "small")
        run.figures["over_elementwise"] = run.rate(ours, "10x") / run.rate(theirs, "small")
        run.details["over_elementwise"] = {"ours": ours, "theirs": theirs}
    if "polars_over_ours" in run.figures:
        run.figures["polars_over_ours"] = run.rate("Polars", "10x") / run.rate(ours, "10x")
        cpu = [run.rate(program, "10x", name="cpu_s") for program in ("Polars", ours)]
        run.details["polars_over_ours"] = {"ours": ours, "per_cpu_s": cpu[0] / cpu[1]}
        counts = [run.found[program, "10x"].counts for program in ("Polars", ours)]
        if counts[0] != counts[1]:
            raise lockstep.MeasurementError(f"Polars and build-ckg made different graphs: {counts[0]}, {counts[1]}")


def measure_all(run: Run) -> None:
    """All parts that are wanted; a failing one ends alone."""
    run.figures |= {figure: None for figure, parts in NEEDS.items() if set(parts) <= set(run.only)}
    for name, part in {**{name: PARTS[name] for name in run.only}, "compare": compare}.items():
        if name == "compare" and not {"over_elementwise", "polars_over_ours"} & set(run.figures):
            continue
        try:
            part(run)
        except (lockstep.MeasurementError, KeyError) as error:  # a KeyError: what it needs has failed before
            run.failures.append(f"{name}: {error}")
            print(f"FAILED {name}: {error}", flush=True)


def report(run: Run) -> list[dict[str, Any]]:
    """A row for every program and the logs it ran on."""
    rows = []
    for (program, logs), measured in run.found.items():
        if not measured.runs:
            continue
        row = {
            "program": program, "logs": logs, "command": " ".join(measured.command), "counts": measured.counts,
            **{name.name: measured.median(name.name) for name in dataclasses.fields(processes.Usage)},
            "runs": [dataclasses.asdict(usage) for usage in measured.runs],
        }  # fmt: skip
        few = run.found.get((program, "few"))
        if logs != "few" and few and few.runs and measured.median("wall_s") > few.median("wall_s"):
            row["rows_per_s"] = run.rate(program, logs)
            row["records_per_s"] = run.rate(program, logs, "records")
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'program':26} {'logs':7} {'s':>6} {'CPU s':>6} {'rows/s':>9} {'records/s':>9}  MiB: worker, runner, all")
    for row in rows:
        rates = [f"{row[name]:>9,.0f}" if name in row else f"{'':9}" for name in ("rows_per_s", "records_per_s")]
        sizes = [f"{row[name] / (1 << 20):,.0f}" for name in ("worker_bytes", "runner_bytes", "together_bytes")]
        print(
            f"{row['program']:26} {row['logs']:7} {row['wall_s']:6.1f} {row['cpu_s']:6.1f} {' '.join(rates)}"
            f"  {', '.join(sizes)}"
        )


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("json", None, "file to write all figures to", flag_values=values)
    flags.DEFINE_list("only", list(PARTS), f"what to measure: {', '.join(PARTS)}", flag_values=values)
    flags.DEFINE_string("work", "runs/pipelines", "folder for logs and datasets, emptied", flag_values=values)
    flags.DEFINE_float("scale", 1.0, "size of all logs, 1 being 10 million triples", 0.0, flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> int:
    unknown = [name for name in values.only if name not in PARTS]
    if unknown or not values.only:
        raise ConfigError(f"--only: unknown {', '.join(unknown) or 'nothing'}; known: {', '.join(PARTS)}")
    run = Run(Path(values.work).resolve(), tuple(name for name in PARTS if name in values.only), values.scale)
    if len(run.cores) < CORES:
        raise ConfigError(f"needs {CORES} cores, may use {len(run.cores)}")
    shutil.rmtree(run.work, ignore_errors=True)
    run.work.mkdir(parents=True)
    machine, began = reporting.machine(), time.monotonic()
    measure_all(run)
    rows = report(run)
    if not run.failures:  # else its logs say why
        shutil.rmtree(run.work)
    seconds = time.monotonic() - began
    show(rows)
    print(reporting.table(run.figures, {name: bar for name, bar in BARS.items() if name in run.figures}))
    for failure in run.failures:
        print(f"FAILED {failure}")
    print(f"took {seconds:.0f} s")
    if values.json:
        packages = {name: metadata.version(name) for name in ("apache-beam", "polars", "pyarrow")}
        body = {
            "figures": run.figures, "bars": BARS, "failures": run.failures, "programs": rows, "details": run.details,
            "scale": run.scale, "machine": machine, "versions": reporting.versions() | packages, "seconds": seconds,
        }  # fmt: skip
        Path(values.json).write_text(json.dumps(body, indent=1) + "\n")
    return 1 if run.failures else 0


def main(argv: Sequence[str]) -> None:
    command.run("pipelines", __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
