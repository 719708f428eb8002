"""Drawing with matplotlib into SVG that takes its colours and letters from the page, light or dark."""

import io
import re
import warnings
from typing import Any

from kdcn_tf import extras
from kdcn_tf.pages.content import Picture

_LONGEST = 40
_PIXELS_PER_POINT = 1.4  # at full size: letters of 9 points are as large as those of tables

INK, MUTED, LINE, GROUND = "#010100", "#010101", "#010102", "#010103"
SERIES = tuple(f"#0102{place:02x}" for place in range(8))
"""Colours that stand for the page's own: `page.css` says what they are. Names are by use, as a page has two sets."""

_VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", GROUND: "--ground"}
_VARIABLES |= {color: f"--series-{place}" for place, color in enumerate(SERIES)}


def label(text: str) -> str:
    """A text as matplotlib shows it: without mathematics, line ends and excess length."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return (shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…").replace("$", r"\$")


def figure(height: float, columns: int = 1, width: float = 10.4):
    """A figure and its axes in a row, drawn plainly."""
    made = extras.load("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    made.patch.set_alpha(0)
    axes = made.subplots(1, columns, squeeze=False)[0]
    for one in axes:
        one.patch.set_alpha(0)
        one.tick_params(colors=MUTED, length=3, labelsize=9)
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(LINE)
        one.grid(color=LINE, linewidth=0.7)
        one.set_axisbelow(True)
        for text in (one.xaxis.label, one.yaxis.label, one.title):
            text.set(color=MUTED, fontsize=9.5)
    return made, axes


def line(place: int) -> dict[str, Any]:
    """How the n-th line of a chart looks; lines differ in more than colour."""
    styles, marks = ("-", "--", "-.", ":"), "osD^vPX*"
    return {"color": SERIES[place % len(SERIES)], "linestyle": styles[place // 2 % len(styles)],
            "marker": marks[place % len(marks)], "markersize": 4.5, "linewidth": 1.7}  # fmt: skip


def legend(axes, ncols: int = 5) -> None:
    """The names of the lines, below everything."""
    axes.figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=ncols, frameon=False,
                       fontsize=9, labelcolor=INK)  # fmt: skip


def svg(made, alt: str) -> Picture:
    """A figure as an SVG element for the middle of a page."""
    extras.load("matplotlib.backends.backend_svg").FigureCanvasSVG(made)
    data = io.StringIO()
    rules = {"svg.fonttype": "none", "svg.hashsalt": "kdcn", "font.family": "sans-serif"}
    with warnings.catch_warnings(), extras.load("matplotlib").rc_context(rules):
        warnings.simplefilter("ignore")  # letters that matplotlib's own font lacks: the browser has them
        made.savefig(data, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Picture(_for_a_page(data.getvalue()), alt)


def _for_a_page(text: str) -> str:
    """Without what only a file of its own needs, and with the page's colours and letters."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<(?=[^/])[^>]*>", lambda tag: _tag(tag[0]), text)  # texts between tags stay as they are
    return re.sub(r"\s*\n\s*", "\n", text).strip()


def _tag(text: str) -> str:
    if text.startswith("<svg"):
        box = re.search(r'viewBox="([^"]*)"', text)
        assert box, text
        width = _PIXELS_PER_POINT * float(box[1].split()[2])
        return f'<svg viewBox="{box[1]}" style="max-width: {width:.0f}px" aria-hidden="true">'
    text = re.sub(r'^<g id="[^"]*"', "<g", text)  # several pictures of a page would share these names
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    return re.sub(r"#010[12][0-9a-f]{2}", lambda found: f"var({_VARIABLES[found[0]]})", text)
