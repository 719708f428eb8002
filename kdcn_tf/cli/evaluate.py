"""Compares trained models and baselines on held-out impressions.

  kdcn evaluate --ctr=CTR --model=kdcn=DIR --model=other=DIR --baseline=lr --output=DIR

Prints tables for all impressions, for each source, and for each slice that --slices asks for, and writes them as
metrics.json. Impressions are read file by file. With --raw, logs whose best possible AUC is known (kdcn simulate),
that stands beside the models. Baselines are fitted with the sections gbdt and lr of the configuration.
"""

import json
import logging
from collections.abc import Mapping, Sequence

from absl import flags

from kdcn_tf import command, files, manifest
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from kdcn_tf.training import slices

NAME = "evaluate"
METRICS_FILE = "metrics.json"
log = logging.getLogger(__name__)

SHOWN = ("auc", "gauc", "log_loss", "ndcg@10", "calibration")

SHOWN_SLICES = 20
"""Slices in a table; metrics.json holds all."""

Judged = dict[str, dict[str, dict[str, float | None]]]
"""Source or slice -> model -> metrics."""


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    flags.DEFINE_string("ctr", None, "CTR dataset, from build-ctr", flag_values=values)
    flags.DEFINE_multi_string("model", [], "NAME=DIR of a model from train-kdcn; repeatable", flag_values=values)
    flags.DEFINE_multi_enum("baseline", [], ["lr", "gbdt"], "baseline to fit too; repeatable", flag_values=values)
    flags.DEFINE_enum("split", "test", ["train", "valid", "test"], "impressions to judge by", flag_values=values)
    flags.DEFINE_string("raw", None, "simulated raw logs, for their best possible AUC", flag_values=values)
    flags.DEFINE_list("slices", [], f"also judge by slices: all, or of {', '.join(slices.NAMES)}", flag_values=values)
    flags.DEFINE_string("ckg", None, "knowledge graph dataset, for the names of categories", flag_values=values)
    command.output_flags(values, "the metrics")
    return values


def _models(arguments: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for argument in arguments:
        name, _, directory = argument.partition("=")
        if not name or not directory:
            raise ConfigError(f"--model {argument}: expected NAME=DIR")
        if name in found:
            raise ConfigError(f"--model {argument}: the name occurs twice")
        found[name] = directory
    return found


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "ctr", "output")
    command.output_apart(values, "ctr", "raw", "ckg")
    models, baselines = _models(values.model or ()), list(dict.fromkeys(values.baseline or ()))
    if not models and not baselines:
        raise ConfigError("--model: is required, or --baseline")
    if both := set(models) & set(baselines):
        raise ConfigError(f"--model {both.pop()}: a baseline has this name")
    config = command.resolve_config(values)
    by = tuple(slices.NAMES) if values.slices == ["all"] else tuple(dict.fromkeys(values.slices or ()))
    slices.require_known(by)
    ctr = manifest.read(values.ctr, manifest.CTR)
    trained = {name: manifest.read(path, manifest.KDCN_MODEL).fingerprint() for name, path in models.items()}
    best = _best_possible(values.raw, ctr, values.split) if values.raw else {}
    categories = _category_names(values.ckg, ctr) if values.ckg else {}
    manifest.prepare_output(values.output, manifest.EVALUATION, values.overwrite)
    with manifest.discarded_on_failure(values.output):
        sources, sliced = _judge(values.ctr, ctr, values.split, models, baselines, config, by, categories)
        marks = {f"{manifest.KDCN_MODEL}/{name}": mark for name, mark in trained.items()}
        body = {"split": values.split, "best_possible": best, "sources": sources, "slices": sliced}
        _write(values.output, body, {manifest.CTR: ctr.fingerprint(), **marks})
    print("\n\n".join([_table(values.split, sources, best), *(_slice_table(*part) for part in sliced.items())]))


def _category_names(directory: str, ctr: manifest.Manifest) -> dict[int, str]:
    graph = manifest.read(directory, manifest.CKG)
    manifest.require_same_ids(ctr, graph)
    return slices.category_names(directory, graph)


def _judge(
    directory: str,
    ctr: manifest.Manifest,
    split: str,
    models: Mapping[str, str],
    baselines: Sequence[str],
    config: Config,
    by: tuple[str, ...],
    categories: Mapping[int, str],
) -> tuple[Judged, dict[str, Judged]]:
    from kdcn_tf.data import filesystems
    from kdcn_tf.data.failures import translated
    from kdcn_tf.training import evaluation
    from kdcn_tf.training.finetune import load_model

    filesystems.require(directory, *models.values())
    data = evaluation.Heldout(directory, ctr, split)
    counts = slices.train_counts(directory, ctr) if set(by) & set(slices.COUNTED) else slices.TrainCounts.none()
    slicing = evaluation.Slicing(by, counts, categories)
    sources: Judged = {}
    sliced: dict[str, Judged] = {name: {} for name in by}
    for name in (*models, *baselines):
        log.info("judging %s", name)
        if name in models:
            with translated(models[name]):
                found = evaluation.judge(data, name, evaluation.kdcn_scorer(*load_model(models[name]), data), slicing)
        else:
            found = evaluation.judge(data, name, evaluation.baseline_scorer(name, data, config), slicing)
        for into, figures_of in ((sources, found.sources), *((sliced[n], part) for n, part in found.slices.items())):
            for value, figures in figures_of.items():
                into.setdefault(value, {})[name] = figures
    return sources, sliced


def _best_possible(directory: str, ctr: manifest.Manifest, split: str) -> dict[str, float | None]:
    """AUC of a model that knows every click probability, where the logs are simulated."""
    raw = manifest.read(directory, manifest.RAW)
    if ctr.inputs.get(manifest.RAW) != raw.fingerprint():
        raise ConfigError(f"--raw {directory}: the CTR dataset was built from other logs")
    figures = raw.info.get("simulation", {})
    return {"auc": figures[f"bayes_auc_{split}"]} if f"bayes_auc_{split}" in figures else {}


def _write(output: str, body: dict, inputs: dict[str, str]) -> None:
    rows = int(next(iter(body["sources"][slices.ALL].values()))["impressions"])
    text = json.dumps(body, indent=1, ensure_ascii=False) + "\n"
    files.write_atomic(files.join(output, METRICS_FILE), text.encode())
    described = manifest.describe_file(output, METRICS_FILE, rows)
    manifest.write(
        output,
        manifest.Manifest(
            kind=manifest.EVALUATION,
            files={"metrics": (described,)},
            counts={"impressions": rows},
            inputs=inputs,
            info={"split": body["split"]},
        ),
    )


def _table(split: str, judged: Judged, best: Mapping[str, float | None]) -> str:
    widest = max(len(name) for rows in judged.values() for name in (*rows, "best possible"))
    lines = []
    for source, rows in judged.items():
        some = next(iter(rows.values()))
        lines.append(
            f"{split} impressions, {source}: {some['impressions']:,.0f}, of which {some['click_rate']:.1%} clicked"
        )
        lines.append("  ".join([f"{'':{widest}}", *(f"{name:>11}" for name in SHOWN)]))
        for name, figures in rows.items():
            lines.append("  ".join([f"{name:{widest}}", *(f"{_shown(figures[key]):>11}" for key in SHOWN)]))
        if best and source == slices.ALL:
            lines.append("  ".join([f"{'best possible':{widest}}", f"{_shown(best['auc']):>11}"]))
        lines.append("")
    return "\n".join(lines).rstrip()


def _slice_table(by: str, judged: Judged) -> str:
    """A row per slice and model, of the largest slices."""
    sizes = {name: next(iter(rows.values()))["impressions"] or 0 for name, rows in judged.items()}
    kept = set(sorted(sizes, key=lambda name: (-sizes[name], name))[:SHOWN_SLICES])
    head = (by, "model", "impressions", "clicked", *SHOWN)
    rows = [
        (name, model, f"{figures['impressions']:,.0f}", f"{figures['click_rate']:.1%}",
         *(_shown(figures[key]) for key in SHOWN))
        for name, models in judged.items() if name in kept for model, figures in models.items()
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [f"by {by}: {slices.NAMES[by]}"]
    for row in (head, *rows):
        left, right = zip(row[:2], widths[:2], strict=True), zip(row[2:], widths[2:], strict=True)
        lines.append("  ".join([*(f"{cell:<{w}}" for cell, w in left), *(f"{cell:>{w}}" for cell, w in right)]))
    if more := len(judged) - len(kept):
        lines.append(f"and {more:,} smaller ones in {METRICS_FILE}")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
