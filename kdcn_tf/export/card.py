"""The model card of an export, as Markdown: what the model is, what it was trained on, how good it is, its limits."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kdcn_tf import manifest
from kdcn_tf.export.card_facts import known_types

JSON_FILE, MARKDOWN_FILE = "model_card.json", "model_card.md"

_METRICS = ("auc", "gauc", "log_loss", "ndcg@10", "calibration", "calibration_error")

_FEW = 100
"""Impressions below which a slice's figures say little."""

_USE = """It ranks items inside a shopping conversation: the click probability of a candidate item for a user and a
query, given what the user did before. Probabilities are those of the source of the training impressions; where the
model itself decides what is shown, they drift, and it has to be trained anew. It isn't made for decisions about people,
prices or credit, and not for items or users of other catalogues: ids of another graph mean nothing to it."""


def markdown(facts: Mapping[str, Any]) -> bytes:
    """The card; `facts` as `card_facts.facts` gives them."""
    parts = [
        f"# Model card: {facts['network']}, version {facts['version']}",
        "## What it is",
        _table(("", ""), _identity(facts)),
        "## Intended use",
        _USE,
        "## Data",
        _cutoffs(facts["cutoff"]),
        _table(("split", "impressions", "click rate", "first", "last", "users", "items"), _sizes(facts["splits"])),
        _table(("type of entity", "in the graph", "too rare for it"), _entities(facts)),
        "## Quality",
        _validation(facts["validation"]),
        *_measured(facts["measured"]),
        "## Limits",
        "\n".join(f"- {_escaped(line)}" for line in limits(facts)),
        "## Configuration",
        *_configuration(facts["configuration"]),
    ]
    return ("\n\n".join(parts) + "\n").encode("utf-8", "replace")


def limits(facts: Mapping[str, Any]) -> list[str]:
    """What isn't known of the model, or known to be weak."""
    found = []
    if not facts["trained_on_dataset"]:
        found.append(
            f"The data described here ({facts['dataset']}) aren't those that it was trained on "
            f"({facts['inputs'].get(manifest.CTR, 'not known')})."
        )
    train = facts["splits"].get("train")
    if train:
        found.append(f"It learnt from impressions of {train['first']} to {train['last']}; it knows nothing later.")
    for split, body in facts["splits"].items():
        if split != "train":
            found.append(
                f"Cold start, {split} split: {body['new_users']:.1%} of the impressions are of users without one in "
                f"training ({body['unknown_users']:.1%} of users that the graph doesn't know), {body['new_items']:.1%} "
                f"of candidates without one ({body['unknown_items']:.1%} unknown to the graph)."
            )
    if dropped := sum(facts["dropped"].values()):
        found.append(f"{dropped:,} attributes were too rare for the graph: the model can't tell them apart.")
    if constant := facts["features"]["constant_statistics"]:
        found.append(f"Statistics that never varied in training, and so count nothing: {', '.join(constant)}.")
    return [*found, *_unmeasured(facts["measured"])]


def _unmeasured(measured: Mapping[str, Any] | None) -> list[str]:
    always = "Not measured: the effect on real clicks, fairness between groups of people, other languages or sources."
    if measured is None:
        return ["Its quality on held-out impressions after validation wasn't measured for this card.", always]
    slices = [(by, name, figures) for by, part in measured["slices"].items() for name, figures in part.items()]
    found = []
    if undefined := [f"{by} {name}" for by, name, figures in slices if figures["auc"] is None]:
        found.append(f"AUC is undefined, for want of a click or of a non-click, in: {', '.join(undefined)}.")
    if few := [f"{by} {name}" for by, name, figures in slices if figures["impressions"] < _FEW]:
        found.append(f"Fewer than {_FEW} impressions, so hardly measured: {', '.join(few)}.")
    if not slices:
        found.append("Not measured by slices: the evaluation has none.")
    return [*found, always]


def _identity(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    features, inputs = facts["features"], facts["inputs"]
    return [
        ("network", facts["network"]),
        ("parameters", f"{facts['parameters']:,}"),
        ("behaviours", ", ".join(features["behaviors"])),
        ("statistics", ", ".join(features["statistics"]) or "none"),
        ("fingerprint of the model", facts["fingerprint"]),
        ("of its id map", facts["id_map"]),
        ("of its CTR dataset", inputs.get(manifest.CTR, "not known")),
        ("of its embeddings", inputs.get(manifest.EMBEDDINGS, "none: it started from random vectors")),
        ("of the knowledge graph", facts["graph"]),
        ("exported by", facts["made_by"]),
    ]


def _cutoffs(cutoff: Mapping[str, str | None]) -> str:
    ends = {"train_end": "training data end before", "valid_end": "validation data end before"}
    told = [f"{text} {cutoff[name]}" for name, text in ends.items() if cutoff.get(name)]
    return f"Split by time: {', '.join(told)}." if told else "Split by time; the dataset doesn't say when."


def _sizes(splits: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (name, f"{body['impressions']:,}", f"{body['click_rate']:.2%}", body["first"], body["last"],
         f"{body['users']:,}", f"{body['items']:,}")
        for name, body in splits.items()
    ]  # fmt: skip


def _entities(facts: Mapping[str, Any]) -> list[tuple[str, ...]]:
    dropped = facts["dropped"]
    return [(name, f"{size:,}", f"{dropped.get(name, 0):,}") for name, size in known_types(facts)]


def _validation(found: Mapping[str, Any]) -> str:
    best = found["best"]
    if best is None:
        return "Validation: no figures."
    return (
        f"Validation, epoch {best['epoch'] + 1} of {found['epochs']} (the best is kept): "
        f"AUC {_shown(best['valid_auc'])}, log loss {_shown(best['valid_log_loss'])}."
    )


def _measured(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return []
    header = ("impressions", "clicked", *_METRICS)
    parts = [
        f"Split {found['split']!r}, by `kdcn evaluate`:",
        _table(("source", *header), [(name, *_figures(one)) for name, one in found["sources"].items()]),
    ]
    for by, slices in found["slices"].items():
        parts.append(_table((by, *header), [(name, *_figures(one)) for name, one in slices.items()]))
    return parts


def _figures(one: Mapping[str, Any]) -> list[str]:
    clicked = one["click_rate"]
    rate = "undefined" if clicked is None else f"{clicked:.1%}"
    return [f"{one['impressions']:,.0f}", rate, *(_shown(one.get(name)) for name in _METRICS)]


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _configuration(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not found:
        return ["All as by default."]
    rows = [(name, str(one["value"]), str(one["default"])) for name, one in found.items()]
    return ["What isn't as by default:", _table(("field", "value", "default"), rows)]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(text: str) -> str:
    """Names from the data can't end a cell or a line, or become markup where the card is shown as HTML."""
    for sign, shown in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("\n", " ")):
        text = text.replace(sign, shown)
    return text
