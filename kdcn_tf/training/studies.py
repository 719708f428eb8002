"""A search as an Optuna study, kept in its journal file: what to try next, what was found, what an interruption left.

Scores are maximised: validation AUC, or minus the log loss where AUC is undefined. One process at a time writes the
journal (`runs.open_run` sees to that); its workers know nothing of Optuna.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from kdcn_tf import files, options, spaces
from kdcn_tf.errors import DataError, UnavailableError
from kdcn_tf.spaces import Choices, Range, Space

JOURNAL = "journal.log"
FINISHED, PRUNED, DIVERGED = "finished", "pruned", "diverged"
"""How a trial that counts has ended."""

LEAST_FINISHED = 5
"""Finished trials before any is pruned: a median of fewer says little."""

MOST_DEATHS = 3
"""Processes that may die with the same values before the search gives up."""

_STARTUP = 10  # trials drawn at random before the estimator learns from them: Optuna's default
_NAME = "kdcn"
_STATE, _DEATH, _FOUND = "state", "death", "found"
_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Tried:
    """A trial that counts.

    Attributes:
        number: of the trial, from 0.
        values: `section.field` -> value.
        state: FINISHED, PRUNED or DIVERGED.
        score: mean over seeds if FINISHED, of its last look if PRUNED, None if DIVERGED.
        found: what else its worker told of it.
    """

    number: int
    values: dict[str, Any]
    state: str
    score: float | None
    found: dict[str, Any] = field(default_factory=dict)


class Study:
    """Makes the study, or opens the one that the directory holds; trials that were interrupted will be repeated.

    Args:
        directory: local, taken by this process.
        space: what is searched.
        grid: points to try in this order; None lets Optuna's TPE choose.
        seed: decides what is drawn; a trial's values follow from it and from the trials before, interrupted or not.
        first: values to try before any other, where the space holds them; not of a grid.
        sure_looks: looks at the validation split that every trial may make before it is pruned.

    Raises:
        DataError: the journal can't be read.
    """

    def __init__(
        self,
        directory: str,
        space: Space,
        grid: list[dict[str, Any]] | None,
        seed: int,
        first: Mapping[str, Any],
        sure_looks: int,
    ):
        self._space, self._grid, self._seed = space, grid, seed
        self._distributions = {key: _distribution(domain) for key, domain in space.items()}
        self._running: dict[int, optuna.Trial] = {}
        path = files.join(directory, JOURNAL)
        _mend(path)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = optuna.pruners.MedianPruner(LEAST_FINISHED, sure_looks)
        try:
            storage = JournalStorage(JournalFileBackend(path, _NoLock(path)))
            if _NAME not in optuna.get_all_study_names(storage):  # to make it again would write to the journal
                optuna.create_study(storage=storage, study_name=_NAME, direction="maximize")
            self._study = optuna.load_study(storage=storage, study_name=_NAME, pruner=pruner)
            left = self._trials(TrialState.RUNNING)
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(f"{path}: not a journal of a study: {error!r}") from None
        for trial in left:
            self._repeat(trial)
        if grid is None and not self._study.trials and spaces.contains(space, first):
            self._study.enqueue_trial(self._encoded(first))

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        """Number and values of a trial to do; None where a grid has no point left."""
        if self._grid is not None and not self._trials(TrialState.WAITING):
            point = self._next_of(self._grid)
            if point is None:
                return None
            self._study.enqueue_trial(self._encoded(point))
        # A sampler anew for each trial: its state would be lost with an interruption, and the draws repeat.
        drawn = len(self._trials(*_COUNTED, TrialState.RUNNING))
        seed = int(options.fingerprint([self._seed, drawn])[:8], 16)
        self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=_STARTUP, seed=seed)
        trial = self._study.ask(self._distributions)
        self._running[trial.number] = trial
        return trial.number, self._decoded(trial.params)

    def _next_of(self, grid: list[dict[str, Any]]) -> dict[str, Any] | None:
        failed = TrialState.FAIL
        tried = [self._values(trial) for trial in self._study.get_trials(deepcopy=False) if trial.state != failed]
        return next((point for point in grid if point not in tried), None)

    def look(self, number: int, look: int, score: float) -> bool:
        """Notes a score on the way; returns whether the trial isn't worth going on."""
        trial = self._running[number]
        trial.report(score, look)
        return trial.should_prune()

    def finish(self, number: int, state: str, score: float | None, found: Mapping[str, Any]) -> Tried:
        """Ends a trial that counts; `score` is for FINISHED alone."""
        trial = self._running.pop(number)
        trial.set_user_attr(_STATE, state)
        trial.set_user_attr(_FOUND, dict(found))
        self._study.tell(trial, score, TrialState.COMPLETE if state == FINISHED else TrialState.PRUNED)
        return self._tried(self._study.get_trials(deepcopy=False)[number])

    def lose(self, number: int, why: str) -> None:
        """Gives up a trial whose process died, and has its values tried again.

        Raises:
            UnavailableError: they have cost too many processes.
        """
        trial = self._running.pop(number)
        trial.set_user_attr(_DEATH, why)
        values = self._decoded(trial.params)
        died = [t for t in self._trials() if _DEATH in t.user_attrs and self._values(t) == values]
        self._repeat(self._study.get_trials(deepcopy=False)[number])
        if len(died) >= MOST_DEATHS:
            raise UnavailableError(f"trial {number}: {len(died)} processes died of {values} ({why}); out of memory?")

    def _repeat(self, trial: FrozenTrial) -> None:
        """Fails a trial that is under way, and queues its values."""
        self._study.tell(trial.number, state=TrialState.FAIL)
        # One that was interrupted as it began may have none of its values yet, or only those it was queued with.
        self._study.enqueue_trial({**trial.system_attrs.get("fixed_params", {}), **trial.params})

    @property
    def tried(self) -> list[Tried]:
        """All trials that count, in the order of their numbers."""
        return [self._tried(trial) for trial in self._trials(*_COUNTED)]

    @property
    def lost(self) -> int:
        """Trials that were interrupted or whose process died."""
        return len(self._trials(TrialState.FAIL))

    def importances(self) -> dict[str, float]:
        """Share of each field in what makes trials differ, the largest first (PED-ANOVA); {} where it can't be told."""
        scores = {trial.value for trial in self._trials(TrialState.COMPLETE)}
        if len(scores) < LEAST_FINISHED:
            return {}
        return optuna.importance.get_param_importances(self._study)

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _tried(self, trial: FrozenTrial) -> Tried:
        attributes = trial.user_attrs
        score = None if attributes[_STATE] == DIVERGED else trial.value
        return Tried(trial.number, self._decoded(trial.params), attributes[_STATE], score, attributes[_FOUND])

    def _values(self, trial: FrozenTrial) -> dict[str, Any]:
        return self._decoded({**trial.system_attrs.get("fixed_params", {}), **trial.params})

    def _encoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: _text(values[key]) if isinstance(domain, Choices) else values[key]
            for key, domain in self._space.items()
        }

    def _decoded(self, params: Mapping[str, Any]) -> dict[str, Any]:
        choices = {
            key: {_text(value): value for value in domain.values}
            for key, domain in self._space.items()
            if isinstance(domain, Choices)
        }
        return {
            key: choices[key][params[key]] if key in choices else params[key] for key in self._space if key in params
        }


def best(tried: list[Tried]) -> list[Tried]:
    """The finished trials, the best first; of equals the earlier."""
    return sorted((t for t in tried if t.state == FINISHED), key=lambda t: (-(t.score or 0.0), t.number))


def _distribution(domain: Range | Choices) -> BaseDistribution:
    if isinstance(domain, Choices):
        return CategoricalDistribution([_text(value) for value in domain.values])
    if isinstance(domain.low, int):
        return IntDistribution(domain.low, int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def _text(value: Any) -> str:
    """A choice as Optuna keeps it: it has no lists."""
    return json.dumps(value)


class _NoLock(JournalFileOpenLock):
    """One process alone writes the journal; Optuna's own locks turn a Ctrl-C inside of them into another error."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""


def _mend(path: str) -> None:
    """Takes away what a killed process may leave at the journal's end: half a line."""
    if files.exists(path):
        data = files.read_bytes(path)
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
