"""Charts of counts and rates."""

from collections.abc import Mapping, Sequence

from kdcn_tf.pages import pictures
from kdcn_tf.pages.content import Picture

_BARS = 30


def bars(rows: Sequence[tuple[str, float]], axis: str) -> Picture:
    """Horizontal bars, first row on top; `axis` says what they count. At most 30 are drawn."""
    rows = rows[:_BARS]
    figure, (axes,) = pictures.figure(0.8 + 0.26 * len(rows))
    axes.barh(range(len(rows)), [value for _, value in rows], color=pictures.SERIES[0])
    axes.set_yticks(range(len(rows)), [pictures.label(name) for name, _ in rows])
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    axes.set_xlabel(pictures.label(axis))
    return pictures.svg(figure, f"Bars: {axis}, the numbers of the table below.")


def columns(groups: Mapping[str, Sequence[tuple[str, float]]], axis: str, logarithmic: bool = False) -> Picture:
    """Lines over ordered labels, one per group; labels are those of all groups in order of appearance."""
    labels = list(dict.fromkeys(label for rows in groups.values() for label, _ in rows))
    figure, (axes,) = pictures.figure(3.4)
    for place, (name, rows) in enumerate(groups.items()):
        found = dict(rows)
        places = [place for place, label in enumerate(labels) if label in found]
        values = [found[labels[place]] for place in places]
        axes.plot(places, values, label=pictures.label(name), **pictures.line(place))
    step = -(-len(labels) // 16) or 1
    shown = [pictures.label(one) for one in labels[::step]]
    axes.set_xticks(range(0, len(labels), step), shown, rotation=45, ha="right")
    axes.set_ylabel(pictures.label(axis))
    if logarithmic:
        axes.set_yscale("symlog", linthresh=1)  # counts of 0 too
    if len(groups) > 1:
        pictures.legend(axes)
    return pictures.svg(figure, f"Lines: {axis} by {', '.join(map(str, groups))}.")
