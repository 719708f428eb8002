"""Charts as PNG inside a data URL, so that a report is one file and asks no network."""

import base64
import io
import warnings
from collections.abc import Mapping, Sequence

from pipelines.quality import extras

_LONGEST = 40
_BARS = 30


def _label(text: str) -> str:
    """A text as matplotlib shows it: without mathematics, line ends and excess length."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return (shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…").replace("$", r"\$")


def _figure(height: float):
    figure = extras.load("matplotlib.figure").Figure(figsize=(7.5, height), layout="constrained")
    return figure, figure.add_subplot()


def _url(figure) -> str:
    # The canvas of PNG alone: no window system, and no state that other figures share.
    extras.load("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that the font lacks become boxes; the table has them
        figure.savefig(data, format="png", dpi=90)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def bars(rows: Sequence[tuple[str, float]], axis: str) -> str:
    """Horizontal bars, first row on top; `axis` says what they count. At most 30 are drawn."""
    rows = rows[:_BARS]
    figure, axes = _figure(0.8 + 0.26 * len(rows))
    axes.barh(range(len(rows)), [value for _, value in rows], color="#4477aa")
    axes.set_yticks(range(len(rows)), [_label(name) for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel(_label(axis))
    return _url(figure)


def columns(groups: Mapping[str, Sequence[tuple[str, float]]], axis: str, logarithmic: bool = False) -> str:
    """Lines over ordered labels, one per group; labels are those of all groups in order of appearance."""
    labels = list(dict.fromkeys(label for rows in groups.values() for label, _ in rows))
    figure, axes = _figure(3.4)
    for name, rows in groups.items():
        found = dict(rows)
        places = [place for place, label in enumerate(labels) if label in found]
        axes.plot(places, [found[labels[place]] for place in places], marker=".", label=_label(name))
    step = -(-len(labels) // 16) or 1
    axes.set_xticks(range(0, len(labels), step), [_label(one) for one in labels[::step]], rotation=45, ha="right")
    axes.set_ylabel(_label(axis))
    if logarithmic:
        axes.set_yscale("symlog", linthresh=1)  # counts of 0 too
    if len(groups) > 1:
        axes.legend(fontsize="small", ncols=2)
    return _url(figure)
