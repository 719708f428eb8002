"""Reading of JDsearch's two files: searches with their users' histories, and products."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kdcn_tf.errors import DataError
from pipelines.datasets.tables import Row, tsv_rows

SEARCHES, PRODUCTS = "user_behavior_data", "product_meta_data"
"""Names of the files: with .txt, or with _sample.txt as in the public sample."""

SEARCH_COLUMNS = (
    "query", "candidate_wid_list", "candidate_label_list",
    "history_qry_list", "history_wid_list", "history_type_list", "history_time_list",
)  # fmt: skip
CATEGORY_COLUMNS = tuple(f"cate_id_{level}" for level in range(1, 5))
PRODUCT_COLUMNS = (
    "wid", "name", "brand_id", "brand_name",
    *(f"cate_{what}_{level}" for level in range(1, 5) for what in ("id", "name")), "shop_id",
)  # fmt: skip

LIST_SEPARATOR, TERM_SEPARATOR = "_", "\x18"
NONE = "-1"
_NUMBER = re.compile("0|[1-9][0-9]{0,17}")  # 64 bits hold it
BEHAVIORS = {"CLICK": "click", "CART": "cart", "FLW": "favorite", "ORD": "purchase"}

START = 1_700_000_000  # seconds since 1970, an arbitrary day
SEARCH_EVERY = 60  # seconds between the last searches of two users


@dataclass(frozen=True)
class Event:
    """A behaviour of a history; `query` is empty where there was no search."""

    query: tuple[str, ...]
    item: int
    kind: str
    timestamp: int


@dataclass(frozen=True)
class Search:
    """A user's last search and what came before it, oldest first; candidates are (item, label)."""

    number: int
    query: tuple[str, ...]
    timestamp: int
    candidates: tuple[tuple[int, int], ...]
    history: tuple[Event, ...]

    @property
    def user_id(self) -> str:
        return f"u{self.number}"

    def session_id(self, run: int) -> str:
        return f"s{self.number}.{run}"

    def runs(self) -> list[int | None]:
        """For each event the number of its run of equal queries, None where there was no search."""
        found: list[int | None] = []
        run = -1
        before: tuple[str, ...] = ()
        for event in self.history:
            if event.query and event.query != before:
                run += 1
            found.append(run if event.query else None)
            before = event.query
        return found

    @property
    def last_session_id(self) -> str:
        return self.session_id(sum(1 for run in set(self.runs()) if run is not None))


def find(directory: str, stem: str) -> str:
    """Path of one of the two files.

    Raises:
        DataError: no such folder or file.
    """
    if not os.path.isdir(directory):
        raise DataError(f"{directory}: no such folder")
    names = [f"{stem}.txt", f"{stem}_sample.txt"]
    for name in names:
        if os.path.isfile(os.path.join(directory, name)):
            return os.path.join(directory, name)
    raise DataError(f"{os.path.join(directory, names[0])}: no such file, nor {names[1]}")


def rows(path: str, columns: Sequence[str]) -> Iterator[Row]:
    """Rows of a file with or without a header.

    Raises:
        DataError: a row has another number of columns, or there is none.
    """
    number = 0
    for row in tsv_rows(path, columns):
        if number or any(row.text(column) != column for column in columns):
            number += 1
            yield row
    if not number:
        raise DataError(f"{path}: no rows")


def terms(text: str) -> tuple[str, ...]:
    return () if text == NONE else tuple(filter(None, text.split(TERM_SEPARATOR)))


def item_number(row: Row, column: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise row.error(column, f"not a product id: {text[:40]!r}")
    return int(text)


def elements(row: Row, column: str, expected: int | None = None) -> list[str]:
    """Elements of a list column, of which there have to be `expected`."""
    text = row.text(column)
    found = text.split(LIST_SEPARATOR) if text else []
    if expected is not None and len(found) != expected:
        raise row.error(column, f"{len(found)} elements, expected {expected}")
    return found


def searches(path: str) -> Iterator[Search]:
    for number, row in enumerate(rows(path, SEARCH_COLUMNS), start=1):
        timestamp = START + SEARCH_EVERY * (number - 1)
        yield Search(number, terms(row.text("query")), timestamp, _candidates(row), _history(row, timestamp))


def _candidates(row: Row) -> tuple[tuple[int, int], ...]:
    items = elements(row, "candidate_wid_list")
    labels = elements(row, "candidate_label_list", len(items))
    return tuple(
        (item_number(row, "candidate_wid_list", item), _label(row, label))
        for item, label in zip(items, labels, strict=True)
    )


def _label(row: Row, text: str) -> int:
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if level not in (0, 1, 2, 3):
        raise row.error("candidate_label_list", f"not one of 0.0, 1.0, 2.0, 3.0: {text[:40]!r}")
    return int(level > 0)


def _history(row: Row, search: int) -> tuple[Event, ...]:
    items = elements(row, "history_wid_list")
    queries = elements(row, "history_qry_list", len(items))
    kinds = elements(row, "history_type_list", len(items))
    # Interval i lies before event i; the last one lies before the search.
    intervals = [_seconds(row, text) for text in elements(row, "history_time_list", len(items) + 1)]
    timestamp, found = search - sum(intervals[1:]), []
    for index, (item, query, kind) in enumerate(zip(items, queries, kinds, strict=True)):
        if kind not in BEHAVIORS:
            raise row.error("history_type_list", f"not one of {', '.join(BEHAVIORS)}: {kind[:40]!r}")
        timestamp += intervals[index] if index else 0
        found.append(Event(terms(query), item_number(row, "history_wid_list", item), BEHAVIORS[kind], timestamp))
    return tuple(found)


def _seconds(row: Row, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise row.error("history_time_list", f"not a whole number of at least 0: {text[:40]!r}")
    return int(text)
