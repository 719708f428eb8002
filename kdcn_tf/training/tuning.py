"""A search for hyperparameters: trials on worker processes, what they tell into the study, the study into files."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from kdcn_tf import files, manifest, options
from kdcn_tf.errors import DataError
from kdcn_tf.training import objective, studies
from kdcn_tf.training.objective import Found, Job, Look, Task
from kdcn_tf.training.studies import DIVERGED, FINISHED, PRUNED, Study, Tried
from kdcn_tf.workers import Asked, Died, Workers

log = logging.getLogger(__name__)

BEST_FILE, TRIALS_FILE = "best.yaml", "trials.jsonl"
SHOWN = 5
"""Trials and fields in the printed tables."""


def require_journal(output: str) -> None:
    """Refuses a directory that has what a study leaves, and not the study: a new one would replace its best setting.

    Raises:
        DataError: naming the missing file.
    """
    journal = files.join(output, studies.JOURNAL)
    left = [name for name in (manifest.MANIFEST, TRIALS_FILE) if files.exists(files.join(output, name))]
    if left and not files.exists(journal):
        raise DataError(f"{journal}: no such file, though {left[0]} is there: the trials of this study are lost")


def search(study: Study, job: Job, missing: int, processes: int) -> None:
    """Does so many trials that count, in addition to those that the study has.

    Raises:
        KdcnError: a trial met an error that the user can mend; what is done stays.
    """
    trials = len(study.tried) + missing
    progress = _Progress(study, trials)
    with Workers(objective.prepare, job, min(processes, missing)) as pool:
        while True:
            while pool.free and len(study.tried) + pool.busy < trials and (next_one := study.ask()):
                pool.submit(Task(*next_one))
            if not pool.busy:
                return
            event = pool.next()
            number = event.task.number
            if isinstance(event, Asked):
                look: Look = event.message
                event.reply(study.look(number, look.look, look.score))
            elif isinstance(event, Died):
                log.warning("trial %d: its process died, exit code %s; it will be repeated", number, event.exit_code)
                study.lose(number, f"exit code {event.exit_code}")
            else:
                progress.show(_ended(study, number, event.result))


def _ended(study: Study, number: int, found: Found) -> Tried:
    if found.scores:
        told = {"scores": list(found.scores), "steps": list(found.steps), "seconds": round(found.seconds, 3)}
        return study.finish(number, FINISHED, sum(found.scores) / len(found.scores), told)
    return study.finish(number, DIVERGED if found.diverged else PRUNED, None, {})


class _Progress:
    """A log line per trial, with the best so far and when all are done at this rate."""

    def __init__(self, study: Study, trials: int):
        self._study, self._trials = study, trials
        self._started, self._before = time.monotonic(), len(study.tried)

    def show(self, last: Tried) -> None:
        tried = self._study.tried
        best = studies.best(tried)
        rate = (time.monotonic() - self._started) / (len(tried) - self._before)
        log.info(
            "%d of %d trials: trial %d %s%s; %s; done in %s",
            len(tried),
            self._trials,
            last.number,
            last.state,
            "" if last.score is None else f", {shown_score(last.score)}",
            f"best {shown_score(best[0].score)} of trial {best[0].number}" if best else "none finished yet",
            _duration(rate * (self._trials - len(tried))),
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def shown_score(score: float | None) -> str:
    """A score for people: below 0 it is minus a log loss, since no AUC is."""
    if score is None:
        return "-"
    return f"log loss {-score:.5f}" if score < 0 else f"AUC {score:.5f}"


def write(
    output: str, study: Study, base: Mapping[str, Any], comment: Sequence[str], described: manifest.Manifest
) -> None:
    """Writes the best setting, the table of trials and the manifest.

    Args:
        output: the study's directory.
        study: with at least one trial that counts.
        base: `section.field` -> value of what wasn't searched, as far as it isn't the default.
        comment: lines about the search, for the best setting's file.
        described: manifest without files and counts.

    Raises:
        DataError: no trial finished.
    """
    tried = study.tried
    best = studies.best(tried)
    if not best:
        raise DataError(f"{output}: none of {len(tried)} trials finished; their losses are not finite")
    top = best[0]
    lines = [f"validation {shown_score(top.score)}: trial {top.number}, the best of {len(tried)}", *comment]
    body = yaml.safe_dump(options.nested({**base, **top.values}), sort_keys=False, allow_unicode=True)
    files.write_atomic(files.join(output, BEST_FILE), ("".join(f"# {line}\n" for line in lines) + body).encode())
    rows = "".join(json.dumps(_row(trial), ensure_ascii=False) + "\n" for trial in tried)
    files.write_atomic(files.join(output, TRIALS_FILE), rows.encode())
    groups = {"best": (BEST_FILE, 1), "trials": (TRIALS_FILE, len(tried)), "journal": (studies.JOURNAL, 0)}
    states = [trial.state for trial in tried]
    manifest.write(
        output,
        manifest.Manifest(
            kind=manifest.TUNING,
            files={name: (manifest.describe_file(output, *entry),) for name, entry in groups.items()},
            counts={state: states.count(state) for state in (FINISHED, PRUNED, DIVERGED)},
            config=described.config,
            inputs=described.inputs,
            info={**described.info, "best": _row(top)},
        ),
    )


def _row(trial: Tried) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "score": trial.score,
        **trial.found,
        "values": {key: list(value) if isinstance(value, tuple) else value for key, value in trial.values.items()},
    }


def table(study: Study) -> str:
    """The best trials, and what makes trials differ."""
    rows = studies.best(study.tried)[:SHOWN]
    lines = [f"the best {len(rows)} of {len(study.tried)} trials"]
    for trial in rows:
        values = ", ".join(f"{key}={_short(value)}" for key, value in trial.values.items())
        lines.append(f"  {trial.number:>4}  {shown_score(trial.score)}  {values}")
    if shares := study.importances():
        lines.append("share of each field in what makes finished trials differ")
        lines += [f"  {share:>5.0%}  {key}" for key, share in list(shares.items())[:SHOWN]]
    return "\n".join(lines)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(list(value)) if isinstance(value, tuple) else str(value)
