"""The explanation of one impression as a page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kdcn_tf.export import explanation
from kdcn_tf.pages import html
from kdcn_tf.pages.content import Number, Page, Section, Table


def render(body: Mapping[str, Any]) -> bytes:
    """What `explanation.describe` found, with its row, split and session, as one HTML file.

    Raises:
        ConfigError: jinja2 isn't installed.
    """
    return html.render(page(body))


def page(body: Mapping[str, Any]) -> Page:
    """The same as content."""
    return Page(
        explanation.verdict(body).capitalize(),
        "Users are shown by their pseudonym. All numbers are in the JSON file.",
        [_changes(body), *_attention(body)],
        kicker=f"Explanation of row {body['row']:,} of split {body['split']}",
        lead=explanation.circumstances(body),
    )


def _changes(body: Mapping[str, Any]) -> Section:
    kinds = {"change": "+.3f", "mean": "+.3f", "mean_size": ".3f"}
    rows = [(row["label"], *(Number(format(row[key], kind)) for key, kind in kinds.items())) for row in body["changes"]]
    return Section(
        "What each group of features changes",
        "Logit without the group minus logit with it: below 0, the group made a click likelier. Beside it the mean "
        f"change and the mean size of the change over {body['sample']:,} rows of the split.",
        [Table(("group", "change", "mean", "mean size"), rows)],
    )


def _attention(body: Mapping[str, Any]) -> list[Section]:
    """The mean of the heads, and below it, shut, each head."""
    title = "Which keywords attended to which"
    if reason := explanation.why_no_attention(body):
        return [Section(title, reason)]
    names, found = explanation.named_keywords(body), body["attention"]
    heads = [_heat_map(names, head, f"Head {number}") for number, head in enumerate(found["heads"], start=1)]
    text = (
        "A row is a keyword: how much of its representation it takes from the keyword of each column. The colour "
        "deepens with the root of the number."
    )
    return [
        Section(title, text, [_heat_map(names, found["mean"], "Mean of the heads")]),
        Section("The same by head", tables=heads, folded=True),
    ]


def _heat_map(names: Sequence[str], weights: Sequence[Sequence[float]], caption: str) -> Table:
    """Weights as a table, not as a drawing: long names wrap, and numbers can be read aloud, searched and copied."""
    rows = [
        (name, *(Number(f"{weight:.2f}", heat=_heat(weight)) for weight in row))
        for name, row in zip(names, weights, strict=True)
    ]
    return Table(("keyword", *names), rows, caption)


def _heat(weight: float) -> float:
    """The root: a row's weights add up to 1, so among many keywords even the largest would look pale."""
    return math.sqrt(weight)
