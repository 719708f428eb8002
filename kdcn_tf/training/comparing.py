"""Many trials of a comparison, in worker processes. What is finished is kept: an interruption costs only the rest."""

import dataclasses
import io
import json
import logging
import re
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcn_tf import files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.data.failures import translated
from kdcn_tf.errors import ConfigError, DataError, UnavailableError
from kdcn_tf.training import memory, trial
from kdcn_tf.training.trial import Outcome, Point, TrialData
from kdcn_tf.workers import Ask, Died, Done, Work, Workers

log = logging.getLogger(__name__)

RUNS = "runs"
"""Folder of the finished trials."""

_SUFFIX = ".npz"
_TRIES = 2
"""Times that a trial is begun whose process dies."""


@dataclass(frozen=True)
class Task:
    """One trial.

    Attributes:
        model: name of a contestant.
        fraction: of the training sessions.
        seed: of everything random.
    """

    model: str
    fraction: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.model}-{_shown(self.fraction)}-{self.seed}"

    @classmethod
    def named(cls, name: str) -> "Task | None":
        """The trial of that name; None where no trial has such a one."""
        found = re.fullmatch(r"(\w+)-([0-9.e-]+)-(\d+)", name)
        return cls(found[1], float(found[2]), int(found[3])) if found else None


def _shown(fraction: float) -> str:
    return f"{fraction:g}"


@dataclass(frozen=True)
class Order:
    """What all trials of a comparison share; travels to the worker processes.

    Attributes:
        ctr: directory of the dataset.
        embeddings: seed -> directory of the export that it starts from; empty where no model does.
        configs: contestant -> configuration, before the contestant's differences.
        output: directory of the comparison.
    """

    ctr: str
    embeddings: Mapping[int, str]
    configs: Mapping[str, Config]
    output: str


def plan(models: Sequence[str], seeds: Sequence[int], fractions: Sequence[float], scarce: Sequence[str]) -> list[Task]:
    """All trials: every model on all rows, and those of `scarce` on the smaller fractions, seed by seed.

    Raises:
        ConfigError: two fractions are so near to each other that their trials would share a file.
    """
    shown: dict[str, float] = {}
    for fraction in (1.0, *fractions):
        if (other := shown.setdefault(_shown(fraction), fraction)) != fraction:
            raise ConfigError(f"--fractions: {other} and {fraction} are one, {_shown(fraction)}, in the names of runs")
    return [
        Task(model, fraction, seed)
        for seed in seeds
        for fraction in sorted({1.0, *fractions}, reverse=True)
        for model in models
        if fraction == 1.0 or model in scarce
    ]


def require_none_lost(output: str, tasks: Sequence[Task]) -> None:
    """Refuses tasks that leave out some of a finished comparison, whose report they would replace by a smaller one.

    Raises:
        ConfigError: naming what of the comparison isn't asked for.
        DataError: the manifest can't be read.
    """
    if not files.exists(files.join(output, manifest.MANIFEST)):
        return
    old = manifest.unchecked(output)
    names = [file.name.removeprefix(f"{RUNS}/").removesuffix(_SUFFIX) for file in old.files.get(RUNS, ())]
    asked = {task.name for task in tasks}
    lost = [task for name in names if name not in asked and (task := Task.named(name))]
    if old.kind == manifest.COMPARISON and lost:
        raise ConfigError(
            f"{output}: holds a comparison that also has {_what(lost, tasks)}, which its new report would be without; "
            "ask for them, too, or pass --overwrite to begin anew"
        )


def _what(lost: Sequence[Task], tasks: Sequence[Task]) -> str:
    """What of lost trials no other one has: models, fractions and seeds; else the trials themselves."""
    told = []
    for what in ("model", "fraction", "seed"):
        asked = {getattr(task, what) for task in tasks}
        if missing := dict.fromkeys(str(value) for task in lost if (value := getattr(task, what)) not in asked):
            told.append(f"{what}{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
    return " and ".join(told or [f"runs {', '.join(task.name for task in lost)}"])


def run_missing(order: Order, tasks: Sequence[Task], processes: int) -> None:
    """Runs the trials that have no result yet.

    Raises:
        KdcnError: a trial failed by it.
        UnavailableError: the process of a trial died as often as it was begun.
    """
    waiting = [task for task in tasks if not files.exists(path_of(order.output, task))]
    log.info("%d runs, %d of them finished already", len(tasks), len(tasks) - len(waiting))
    files.make_dirs(files.join(order.output, RUNS))
    died: dict[Task, int] = {}
    started, done, total = time.monotonic(), 0, len(waiting)
    with Workers(_prepare, order, min(processes, max(1, total))) as workers:
        while waiting or workers.busy:
            while waiting and workers.free:
                workers.submit(waiting.pop(0))
            event = workers.next()
            if isinstance(event, Done):
                done += 1
                left = (time.monotonic() - started) / done * (total - done)
                log.info("%s: %s; %d of %d, ends in %d min", event.task.name, event.result, done, total, -(-left // 60))
            elif isinstance(event, Died):
                died[event.task] = died.get(event.task, 0) + 1
                if died[event.task] >= _TRIES:
                    raise UnavailableError(f"run {event.task.name}: its process died, exit code {event.exit_code}")
                log.warning("%s: its process died, exit code %s; trying again", event.task.name, event.exit_code)
                waiting.insert(0, event.task)


def _prepare(order: Order) -> Work:
    memory.keep_freed()
    logging.basicConfig(level=logging.WARNING, force=True)
    with translated(order.ctr):
        data = TrialData.read(order.ctr)

    def work(task: Task, _: Ask) -> str:
        seeded = {"finetune.seed": task.seed}
        config = options.apply_overrides(order.configs[task.model], (seeded, "seed"))
        with translated(f"run {task.name}"):
            outcome = trial.run(
                data, task.model, config, embeddings=order.embeddings.get(task.seed), fraction=task.fraction,
                splits=(trial.TEST,),
            )  # fmt: skip
        files.write_atomic(path_of(order.output, task), packed(outcome))
        return summary(outcome)

    return work


def summary(outcome: Outcome) -> str:
    """A trial in a few words, by validation alone: nobody should watch the test split."""
    found = {"valid_auc": outcome.valid_auc, "seconds": outcome.seconds, "rows": float(outcome.rows)}
    if outcome.curve:
        best = max(outcome.curve, key=lambda point: point.score)
        found |= {"best_step": float(best.step), "last_step": float(outcome.curve[-1].step)}
    return options.readable(found)


def path_of(output: str, task: Task) -> str:
    return files.join(output, RUNS, task.name + _SUFFIX)


def packed(outcome: Outcome) -> bytes:
    """A file of the outcome: logits as float32 arrays, the rest as JSON."""
    about = dataclasses.asdict(outcome)
    del about["logits"]
    into = io.BytesIO()
    np.savez_compressed(into, about=np.array(json.dumps(about)), **outcome.logits)
    return into.getvalue()


def unpacked(data: bytes) -> Outcome:
    """Raises:
    ValueError: it isn't such a file.
    """
    try:
        with np.load(io.BytesIO(data)) as found:
            about: dict[str, Any] = json.loads(str(found["about"]))
            logits = {name: found[name] for name in found.files if name != "about"}
        about["curve"] = tuple(Point(**point) for point in about["curve"])
        return Outcome(logits=logits, **about)
    except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"not the result of a run: {error!r}") from None


def results(output: str, tasks: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
    """The finished trials.

    Raises:
        DataError: naming the file that isn't one.
    """
    for task in tasks:
        path = path_of(output, task)
        try:
            yield task, unpacked(files.read_bytes(path))
        except ValueError as error:
            raise DataError(f"{path}: {error}; remove it and run the command again") from None
