"""What a model card says, as facts ready for JSON: from manifests, and from one reading of the data they describe."""

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kdcn_tf import __version__, ckg, manifest, options, records
from kdcn_tf.config import Config
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.records import OOV_ID
from kdcn_tf.training.evaluation import Heldout
from kdcn_tf.training.metrics import selection_score
from kdcn_tf.training.slices import Counts, TrainCounts, train_counts

SPLITS = ("train", "valid", "test")

_SECTIONS = {manifest.KDCN_MODEL: ("kdcn", "finetune"), manifest.CTR: ("logs", "ctr"),
             manifest.CKG: ("ckg",)}  # fmt: skip
"""Kind of manifest -> sections of the configuration that decided about it."""


def facts(
    *,
    model: ClickModel,
    trained: Manifest,
    ctr_directory: str,
    ctr: Manifest,
    graph: Manifest,
    version: int,
    evaluation: str | None = None,
) -> dict[str, Any]:
    """Everything that the card says.

    Args:
        model: trained.
        trained: its manifest.
        ctr_directory: the dataset that it was trained on.
        ctr: manifest of that dataset.
        graph: manifest of the knowledge graph.
        version: number of the export.
        evaluation: directory of `kdcn evaluate` in which this model was judged.

    Raises:
        DataError: the evaluation judged other models, or a file is wrong.
    """
    measured = read_evaluation(evaluation, trained) if evaluation else None
    splits = describe_splits(ctr_directory, ctr)
    return {
        "made_by": f"kdcn-tf {__version__}",
        "version": version,
        "network": type(model).__name__,
        "parameters": int(model.count_params()),
        "fingerprint": trained.fingerprint(),
        "inputs": dict(trained.inputs),
        "id_map": trained.require_id_map().fingerprint,
        "dataset": ctr.fingerprint(),
        "graph": graph.fingerprint(),
        "trained_on_dataset": trained.inputs.get(manifest.CTR) == ctr.fingerprint(),
        "features": {
            "behaviors": list(model.spec.behaviors),
            "statistics": list(model.spec.dense_names),
            "constant_statistics": [
                name for name, std in zip(model.spec.dense_names, model.spec.dense_std, strict=True) if std == 0
            ],
        },
        "cutoff": {name: _time(value) for name, value in (ctr.info.get("time") or {}).items()},
        "splits": splits,
        "entities": {name: graph.require_id_map().size(name) for name in graph.require_id_map().ranges},
        "dropped": _dropped(graph),
        "configuration": _differences(trained, ctr, graph),
        "validation": _validation(trained),
        "measured": measured,
    }


def read_evaluation(directory: str, trained: Manifest) -> dict[str, Any]:
    """What `kdcn evaluate` found of this model, known by its fingerprint.

    Returns:
        "split", "sources" (source -> metrics) and "slices" (way to slice -> slice -> metrics).

    Raises:
        DataError: it judged other models, or its file isn't what it wrote.
    """
    found = manifest.read(directory, manifest.EVALUATION)
    judged = {key.partition("/")[2]: mark for key, mark in found.inputs.items() if "/" in key}
    names = [name for name, mark in judged.items() if mark == trained.fingerprint()]
    if not names:
        others = ", ".join(f"{name} {mark}" for name, mark in judged.items()) or "no trained model"
        raise DataError(f"{directory}: judged {others}, not this model ({trained.fingerprint()})")
    entry = found.group("metrics")[0]
    try:
        body = json.loads(manifest.read_file(directory, entry))
        own = {source: models[names[0]] for source, models in body["sources"].items()}
        parts = body.get("slices", {}).items()
        slices = {by: {name: models[names[0]] for name, models in part.items()} for by, part in parts}
        return {"split": body["split"], "sources": own, "slices": slices}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"{directory}/{entry.name}: not what kdcn evaluate writes: {error!r}") from None


def describe_splits(directory: str, ctr: Manifest) -> dict[str, dict[str, Any]]:
    """Size, click rate, period and share of what is new of each split that has examples; memory grows with entities.

    Raises:
        DataError: a file is wrong.
    """
    known = train_counts(directory, ctr)
    present = [split for split in SPLITS if sum(file.count for file in ctr.files.get(split, ()))]
    return {split: _describe(Heldout(directory, ctr, split, rows=65_536), known) for split in present}


def _describe(data: Heldout, known: TrainCounts) -> dict[str, Any]:
    sums: dict[str, float] = dict.fromkeys(("rows", "clicks", "unknown_users", "unknown_items", "new_users",
                                            "new_items"), 0.0)  # fmt: skip
    first, last, seen = math.inf, -math.inf, TrainCounts.none()
    for examples in data.batches():
        users, items, times = (examples[key] for key in (records.USER, records.ITEM, records.TIMESTAMP))
        seen += TrainCounts.of(examples)
        first, last = min(first, int(times.min())), max(last, int(times.max()))
        for name, value in {
            "rows": len(users),
            "clicks": examples[records.LABEL].sum(),
            "unknown_users": np.sum(users == OOV_ID),
            "unknown_items": np.sum(items == OOV_ID),
            "new_users": np.sum(_unseen(users, known.users)),
            "new_items": np.sum(_unseen(items, known.items)),
        }.items():
            sums[name] += float(value)
    rows = sums.pop("rows")
    return {
        "impressions": int(rows),
        "click_rate": sums.pop("clicks") / rows,
        "first": _time(first),
        "last": _time(last),
        "users": len(seen.users.ids),
        "items": len(seen.items.ids),
        **{name: value / rows for name, value in sums.items()},
    }


def _unseen(ids: np.ndarray, known: Counts) -> np.ndarray:
    """Impressions whose entity training showed never, or never as itself because the graph doesn't know it."""
    return known.of_each(ids) == 0


def _time(seconds: Any) -> str | None:
    """A moment as UTC text; None where there is none."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return None
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} s since 1970"  # outside of the calendar


def _dropped(graph: Manifest) -> dict[str, int]:
    """Attributes that were too rare for the graph, by type, as build-ckg counted them."""
    return {name.removeprefix("rare."): number for name, number in graph.counts.items() if name.startswith("rare.")}


def _differences(*manifests: Manifest) -> dict[str, dict[str, Any]]:
    """`section.field` -> value and default, of all that isn't as by default."""
    defaults: Mapping[str, Any] = options.to_dict(Config())
    found = {}
    for one in manifests:
        for section in _SECTIONS[one.kind]:
            for field, value in (one.config.get(section) or {}).items():
                default = defaults[section].get(field)
                if value != default:
                    found[f"{section}.{field}"] = {"value": value, "default": default}
    return found


def _validation(trained: Manifest) -> dict[str, Any]:
    """Epochs and the figures of the one whose weights were kept."""
    history = trained.info.get("history") or []
    judged = [row for row in history if row.get("valid_log_loss") is not None]
    if not judged:
        return {"epochs": len(history), "best": None}
    best = max(judged, key=lambda row: selection_score(row.get("valid_auc"), row["valid_log_loss"]))
    return {"epochs": len(history), "best": {name: best.get(name) for name in ("epoch", "valid_auc", "valid_log_loss")}}


def known_types(body: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Entity types of the graph in their order, with sizes."""
    order = {name: place for place, name in enumerate(ckg.ENTITY_TYPES)}
    return sorted(body["entities"].items(), key=lambda pair: (order.get(pair[0], len(order)), pair[0]))
