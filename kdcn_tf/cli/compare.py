"""Trains K-DCN, its ablations and its baselines on one CTR dataset, seed by seed, and writes a report.

  kdcn compare --ctr=CTR --embeddings=DIR --ckg=CKG --output=DIR

Every model is trained by its own settings: the configuration (--preset, --config, --set), then what makes the model
(kdcn_tf/contestants.py), then --tuned MODEL=FILE, a file that `kdcn tune` wrote. The best look at the validation
split decides which weights are judged; the test split is read once per run, for the report. --fractions train on a
part of the training sessions, the same part for all models of a seed, to show what scarcity does.

Seeds share one run of pretraining, whose chance no interval over seeds holds, unless --more_embeddings names the
exports of others.

Writes report.html, report.md and report.json. The same command with the same --output goes on where an interrupted
one stopped; with more models, seeds or fractions it adds those to what is there. One that leaves out some of what a
finished comparison has is refused.
"""

import logging
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, contestants, files, manifest, options
from kdcn_tf.cli import ctr_inputs
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from kdcn_tf.runs import Parts, open_run

NAME = "compare"
SCARCE = ("kdcn", "kdcn_no_pretraining", "dcn", "gbdt", "lr")
"""Models that the scarcity curve shows, if no others are asked for."""

log = logging.getLogger(__name__)


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    ctr_inputs.define(values)
    known = list(contestants.CONTESTANTS)
    flags.DEFINE_list("models", known, f"models to compare, of {', '.join(known)}", flag_values=values)
    flags.DEFINE_bool(
        "ablations", False, "also K-DCN with one of its choices undone, those that the configuration makes: "
        f"{', '.join(contestants.ABLATIONS)}",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer("seeds", 5, "runs of each model; their seeds follow finetune.seed", 1, flag_values=values)
    flags.DEFINE_list(
        "more_embeddings", [], "exports of other runs of pretraining: seeds take turns among --embeddings and these",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_list(
        "fractions", ["0.3", "0.1", "0.03", "0.01"], "shares of the training sessions", flag_values=values
    )
    flags.DEFINE_list("scarce", list(SCARCE), "models to train on those shares, too", flag_values=values)
    flags.DEFINE_multi_string("tuned", [], "MODEL=FILE from kdcn tune; repeatable", flag_values=values)
    flags.DEFINE_integer("processes", 2, "runs at a time; they share the cores", 1, flag_values=values)
    flags.DEFINE_string("ckg", None, "knowledge graph dataset, for the names of categories", flag_values=values)
    flags.DEFINE_string("raw", None, "simulated raw logs, for their best possible AUC", flag_values=values)
    command.output_flags(values, "the comparison")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "ctr", "output")
    command.output_apart(values, "ctr", "embeddings", "more_embeddings", "raw", "ckg")
    found = ctr_inputs.read(values)
    models, scarce = _names(values.models, "models"), _names(values.scarce, "scarce")
    if values.ablations:
        models = list(dict.fromkeys([*models, *contestants.ablations(found.config)]))
    if not models:
        raise ConfigError("--models: names no model")
    fractions = [_fraction(text) for text in values.fractions]
    configs = _configs(found.config, models, values.tuned or ())
    pretrained = any(_is_pretrained(model, configs[model]) for model in models)
    more = _more_marks(values, found)
    marks = found.fingerprints(pretrained) | (more if pretrained else {})
    if values.raw:
        _ceiling(values.raw, found.ctr)  # of other logs? Better known before hours of training
    if values.ckg:
        manifest.require_same_ids(found.ctr, manifest.read(values.ckg, manifest.CKG))
    from kdcn_tf.data import filesystems  # TensorFlow's import takes seconds; wrong flags shouldn't wait for it
    from kdcn_tf.report import inputs, pages
    from kdcn_tf.training import comparing

    pages.check()
    filesystems.require(values.ctr, values.embeddings, *values.more_embeddings, values.output)
    seeds = [found.config.finetune.seed + number for number in range(values.seeds)]
    tasks = comparing.plan(models, seeds, fractions, [model for model in scarce if model in models])
    inputs.require_sources(values.ctr, found.ctr)
    if not values.overwrite:
        comparing.require_none_lost(values.output, tasks)
    _open(values, found, configs, marks)
    exports = [values.embeddings, *values.more_embeddings] if values.embeddings else []
    own_export = {seed: exports[place % len(exports)] for place, seed in enumerate(seeds) if exports}
    comparing.run_missing(comparing.Order(values.ctr, own_export, configs, values.output), tasks, values.processes)
    _report(values, found, configs, marks, tasks)


def _open(
    values: flags.FlagValues, found: ctr_inputs.CtrInputs, configs: Mapping[str, Config], marks: Mapping[str, str]
) -> None:
    """Takes the directory. All models read the dataset; embeddings are of those alone that are pretrained."""
    from kdcn_tf.training import comparing

    own = {model: options.fingerprint(contestants.settings(model, config)) for model, config in configs.items()}
    everyone = {manifest.CTR: marks[manifest.CTR]}
    shared = {name: mark for name, mark in marks.items() if name not in everyone}
    open_run(
        values.output, manifest.COMPARISON, found.config, everyone, values.overwrite, (comparing.RUNS,), extend=True,
        parts=Parts(own, shared),
    )  # fmt: skip
    # A finished comparison may be added to; until it is finished again, it isn't.
    files.remove(files.join(values.output, manifest.MANIFEST))


def _report(
    values: flags.FlagValues,
    found: ctr_inputs.CtrInputs,
    configs: Mapping[str, Config],
    marks: Mapping[str, str],
    tasks: Sequence[Any],
) -> None:
    from kdcn_tf.report import inputs, pages, summary
    from kdcn_tf.training import comparing

    ceiling = _ceiling(values.raw, found.ctr) if values.raw else None
    judged, dataset = inputs.test_rows(values.ctr, found.ctr, values.ckg)
    report = summary.summarise(
        inputs.runs(comparing.results(values.output, tasks)),
        judged,
        titles={name: one.title for name, one in contestants.KNOWN.items()},
        dataset=dataset,
        settings={"command": _command(values), "models": _settings(configs)},
        reference={} if ceiling is None else {_whole(judged): ceiling},
    )
    names = pages.write(report, values.output)
    _finish(values.output, found, marks, names, tasks)
    print("\n".join(options.readable({name: value}) for name, value in report["figures"].items()))
    print(f"report: {files.join(values.output, names[-1])}")


def _names(names: Sequence[str], flag: str) -> list[str]:
    for name in names:
        if name not in contestants.KNOWN:
            raise ConfigError(f"--{flag}: unknown model {name!r}; known: {', '.join(contestants.KNOWN)}")
    return list(dict.fromkeys(names))


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ConfigError(f"--fractions: expected numbers above 0 up to 1, got {text!r}")
    return value


def _configs(base: Config, models: Sequence[str], tuned: Sequence[str]) -> dict[str, Config]:
    """Model -> configuration, the model's own differences and its tuned settings in it."""
    found = {model: contestants.configured(model, base) for model in models}
    for argument in tuned:
        model, _, path = argument.partition("=")
        if model not in found or not path:
            raise ConfigError(f"--tuned {argument}: expected MODEL=FILE, MODEL of {', '.join(models)}")
        settled = options.apply_overrides(found[model], (options.read_overrides(path), path))
        found[model] = contestants.configured(model, settled)
    return found


def _more_marks(values: flags.FlagValues, found: ctr_inputs.CtrInputs) -> dict[str, str]:
    """Fingerprints of --more_embeddings, each checked against the first export.

    Raises:
        ConfigError: there is no first one, one is there twice, or its vectors have another length.
        DataError: one isn't an export, or has other ids.
    """
    if values.more_embeddings and found.embeddings is None:
        raise ConfigError("--more_embeddings: needs --embeddings")
    marks: dict[str, str] = {}
    for place, directory in enumerate(values.more_embeddings, 2):
        other = manifest.read(directory, manifest.EMBEDDINGS)
        manifest.require_same_ids(other, found.ctr)
        if other.number("dim") != found.config.kdcn.dim:
            raise ConfigError(
                f"--more_embeddings: {directory} has dimension {other.number('dim')}, {values.embeddings} has "
                f"{found.config.kdcn.dim}"
            )
        if found.embeddings and other.fingerprint() in (found.embeddings.fingerprint(), *marks.values()):
            raise ConfigError(f"--more_embeddings: {directory} is there twice")
        marks[f"{manifest.EMBEDDINGS}/{place}"] = other.fingerprint()
    return marks


def _is_pretrained(model: str, config: Config) -> bool:
    return contestants.contestant(model).kind == contestants.NETWORK and config.kdcn.pretrained


def _ceiling(directory: str, ctr: manifest.Manifest) -> float | None:
    """AUC that a model which knows every click probability reaches on the test period's clicks, as they fell."""
    raw = manifest.read(directory, manifest.RAW)
    if ctr.inputs.get(manifest.RAW) != raw.fingerprint():
        raise ConfigError(f"--raw {directory}: the CTR dataset was built from other logs")
    figures = raw.info.get("simulation", {})
    return figures.get("drawn_auc_test")


def _whole(judged: Any) -> str:
    """What the report calls all test rows: their source, if they have but one."""
    sources = set(judged.slices["source"].tolist())
    return sources.pop() if len(sources) == 1 else "all"


def _settings(configs: Mapping[str, Config]) -> dict[str, dict[str, Any]]:
    """Model -> what of its configuration is not the default."""
    return {model: options.differences(config, Config()) for model, config in configs.items()}


def _command(values: flags.FlagValues) -> str:
    """The command that makes the comparison again in a shell, without paths' places."""
    given = [f"--{name}={shlex.quote(str(value))}" for name, value in _given(values)]
    return " ".join(["kdcn", NAME, *given])


def _given(values: flags.FlagValues) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name in ("ctr", "embeddings", "ckg", "raw"):
        if path := str(values[name].value or ""):
            found.append((name, files.last_name(path)))
    if values.more_embeddings:
        found.append(("more_embeddings", ",".join(map(files.last_name, values.more_embeddings))))
    for name in ("models", "ablations", "seeds", "fractions", "scarce", "preset"):
        if values[name].value != values[name].default:
            value = values[name].value
            found.append((name, ",".join(value) if isinstance(value, list) else value))
    for argument in values.tuned or ():
        model, _, path = argument.partition("=")
        found.append(("tuned", f"{model}={files.last_name(path)}"))
    if values.config:
        found.append(("config", files.last_name(values.config)))
    return found + [("set", text) for text in values.set or ()]


def _finish(
    output: str, found: ctr_inputs.CtrInputs, marks: Mapping[str, str], names: Sequence[str], tasks: Sequence[Any]
) -> None:
    from kdcn_tf.training import comparing

    runs = [comparing.path_of("", task).lstrip("/") for task in tasks]
    groups = {"report": names, "runs": runs}
    described = {group: tuple(manifest.describe_file(output, name) for name in part) for group, part in groups.items()}
    manifest.write(
        output,
        manifest.Manifest(
            manifest.COMPARISON,
            described,
            {"runs": len(tasks)},
            config=options.to_dict(found.config),
            inputs=dict(marks),
        ),
    )


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
