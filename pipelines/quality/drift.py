"""How two datasets differ: distributions and rates of their statistics, compared."""

import math
from collections.abc import Mapping
from typing import Any

from kdcn_tf import manifest
from kdcn_tf.errors import DataError
from pipelines.quality import cells

Distribution = Mapping[str, float]
"""Key -> how often it occurs."""

_FLOOR = 1e-4  # a share of 0 would make the stability index infinite
_SHOWN = 20
_RATE_STEPS = 20
OTHERS = "(others)"
MEASURES = ("jensen_shannon", "l_infinity", "stability_index")


def distributions(found: dict[str, Any]) -> dict[str, Distribution]:
    """Every categorical distribution of a dataset's statistics, by name."""
    if found["kind"] == manifest.CKG:
        return _of_graph(found)
    shown: dict[str, Distribution] = {"examples by split": {n: s["examples"] for n, s in found["splits"].items()}}
    for name, split in found["splits"].items():
        for group, body in split["by"].items():
            if group == "day":
                shown[f"{name}: label rate of the day"] = _by_label_rate(body)
                continue
            for what, counts in body.items():
                shown[f"{name}: {what} by {group}"] = _all(counts)
        for feature, body in split["features"].items():
            shown[f"{name}: values of {feature}"] = _all(body["lengths"])
        for feature, body in split.get("dense", {}).items():
            shown[f"{name}: dense {feature}"] = body.get("buckets", {})
    return shown


def _of_graph(found: dict[str, Any]) -> dict[str, Distribution]:
    shown: dict[str, Distribution] = {
        "triples by split": {name: split["triples"] for name, split in found["splits"].items()},
        "entities by type": {name: body["entities"] for name, body in found["entities"].items() if body["entities"]},
    }
    for name, split in found["splits"].items():
        shown[f"{name}: triples by pattern"] = {p.replace("\t", " "): n for p, n in split["patterns"].items()}
        if split["weight"]["number"]:
            shown[f"{name}: records of a triple"] = split["weight"]["buckets"]
    for kind, body in found["degrees"].items():
        shown[f"degree of {kind}"] = body["histogram"]
    return shown


def _all(counts: dict[str, Any]) -> Distribution:
    return counts["numbers"] | ({OTHERS: counts["others"]} if counts["others"] else {})


def _by_label_rate(body: dict[str, Any]) -> Distribution:
    """Examples by the label rate of their day: days of two datasets are different ones.

    Each day is shared out between the two steps of 0.05 around its rate, so that a small change stays small.
    """
    positives = body["positives"]["numbers"]
    shown: dict[str, float] = {}
    for day, number in body["examples"]["numbers"].items():
        low, part = divmod(_RATE_STEPS * positives.get(day, 0) / number, 1)
        for step, share in ((low, 1 - part), (low + 1, part)):
            if share:
                key = f"{step / _RATE_STEPS:.2f}"
                shown[key] = shown.get(key, 0.0) + share * number
    return dict(sorted(shown.items()))


def rates(found: dict[str, Any]) -> dict[str, float]:
    """Shares from 0 to 1 that aren't of a distribution, by name."""
    shown: dict[str, float] = {}

    def add(name: str, part: float, whole: float) -> None:
        if whole:
            shown[name] = part / whole

    if found["kind"] == manifest.CKG:
        for kind, body in found["degrees"].items():
            add(f"isolated {kind}", body["isolated"], found["entities"][kind]["entities"])
        for name, split in found["splits"].items():
            add(f"{name}: self-loops", split["self_loops"], split["triples"])
        return shown
    for name, split in found["splits"].items():
        add(f"{name}: label rate", split["positives"], split["examples"])
        by_source = split["by"]["source"]
        for source, number in by_source["examples"]["numbers"].items():
            add(f"{name}: label rate of source {source}", by_source["positives"]["numbers"].get(source, 0), number)
        for feature, body in split["features"].items():
            add(f"{name}: missing {feature}", body["missing"], split["examples"])
            add(f"{name}: unknown {feature}", body["oov"], body["values"])
        for feature, body in split.get("dense", {}).items():
            add(f"{name}: missing dense {feature}", body["missing"], split["examples"])
    return shown


def shares(distribution: Distribution) -> dict[str, float]:
    total = sum(distribution.values())
    return {key: number / total for key, number in distribution.items()} if total else {}


def compare(a: Distribution, b: Distribution) -> dict[str, Any]:
    """Measures of how far two distributions are apart, all 0 for equal ones.

    Returns:
        jensen_shannon: divergence to base 2, in [0, 1]; 1 also where only one of both holds anything.
        l_infinity: largest difference of a key's shares, in [0, 1].
        stability_index: population stability index, sum of (p - q) ln(p / q); shares are at least 1e-4 in it.
        largest: [key, share in a, share in b] of the largest differences.
        only_a, only_b: number of keys that only one of both has, and the first of them.
    """
    p, q = shares(a), shares(b)
    keys = sorted(p.keys() | q.keys())
    pairs = [(key, p.get(key, 0.0), q.get(key, 0.0)) for key in keys]
    largest = sorted(pairs, key=lambda row: (-abs(row[1] - row[2]), row[0]))
    only = [
        [key for key, mine, other in pairs if mine and not other],
        [key for key, mine, other in pairs if other and not mine],
    ]
    return {
        "jensen_shannon": _jensen_shannon(pairs) if p and q else float(bool(p or q)),
        "l_infinity": max((abs(x - y) for _, x, y in pairs), default=0.0),
        "stability_index": sum(_stability(x, y) for _, x, y in pairs),
        "largest": [list(row) for row in largest[:_SHOWN] if row[1] != row[2]],
        "only_a": {"number": len(only[0]), "first": only[0][:_SHOWN]},
        "only_b": {"number": len(only[1]), "first": only[1][:_SHOWN]},
    }


def _jensen_shannon(pairs: list[tuple[str, float, float]]) -> float:
    def part(x: float, y: float) -> float:
        return x * math.log2(2 * x / (x + y)) if x else 0.0

    return max(0.0, math.fsum(part(x, y) + part(y, x) for _, x, y in pairs) / 2)


def _stability(x: float, y: float) -> float:
    x, y = max(x, _FLOOR), max(y, _FLOOR)
    return (x - y) * math.log(x / y)


def drift(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Drift from statistics a to statistics b (`drift.json`).

    Raises:
        DataError: they are of datasets of different kinds, or of another format.
    """
    for found in (a, b):
        if found.get("format") != cells.FORMAT:
            raise DataError(f"statistics of format {found.get('format')!r}, this version reads {cells.FORMAT}")
    if a["kind"] != b["kind"]:
        raise DataError(f"a {a['kind']} dataset can't be compared with a {b['kind']} dataset")
    before, after = distributions(a), distributions(b)
    skipped = _incomparable(a, b)
    names = [name for name in {**before, **after} if not any(name.endswith(end) for end in skipped)]
    rate_a, rate_b = rates(a), rates(b)
    body = {
        "format": cells.FORMAT,
        "kind": a["kind"],
        "a": a["dataset"],
        "b": b["dataset"],
        "distributions": {name: compare(before.get(name, {}), after.get(name, {})) for name in names},
        "rates": {
            name: {"a": rate_a[name], "b": rate_b[name], "change": rate_b[name] - rate_a[name]}
            for name in rate_a
            if name in rate_b
        },
        "not_compared": sorted(name for name in {**before, **after} if name not in names),
    }
    return body | {"new": _names_of_one(b, a), "gone": _names_of_one(a, b)}


def _incomparable(a: dict[str, Any], b: dict[str, Any]) -> tuple[str, ...]:
    """Distributions over ids, where the ids of the two datasets are of different id maps."""
    if a["kind"] == manifest.CKG or (a["named_categories"] and b["named_categories"]):
        return ()
    return () if a["id_map"] == b["id_map"] and a["named_categories"] == b["named_categories"] else (" by category",)


def _names_of_one(mine: dict[str, Any], other: dict[str, Any]) -> dict[str, list[str]]:
    """Entity types, patterns and relations (or dense statistics and behaviours) of `mine` that `other` lacks."""

    def names(found: dict[str, Any]) -> dict[str, set[str]]:
        splits = found["splits"].values()
        if found["kind"] == manifest.CKG:
            patterns = {pattern for split in splits for pattern in split["patterns"]}
            return {
                "types": {kind for kind, body in found["entities"].items() if body["entities"]},
                "relations": {pattern.split("\t")[1] for pattern in patterns},
                "patterns": {pattern.replace("\t", " ") for pattern in patterns},
            }
        return {
            "features": {feature for split in splits for feature in split["features"]},
            "dense": {feature for split in splits for feature in split.get("dense", {})},
            "sources": {source for split in splits for source in split["by"]["source"]["examples"]["numbers"]},
        }

    before = names(other)
    return {what: sorted(found - before[what]) for what, found in names(mine).items()}


def worst(found: dict[str, Any]) -> list[tuple[float, str, str]]:
    """(value, measure, name) of every divergence, largest first; changes of rates as "rate_change"."""
    rows = [(body[measure], measure, name) for name, body in found["distributions"].items() for measure in MEASURES]
    rows += [(abs(body["change"]), "rate_change", name) for name, body in found["rates"].items()]
    return sorted(rows, key=lambda row: (-row[0], row[1], row[2]))
