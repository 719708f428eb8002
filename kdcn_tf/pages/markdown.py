"""A report as Markdown: its words and tables, without pictures."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kdcn_tf.pages.content import Page, Section, Table, readable


def render(page: Page) -> bytes:
    """The Markdown file. Names from data are escaped: they make no markup, no HTML and no new cells."""
    parts = [f"# {escaped(page.title)}", escaped(page.kicker), escaped(page.subtitle), _items(page.lead)]
    if page.cards:
        rows = [(card.label, card.value, card.note, card.word) for card in page.cards]
        parts.append(_table(Table(("figure", "value", "interval", "verdict"), rows)))
    for section in page.sections:
        parts += _section(section)
    return ("\n\n".join(part for part in parts if part) + "\n").encode("utf-8", "replace")


def escaped(text: Any) -> str:
    """A text in which nothing is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", " ".join(readable(text).split()))


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    yield escaped(section.text)
    yield _items(section.items)
    for table in section.tables:
        if table.caption:
            yield f"**{escaped(table.caption)}**"
        yield _table(table)
        if table.hidden:
            yield f"{table.hidden:,} more rows are in the JSON file."


def _items(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(text)}" for text in texts)


def _table(table: Table) -> str:
    rule = ("---:" if numeric else "---" for numeric in table.numeric)
    lines = [map(escaped, table.header), rule, *(map(escaped, row) for row in table.shown)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
