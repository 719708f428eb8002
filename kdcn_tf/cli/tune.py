"""Searches the hyperparameters of a model on a CTR dataset's validation split.

  kdcn tune --ctr=CTR --embeddings=DIR --model=kdcn --trials=40 --output=DIR
  kdcn train-kdcn --ctr=CTR --embeddings=DIR --config=DIR/best.yaml --output=MODEL

Each model has a search space of its own (kdcn_tf/spaces.py); --space names a YAML file of another one, with lines such
as `finetune.learning_rate: {low: 1e-4, high: 1e-2, log: true}` and `kdcn.deep_units: {choices: [[64], [128, 64]]}`.
What isn't searched comes from --preset, --config and --set. A trial's score is the validation AUC of its best look,
the mean over --seeds; trials below the median of the others are ended early. The test split isn't read.

The same command with the same --output goes on where an interrupted search stopped, and adds what is missing to a
larger --trials.
"""

import logging
from collections.abc import Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, contestants, extras, files, manifest, options, spaces
from kdcn_tf.cli import ctr_inputs
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest
from kdcn_tf.runs import open_run
from kdcn_tf.training.objective import Job

NAME = "tune"
TRIALS = 40
log = logging.getLogger(__name__)


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    ctr_inputs.define(values)
    flags.DEFINE_enum("model", None, list(contestants.CONTESTANTS), "model to search for", flag_values=values)
    flags.DEFINE_enum(
        "sampler", spaces.TPE, [spaces.TPE, spaces.GRID], "tpe learns where to look; grid tries every combination",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "trials", None, f"trials in all, earlier runs counted; by default {TRIALS}, or the grid", lower_bound=1,
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("processes", 2, "trials at a time; they share the cores", lower_bound=1, flag_values=values)
    flags.DEFINE_integer("seeds", 1, "seeds that a trial is the mean of", lower_bound=1, flag_values=values)
    flags.DEFINE_float("fraction", 1.0, "share of the training sessions", flag_values=values)
    flags.DEFINE_string("space", None, "YAML file of what to search, in place of the model's own", flag_values=values)
    command.output_flags(values, "the study")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "ctr", "model", "output")
    command.output_apart(values, "ctr", "embeddings")
    if not 0 < values.fraction <= 1:
        raise ConfigError(f"--fraction: must be in (0, 1], got {values.fraction}")
    if files.is_remote(values.output):
        raise ConfigError(f"--output: {values.output}: the journal of a study needs a local directory")
    found = ctr_inputs.read(values)
    space, source = _space(values, found.config)
    seed = found.config.finetune.seed
    grid = spaces.points(space, seed, source) if values.sampler == spaces.GRID else None
    own = contestants.configured(values.model, found.config)
    network = contestants.contestant(values.model).kind == contestants.NETWORK
    marks = found.fingerprints(network and own.kdcn.pretrained)
    extras.load("optuna", "a search needs")
    from kdcn_tf.training import studies, tuning

    about = {name: values[name].value for name in ("model", "sampler", "seeds", "fraction")}
    searched = {f"space {key}": text for key, text in spaces.described(space).items()}
    asked = {**marks, **{name: str(value) for name, value in about.items()}, **searched}
    open_run(values.output, manifest.TUNING, found.config, asked, values.overwrite, extend=True)
    tuning.require_journal(values.output)
    first = {key: options.value_of(own, key) for key in space}
    study = studies.Study(values.output, space, grid, seed, first, found.config.trial.looks_per_epoch)
    missing = _trials(values, grid) - len(study.tried)
    if missing > 0 or not files.exists(files.join(values.output, manifest.MANIFEST)):
        files.remove(files.join(values.output, manifest.MANIFEST))
        job = Job(values.ctr, values.embeddings, values.model, found.config, values.seeds, values.fraction)
        tuning.search(study, job, missing, values.processes)
        described = Manifest(manifest.TUNING, config=options.to_dict(found.config), inputs=marks, info=about)
        tuning.write(values.output, study, _base(found, own), [_made_by(values, marks)], described)
    else:
        log.info("nothing to add: the study has %d trials", len(study.tried))
    print(tuning.table(study))


def _trials(values: flags.FlagValues, grid: list | None) -> int:
    if grid is None:
        return values.trials or TRIALS
    if (values.trials or 0) > len(grid):
        log.info("the grid has %d points: so many trials are made", len(grid))
    return min(values.trials or len(grid), len(grid))


def _base(found: ctr_inputs.CtrInputs, own: Config) -> dict[str, Any]:
    """What of the model's configuration is neither the default nor what the datasets bring along anyway."""
    changed = options.differences(own, Config())
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in changed.items()}
    return {key: value for key, value in plain.items() if found.suggested.get(key) != value}


def _made_by(values: flags.FlagValues, marks: dict[str, str]) -> str:
    inputs = ", ".join(f"{kind} {mark}" for kind, mark in marks.items())
    return f"{values.model} on {inputs}; sampler {values.sampler}, seeds {values.seeds}, fraction {values.fraction}"


def _space(values: flags.FlagValues, config: Config) -> tuple[spaces.Space, str]:
    """What is searched, and where that is written."""
    if values.space:
        return spaces.parsed(spaces.read(values.space), config, values.model, values.space), values.space
    source = f"search space of {values.model}"
    return spaces.checked(spaces.SPACES[values.sampler][values.model], config, values.model, source), source


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
