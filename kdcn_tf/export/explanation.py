"""An explanation of one impression for people: with names in place of ids, as JSON and as text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdcn_tf import ckg, records
from kdcn_tf.ckg import PAD_ID
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.export import golden
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.kdcn import DIALOGUE, USER_STATE
from kdcn_tf.training import metrics
from kdcn_tf.training.explaining import BEHAVIORS, Examples, Explanation, Typical

UNKNOWN = "(unknown)"

NO_ATTENTION = "The network has no dialogue interaction, so there is no attention to show."
NO_KEYWORDS = "Neither query nor title has a keyword that the graph knows, so nothing attends to anything."

STRONGEST = 3
"""Keywords that the terminal shows per keyword; the files hold all."""

_LABELS = {
    USER_STATE: "user state u", DIALOGUE: "dialogue interaction d", records.USER: "the user's own vector",
    records.ITEM: "the candidate's own vector", records.QUERY_KEYWORDS: "query", records.TITLE_KEYWORDS: "title",
    records.CATEGORIES: "categories", records.DENSE: "statistics", BEHAVIORS: "all behaviours",
}  # fmt: skip


def label(group: str) -> str:
    """A group of features as people read it."""
    return _LABELS.get(group, f"behaviours: {group.removeprefix(records.behavior_key(''))}")


def describe(
    example: Examples, spec: CtrSpec, ckg_directory: str, graph: Manifest, found: Explanation, usual: Typical
) -> dict[str, Any]:
    """Everything about the impression, JSON-ready. Users are named by their pseudonym, as the graph holds them.

    Args:
        example: the impression, feature key -> [1, ...].
        spec: its features.
        ckg_directory: whose keys name the entities.
        graph: manifest of that dataset.
        found: its explanation.
        usual: changes over a sample.

    Raises:
        DataError: an id map file is wrong.
    """
    keys = golden.keys_of(ckg_directory, graph, golden.wanted_ids(example, spec))

    def names(key: str) -> list[str]:
        return [keys[int(i)].decode() if int(i) in keys else UNKNOWN for i in example[key].ravel() if i != PAD_ID]

    query, title = names(records.QUERY_KEYWORDS), names(records.TITLE_KEYWORDS)
    statistics = zip(spec.dense_names, map(float, example[records.DENSE][0]), strict=True)
    return {
        "probability": float(metrics.probabilities(np.array(found.logit))),
        "logit": found.logit,
        "clicked": bool(example[records.LABEL][0]),
        ckg.USER: names(records.USER)[0],
        "candidate": names(records.ITEM)[0],
        "categories": names(records.CATEGORIES),
        "query": query,
        "title": title,
        "behaviors": {kind: names(records.behavior_key(kind)) for kind in spec.behaviors},
        "statistics": {name: value if math.isfinite(value) else None for name, value in statistics},
        "changes": [
            {"group": group, "label": label(group), "change": change,
             "mean": usual.mean[group], "mean_size": usual.size[group]}
            for group, change in sorted(found.changes.items(), key=lambda pair: -abs(pair[1]))
        ],
        "sample": usual.rows,
        "attention": None if found.attention is None else _attention(found.attention, example, spec, query, title),
    }  # fmt: skip


def _attention(
    weights: np.ndarray, example: Examples, spec: CtrSpec, query: Sequence[str], title: Sequence[str]
) -> dict[str, Any]:
    """Weights of the places that hold a keyword, with their texts; each head and their mean."""
    ids = np.concatenate([example[records.QUERY_KEYWORDS][0], example[records.TITLE_KEYWORDS][0]])
    places = np.flatnonzero(ids != PAD_ID)
    heads = weights[:, places][:, :, places]
    texts = [*(("query", text) for text in query), *(("title", text) for text in title)]
    return {
        "keywords": [{"of": of, "text": text} for of, text in texts],
        "mean": heads.mean(axis=0).round(6).tolist(),
        "heads": heads.round(6).tolist(),
    }


def text(body: Mapping[str, Any]) -> str:
    """The explanation for a terminal."""
    lines = [
        f"row {body['row']:,} of split {body['split']!r}: {verdict(body)}",
        *circumstances(body),
        "",
        f"logit without a group minus with it (beside it the mean of {body['sample']:,} rows):",
    ]
    widest = max(len(row["label"]) for row in body["changes"])
    lines.append(f"{'group':{widest}}  {'change':>8}  {'mean':>8}  {'size':>8}")
    lines += [
        f"{row['label']:{widest}}  {row['change']:>+8.3f}  {row['mean']:>+8.3f}  {row['mean_size']:>8.3f}"
        for row in body["changes"]
    ]
    return "\n".join([*lines, "", *_attention_lines(body)])


def verdict(body: Mapping[str, Any]) -> str:
    """What the model said of the impression, and what happened."""
    happened = "clicked" if body["clicked"] else "not clicked"
    return f"click probability {body['probability']:.4f} (logit {body['logit']:+.4f}); {happened} in the log"


def circumstances(body: Mapping[str, Any]) -> list[str]:
    """What the model saw of the impression, and what else it scored in the session."""
    nothing = "nothing"
    before = [f"{kind}: {', '.join(items) or nothing}" for kind, items in body["behaviors"].items()]
    statistics = [f"{name} {'missing' if v is None else f'{v:g}'}" for name, v in body["statistics"].items()]
    return [
        f"user {body['user']}, candidate {body['candidate']}, category {' > '.join(body['categories']) or nothing}",
        f"query: {', '.join(body['query']) or nothing}; title: {', '.join(body['title']) or nothing}",
        f"behaviours before: {'; '.join(before)}",
        f"statistics: {', '.join(statistics) or nothing}",
        *([] if len(body["session"]) < 2 else [f"its session: {_session(body['session'])}"]),
    ]


def _session(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"row {row['row']:,} at {row['probability']:.4f}" for row in rows)


def why_no_attention(body: Mapping[str, Any]) -> str:
    """Why there is no attention to show; empty if there is some."""
    if body["attention"] is None:
        return NO_ATTENTION
    return "" if body["attention"]["keywords"] else NO_KEYWORDS


def named_keywords(body: Mapping[str, Any]) -> list[str]:
    """The keywords that attend, each with where it comes from."""
    return [f"{word['text']} ({word['of']})" for word in body["attention"]["keywords"]]


def _attention_lines(body: Mapping[str, Any]) -> list[str]:
    if reason := why_no_attention(body):
        return [reason]
    found, named = body["attention"], named_keywords(body)
    lines = [f"attention, mean of {len(found['heads'])} heads: what each keyword takes from which"]
    for name, weights in zip(named, found["mean"], strict=True):
        strongest = sorted(zip(weights, named, strict=True), key=lambda pair: -pair[0])[:STRONGEST]
        lines.append(f"  {name} <- " + ", ".join(f"{other} {weight:.2f}" for weight, other in strongest))
    return lines
