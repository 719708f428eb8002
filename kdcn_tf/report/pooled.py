"""Finished comparisons as one: of periods of the same logs, or of other datasets.

A test period of a few hundred users can't tell models apart; several can. Each comparison counts the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kdcn_tf.errors import DataError
from kdcn_tf.report import figures, statistics, summary, verdict
from kdcn_tf.report.runs import DCN, KDCN, percent
from kdcn_tf.report.statistics import Estimate, Redrawn
from kdcn_tf.training.slices import ALL

Report = Mapping[str, Any]
Row = tuple[str, str, float]  # part, model, fraction

PERIOD = "time."
"""Options that differ from period to period, whatever the model."""


def pool(reports: Mapping[str, Report]) -> dict[str, Any]:
    """The content of a pool's report.json.

    Args:
        reports: name -> report.json of a comparison, two at the least.

    Returns:
        JSON-safe. `gains` are as a comparison's: mean and interval over seeds, `test` over drawn test splits;
        `comparisons` are the interval over the comparisons' own means, which also holds how they differ, and `each`
        names those means. `figures` are flat and named as a comparison's.

    Raises:
        DataError: they have no gain in common.
    """
    every = list(reports.values())
    titles = {name: title for name, title in every[0]["titles"].items() if all(name in one["titles"] for one in every)}
    tables, aucs = {name: _gains(one) for name, one in reports.items()}, [_aucs(one) for one in every]
    same_rows = _same_rows(reports)
    gains = [_gain(row, tables, independent=not same_rows) for row in _shared(list(tables.values()))]
    if not gains:
        raise DataError(f"{', '.join(reports)}: no model was compared with K-DCN in all of them")
    found: dict[str, Any] = {
        "titles": titles,
        "comparisons": {name: _described(one) for name, one in reports.items()},
        "parts": list(dict.fromkeys(gain["part"] for gain in gains)),
        "fractions": sorted({gain["fraction"] for gain in gains}),
        "gains": gains,
        "auc": [_auc(row, aucs) for row in _shared(aucs)],
        "convergence": [made for other in figures.RATIOS if (made := _convergence(other, every))],
        "notes": [*same_rows, *_missing(tables), *_settings(reports, titles)],
    }
    found["headline"] = _headline(found)
    return summary.plain({"figures": _figures(found), **found})


def _described(report: Report) -> dict[str, Any]:
    sizes = {part["name"]: {"rows": part["rows"], "clicks": part["clicks"]} for part in report["parts"]}
    named = {key: report["dataset"].get(key) for key in ("name", "fingerprint")}
    return {**named, "seeds": report["seeds"], "test": sizes, "command": report["settings"].get("command")}


def _gains(report: Report) -> dict[Row, Mapping[str, Any]]:
    return {(gain["part"], gain["over"], gain["fraction"]): gain for gain in report["gains"]}


def _aucs(report: Report) -> dict[Row, Mapping[str, Any]]:
    return {
        (row["part"], model, row["fraction"]): auc for row in report["scarcity"] for model, auc in row["auc"].items()
    }


def _shared(tables: Sequence[Mapping[Row, Any]]) -> list[Row]:
    """Rows that all have, in the first's order."""
    return [row for row in tables[0] if all(row in table for table in tables)]


def _estimate(of: Mapping[str, Any], runs: str = "number") -> Estimate:
    return Estimate(of["mean"], of["low"], of["high"], of[runs])


def _gain(row: Row, tables: Mapping[str, Mapping[Row, Any]], independent: bool) -> dict[str, Any]:
    own = [table[row] for table in tables.values()]
    over_seeds = statistics.pooled([_estimate(gain, "seeds") for gain in own])
    test = Redrawn()
    if independent:
        test = statistics.pooled_draws([(gain["test"]["low"], gain["test"]["high"]) for gain in own], over_seeds.mean)
    part, other, fraction = row
    gain = {
        "part": part, "over": other, "fraction": fraction, "mean": over_seeds.mean, "low": over_seeds.low,
        "high": over_seeds.high, "seeds": min(gain["seeds"] for gain in own), "test": asdict(test),
        "comparisons": asdict(statistics.mean_over_seeds([gain["mean"] for gain in own])),
        "each": {name: gain["mean"] for name, gain in zip(tables, own, strict=True)},
    }  # fmt: skip
    return {**gain, "verdict": verdict.of(gain)}


def _auc(row: Row, tables: Sequence[Mapping[Row, Any]]) -> dict[str, Any]:
    part, model, fraction = row
    found = statistics.pooled([_estimate(table[row]) for table in tables])
    return {"part": part, "model": model, "fraction": fraction, **asdict(found)}


def _convergence(other: str, every: Sequence[Report]) -> dict[str, Any] | None:
    """Of K-DCN to the best of another model; None unless all comparisons have it."""
    rows = [row for report in every for row in report["convergence"] if row["to_best_of"] == other]
    if len(rows) < len(every):
        return None
    return {"to_best_of": other} | {
        name: asdict(statistics.pooled([_estimate(row[name]) for row in rows])) for name in ("ratio", "examples_ratio")
    }


def _same_rows(reports: Mapping[str, Report]) -> list[str]:
    """Comparisons on one dataset: drawn test sets of theirs aren't independent."""
    by_dataset: dict[str, list[str]] = {}
    for name, report in reports.items():
        by_dataset.setdefault(report["dataset"].get("fingerprint") or name, []).append(name)
    return [
        f"{' and '.join(names)} are judged on the same test rows, so there is no interval over drawn test sets."
        for names in by_dataset.values() if len(names) > 1
    ]  # fmt: skip


def _missing(tables: Mapping[str, Mapping[Row, Any]]) -> list[str]:
    """What isn't pooled because a comparison lacks it."""
    kept, told = set(_shared(list(tables.values()))), []
    for name, table in tables.items():
        alone = [row for row in table if row not in kept]
        if alone:
            listed = ", ".join(f"{other} on {part} at {percent(fraction)}" for part, other, fraction in alone)
            told.append(f"Only a part of the comparisons, {name} among them, has {listed}: left out.")
    return told


def _settings(reports: Mapping[str, Report], titles: Mapping[str, str]) -> list[str]:
    """Models that were trained by other settings here than there."""
    told = []
    for model in titles:
        own = [report["settings"].get("models", {}).get(model, {}) for report in reports.values()]
        names = {name for settings in own for name in settings if not name.startswith(PERIOD)}
        if other := sorted(name for name in names if any(one.get(name) != own[0].get(name) for one in own)):
            told.append(f"{titles[model]} hadn't the same {', '.join(other)} in all comparisons.")
    return told


def _headline(found: Mapping[str, Any]) -> str:
    full = [gain for gain in found["gains"] if gain["fraction"] == 1]
    if not full:
        return "No comparison on all training rows is shared."
    others = list(dict.fromkeys(gain["over"] for gain in full))
    measured_by = DCN if DCN in others else others[0]
    sources = [part for part in found["parts"] if part != ALL] or [ALL]
    own = [gain for gain in full if gain["over"] == measured_by and gain["part"] in sources]
    return verdict.headline(found["titles"][KDCN], found["titles"][measured_by], own)


def _figures(found: Mapping[str, Any]) -> dict[str, float | None]:
    made: dict[str, float | None] = {}
    for gain in found["gains"]:
        name = figures.of_gain(gain)
        made |= figures.with_interval(name, gain)
        for end in ("low", "high"):
            made[f"{name}_comparisons_{end}"] = gain["comparisons"][end]
    for row in found["convergence"]:
        name = figures.RATIOS[row["to_best_of"]]
        made |= figures.with_interval(name, row["ratio"]) | figures.with_interval(
            f"{name}_in_examples", row["examples_ratio"]
        )
    return made
