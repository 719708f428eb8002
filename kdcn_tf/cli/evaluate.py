"""Compares trained models and baselines on held-out impressions.

  kdcn evaluate --ctr=CTR --model=kdcn=DIR --model=other=DIR --baseline=lr --output=DIR

Prints a table, for all impressions and for each source, and writes it as metrics.json. With --raw, logs
whose best possible AUC is known (kdcn simulate), that stands beside the models.
"""

import json
import logging
from collections.abc import Mapping, Sequence

from absl import flags

from kdcn_tf import command, files, manifest
from kdcn_tf.errors import ConfigError, DataError

NAME = "evaluate"
METRICS_FILE = "metrics.json"
log = logging.getLogger(__name__)

SHOWN = ("auc", "gauc", "log_loss", "ndcg@10", "calibration")

Judged = dict[str, dict[str, dict[str, float | None]]]
"""Source -> model -> metrics."""


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("ctr", None, "CTR dataset, from build-ctr", flag_values=values)
    flags.DEFINE_multi_string("model", [], "NAME=DIR of a model from train-kdcn; repeatable", flag_values=values)
    flags.DEFINE_multi_enum("baseline", [], ["lr"], "baseline to fit beside them; repeatable", flag_values=values)
    flags.DEFINE_enum("split", "test", ["train", "valid", "test"], "impressions to judge by", flag_values=values)
    flags.DEFINE_string("raw", None, "simulated raw logs, for their best possible AUC", flag_values=values)
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
    models, baselines = _models(values.model or ()), list(dict.fromkeys(values.baseline or ()))
    if not models and not baselines:
        raise ConfigError("--model: is required, or --baseline")
    if both := set(models) & set(baselines):
        raise ConfigError(f"--model {both.pop()}: a baseline has this name")
    ctr = manifest.read(values.ctr, manifest.CTR)
    trained = {name: manifest.read(path, manifest.KDCN_MODEL).fingerprint() for name, path in models.items()}
    best = _best_possible(values.raw, ctr, values.split) if values.raw else {}
    manifest.prepare_output(values.output, manifest.EVALUATION, values.overwrite)
    with manifest.discarded_on_failure(values.output):
        judged, rows = _judge(values.ctr, ctr, values.split, models, baselines)
        marks = {f"{manifest.KDCN_MODEL}/{name}": mark for name, mark in trained.items()}
        body = {"split": values.split, "best_possible": best, "sources": judged}
        _write(values.output, body, rows, {manifest.CTR: ctr.fingerprint(), **marks})
    print(_table(values.split, judged, best))


def _judge(
    directory: str, ctr: manifest.Manifest, split: str, models: Mapping[str, str], baselines: Sequence[str]
) -> tuple[Judged, int]:
    from kdcn_tf.data import filesystems
    from kdcn_tf.data.failures import translated
    from kdcn_tf.training import evaluation
    from kdcn_tf.training.finetune import load_model

    filesystems.require(directory, *models.values())
    data = evaluation.heldout(directory, ctr, split)
    logits = {}
    for name, path in models.items():
        log.info("scoring %s", name)
        with translated(path):
            logits[name] = evaluation.score_kdcn(*load_model(path), data)
    for name in baselines:
        log.info("fitting %s", name)
        logits[name] = evaluation.BASELINES[name](data)
    judged: Judged = {}
    for name, scored in logits.items():
        try:
            found = evaluation.judge(data, scored)
        except ValueError as error:
            raise DataError(f"model {name!r}: {error}") from None
        for source, figures in found.items():
            judged.setdefault(source, {})[name] = figures
    return judged, len(next(iter(logits.values())))


def _best_possible(directory: str, ctr: manifest.Manifest, split: str) -> dict[str, float | None]:
    """AUC of a model that knows every click probability, where the logs are simulated."""
    raw = manifest.read(directory, manifest.RAW)
    if ctr.inputs.get(manifest.RAW) != raw.fingerprint():
        raise ConfigError(f"--raw {directory}: the CTR dataset was built from other logs")
    figures = raw.info.get("simulation", {})
    return {"auc": figures[f"bayes_auc_{split}"]} if f"bayes_auc_{split}" in figures else {}


def _write(output: str, body: dict, rows: int, inputs: dict[str, str]) -> None:
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
        if best and source == "all":
            lines.append("  ".join([f"{'best possible':{widest}}", f"{_shown(best['auc']):>11}"]))
        lines.append("")
    return "\n".join(lines).rstrip()


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
