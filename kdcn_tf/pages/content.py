"""What a report is made of, whatever it is written as: sections of tables and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_ROWS = 50


@dataclass(frozen=True)
class Number:
    """A number that is already text: with what belongs below it in small print, and what sets it apart.

    `mark` is "", "best", "up", "down" or "few". `heat`, from 0 to 1, is how deep its cell is coloured.
    """

    text: str
    note: str = ""
    mark: str = ""
    heat: float | None = None

    def __str__(self) -> str:
        return f"{self.text} ({self.note})" if self.note else self.text


@dataclass(frozen=True)
class Table:
    """Rows under a header; long ones are cut."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    summary_rows: int = 0  # the last rows, which sum up the others

    @property
    def shown(self) -> Sequence[Sequence[Any]]:
        if not self.hidden:
            return self.rows
        return [*self.rows[: _ROWS - self.summary_rows], *self.rows[len(self.rows) - self.summary_rows :]]

    @property
    def hidden(self) -> int:
        return max(0, len(self.rows) - _ROWS)

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers, to be aligned at the right."""
        return [any(is_number(row[place]) for row in self.rows) for place in range(len(self.header))]

    @property
    def heat_map(self) -> bool:
        """Whether cells are coloured by their numbers: columns are narrow then, their names upright."""
        return any(isinstance(value, Number) and value.heat is not None for row in self.rows for value in row)


@dataclass(frozen=True)
class Picture:
    """A drawing as SVG elements whose texts are escaped, and what it shows in words."""

    svg: str
    alt: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it. `folded`: shut until it is opened."""

    title: str
    text: str = ""
    tables: Sequence[Table] = field(default_factory=tuple)
    charts: Sequence[Picture] = field(default_factory=tuple)
    items: Sequence[str] = field(default_factory=tuple)
    folded: bool = False


@dataclass(frozen=True)
class Card:
    """A key figure. `tone` is "up", "down" or "flat"; `word` says the same without colour."""

    label: str
    value: str
    note: str = ""
    tone: str = "flat"
    word: str = ""


@dataclass(frozen=True)
class Page:
    """A report. `lead` are sentences below the title."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    kicker: str = ""
    lead: Sequence[str] = field(default_factory=tuple)
    cards: Sequence[Card] = field(default_factory=tuple)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Number)) and not isinstance(value, bool)


def readable(value: Any) -> str:
    """A number for people; anything else as text."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
