"""The comparison's key figures: flat names, for tests and dashboards."""

from collections.abc import Mapping
from typing import Any

from kdcn_tf.report.runs import ABLATION, DCN, NO_PRETRAINING, percent

RATIOS = {DCN: "convergence_ratio", NO_PRETRAINING: "convergence_ratio_over_no_pretraining"}
"""Whose best validation AUC is reached -> figure."""


def of_gain(gain: Mapping[str, Any]) -> str:
    """A gain's name: `no_pretraining` in place of `kdcn_no_pretraining`."""
    at = "" if gain["fraction"] == 1 else f"_at_{percent(gain['fraction'])}"
    return f"{gain['part']}_gain_over_{gain['over'].removeprefix(ABLATION)}{at}"


def with_interval(name: str, estimate: Mapping[str, Any]) -> dict[str, float | None]:
    """An estimate under its name, and the ends of its interval beside it."""
    return {name: estimate["mean"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}


def of(found: dict[str, Any]) -> dict[str, float | None]:
    """Name -> number. Gains, gaps and their intervals are in points of AUC."""
    figures: dict[str, float | None] = {}

    def put(name: str, estimate: Mapping[str, Any] | None) -> None:
        if estimate is not None:
            figures.update(with_interval(name, estimate))

    for gain in found["gains"]:
        put(of_gain(gain), gain)
    for row in found["ceilings"]:
        put(f"{row['part']}_ceiling_gap", row["gap"])
    ratios = {row["to_best_of"]: row for row in found["convergence"]}
    for other, name in RATIOS.items():
        if other in ratios:
            put(name, ratios[other]["ratio"])
            put(f"{name}_in_examples", ratios[other]["examples_ratio"])
    for name, key in (("category_average", "gain"), ("small_categories", "small"), ("large_categories", "large")):
        put(f"{name}_gain_over_dcn", found["categories"][key])
    for model, row in found["overall"].items():
        if row:
            put(f"{model}_calibration_error", row["calibration_error"])
    return figures
