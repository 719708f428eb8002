"""The pictures of a comparison's report."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kdcn_tf.pages import pictures
from kdcn_tf.pages.content import Picture
from kdcn_tf.report.runs import ABLATION, DCN, KDCN, NO_PRETRAINING, percent

_PLACES = {KDCN: 0, DCN: 1, "gbdt": 2, NO_PRETRAINING: 3, "wide_deep": 4, "dnn": 5, "lr": 6}


def _look(model: str) -> dict[str, Any]:
    """A model looks the same in all charts; K-DCN stands out."""
    look = pictures.line(_PLACES.get(model, 7))
    return {**look, "linewidth": 2.6, "zorder": 4} if model == KDCN else look


def drawn(models: Sequence[str], most: int | None = None) -> list[str]:
    """Those that charts show: of the ablations only the one without pretraining, or lines would hide each other.

    With `most` only so many, those that the claim is about first.
    """
    shown = [model for model in models if not model.startswith(ABLATION) or model == NO_PRETRAINING]
    first = sorted(shown, key=lambda model: _PLACES.get(model, len(_PLACES)))[:most]
    return [model for model in shown if model in first]


def _points(axes, places: Sequence[float], estimates: Sequence[Mapping[str, Any]], band: bool, **look) -> None:
    """A line of means with their intervals, as bars or as a band; undefined ones are left out."""
    known = [(place, one) for place, one in zip(places, estimates, strict=True) if one["mean"] is not None]
    if not known:
        return
    xs, means = [place for place, _ in known], [one["mean"] for _, one in known]
    lows = [one["mean"] if one["low"] is None else one["low"] for _, one in known]
    highs = [one["mean"] if one["high"] is None else one["high"] for _, one in known]
    if band:
        axes.plot(xs, means, **look)
        axes.fill_between(xs, lows, highs, color=look["color"], alpha=0.16, linewidth=0)
    else:
        below = [mean - low for mean, low in zip(means, lows, strict=True)]
        above = [high - mean for mean, high in zip(means, highs, strict=True)]
        axes.errorbar(xs, means, yerr=[below, above], elinewidth=1.3, capsize=2.5, **look)


def _zero(axes, vertical: bool = False) -> None:
    (axes.axvline if vertical else axes.axhline)(0, color=pictures.MUTED, linewidth=1.1, zorder=1)


def gains(rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str], parts: Sequence[str]) -> Picture:
    """A panel per source: K-DCN's gain over every other model."""
    others = list(dict.fromkeys(row["over"] for row in rows))
    figure, panels = pictures.figure(1.0 + 0.34 * len(others), len(parts))
    for axes, part in zip(panels, parts, strict=True):
        _zero(axes, vertical=True)
        for row in (row for row in rows if row["part"] == part and row["mean"] is not None):
            place, color = others.index(row["over"]), pictures.SERIES[0]
            drawn_anew = row["test"]
            if drawn_anew["low"] is not None:
                axes.plot([drawn_anew["low"], drawn_anew["high"]], [place, place], color=pictures.MUTED, linewidth=1.2)
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=4, solid_capstyle="round")
            axes.plot([row["mean"]], [place], "o", color=color, markersize=7, markeredgecolor=pictures.GROUND)
        axes.set_yticks(range(len(others)), [pictures.label(titles[other]) for other in others])
        axes.tick_params(labelleft=axes is panels[0], left=False)
        axes.set_ylim(len(others) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_title(pictures.label(part) if len(parts) > 1 else "", color=pictures.INK)
    figure.supxlabel("gain in points of AUC", color=pictures.MUTED, fontsize=9.5)
    return pictures.svg(
        figure, "K-DCN's gain over each other model. Right of the line K-DCN ranks better. Thick: 95% interval over "
        "seeds; thin: over test sets drawn anew from the test sessions.",
    )  # fmt: skip


def categories(rows: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Gain over DCN against training rows; nothing where fewer than two categories tell both."""
    known = [row for row in rows if row["train"] and row["gain"] and row["gain"]["mean"] is not None]
    if len(known) < 2:
        return None
    figure, (axes,) = pictures.figure(3.2)
    _zero(axes)
    look = {**_look(KDCN), "linestyle": "none", "markersize": 6}
    _points(axes, [row["train"] for row in known], [row["gain"] for row in known], band=False, **look)
    axes.set_xscale("log")
    if len(known) <= 12:
        for row in known:
            place = (row["train"], row["gain"]["mean"])
            offset = (6, 4 if place[1] >= _nearest(row, known)["gain"]["mean"] else -12)
            axes.annotate(pictures.label(row["name"])[:24], place, offset, textcoords="offset points", fontsize=8.5,
                          color=pictures.INK)  # fmt: skip
    axes.margins(x=0.12)
    _plain_ticks(axes, [row["train"] for row in known])
    axes.set_xlabel("training rows of the category")
    axes.set_ylabel("gain over DCN, points of AUC")
    return pictures.svg(figure, "Gain over DCN by the training rows of a category, with 95% intervals over seeds.")


def _nearest(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The other row whose number of training rows is most like its own: its name is the likeliest to be in the way."""
    return min((other for other in rows if other is not row), key=lambda o: abs(math.log(o["train"] / row["train"])))


def _plain_ticks(axes, values: Sequence[float]) -> None:
    """Ticks of a logarithmic axis as people write numbers: 1, 2 and 5 of every power of ten that is there."""
    low, high = min(values) / 1.6, max(values) * 1.6
    steps = [factor * 10**power for power in range(10) for factor in (1, 2, 5) if low <= factor * 10**power <= high]
    axes.set_xticks(steps, [f"{step:,}" for step in steps])
    axes.set_xticks([], minor=True)


def scarcity(rows: Sequence[Mapping[str, Any]], gained: Sequence[Mapping[str, Any]], titles: Mapping[str, str],
             models: Sequence[str], title: str) -> Picture:  # fmt: skip
    """AUC by the share of training rows, and K-DCN's gain over DCN beside it.

    Args:
        rows: of one source, of `summary`'s scarcity.
        gained: gains over DCN on it, may be empty.
        titles: model -> name.
        models: that are drawn.
        title: name of the source.
    """
    figure, panels = pictures.figure(4.4, 2 if gained else 1)
    places = [100 * row["fraction"] for row in rows]
    nothing = {"mean": None}
    for model in models:
        estimates = [row["auc"].get(model, nothing) for row in rows]
        _points(panels[0], places, estimates, band=True, label=pictures.label(titles[model]), **_look(model))
    panels[0].set_ylabel("AUC")
    if gained:
        _zero(panels[1])
        look = {**_look(KDCN), "label": "gain over DCN"}
        _points(panels[1], [100 * gain["fraction"] for gain in gained], gained, band=True, **look)
        panels[1].set_ylabel("gain over DCN, points of AUC")
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xticks(places, [percent(row["fraction"]) for row in rows])
        axes.set_xticks([], minor=True)
        axes.set_xlabel("share of the training rows")
    pictures.legend(panels[0])
    return pictures.svg(figure, f"AUC by the share of the training rows{title}; bands are 95% intervals over seeds.")


def convergence(curves: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> Picture | None:
    """The paper's figure 5: validation AUC by step; nothing without a curve."""
    shown = [model for model in (KDCN, NO_PRETRAINING, DCN) if curves.get(model, {}).get("seeds")]
    if not shown:
        return None
    figure, (axes,) = pictures.figure(4.2)
    for model in shown:
        curve, look = curves[model], {**_look(model), "marker": ""}
        for points in curve["seeds"].values():
            thin = {**look, "linewidth": 0.8, "alpha": 0.35}
            axes.plot([step for step, _ in points], [auc for _, auc in points], **thin)
        estimates = [{"mean": mean, "low": low, "high": high} for mean, low, high in
                     zip(curve["mean"], curve["low"], curve["high"], strict=True)]  # fmt: skip
        _points(axes, curve["steps"], estimates, band=True, label=pictures.label(titles[model]), **look)
    axes.set_xlabel("training step")
    axes.set_ylabel("validation AUC")
    if axes.get_legend_handles_labels()[0]:
        pictures.legend(axes)
    return pictures.svg(
        figure, "Validation AUC by training step. Thin lines: single seeds; thick: their mean, as far as all seeds go; "
        "bands: 95% intervals over seeds.",
    )  # fmt: skip


def buckets(rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str], models: Sequence[str], axis: str) -> Picture:
    """AUC by how often a user or an item was seen in training."""
    figure, (axes,) = pictures.figure(3.8)
    spread = 0.07
    for place, model in enumerate(models):
        offset = spread * (place - (len(models) - 1) / 2)
        look = {**_look(model), "linestyle": "none", "label": pictures.label(titles[model])}
        places = [number + offset for number in range(len(rows))]
        _points(axes, places, [row["auc"][model] for row in rows], band=False, **look)
    axes.set_xticks(range(len(rows)), [f"{pictures.label(row['name'])}\n{row['rows']:,} rows" for row in rows])
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(axis)
    axes.set_ylabel("AUC")
    pictures.legend(axes)
    return pictures.svg(figure, f"AUC by {axis}, with 95% intervals over seeds.")


def calibration(found: Mapping[str, Any], titles: Mapping[str, str], models: Sequence[str]) -> Picture:
    """Observed against predicted shares of clicks."""
    figure, (axes,) = pictures.figure(5.2, width=6)
    top = max(max(row["predicted"], row["clicked"]) for model in models for row in found[model])
    axes.plot([0, top], [0, top], color=pictures.MUTED, linewidth=1, linestyle=(0, (2, 3)))
    for model in models:
        rows = found[model]
        axes.plot([row["predicted"] for row in rows], [row["clicked"] for row in rows],
                  label=pictures.label(titles[model]), **_look(model))  # fmt: skip
    axes.set_xlabel("mean predicted probability")
    axes.set_ylabel("share clicked")
    pictures.legend(axes, ncols=3)
    return pictures.svg(
        figure, "The share of clicks against the predicted one, in ten bins of equal size. On the dotted line both are "
        "the same; below it a model promises too much.",
    )  # fmt: skip
