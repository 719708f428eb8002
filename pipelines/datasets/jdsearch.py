"""JDsearch (Liu et al., SIGIR 2023), product searches with real queries, as raw logs.

A line of the behaviour file is a user (`u1` for the first), with one last search and what came before it:

- The last search is a session, its candidates are the impressions; a label above 0 is a click. The order of
  the candidates isn't that of display (clicked ones stand first), so impressions have no position.
- Behaviours in a row under one query are a session too, without impressions: what was shown isn't known.
- The data have no instants, only intervals, taken as seconds. The clock is made up: the last search of the
  user of line n happens n minutes after `START`, its history before it by the intervals.
- Words are anonymised, so texts are lists of term ids. Category levels, brand and shop are named by id; an
  empty id or -1 is none. A product without any category is of category `UNKNOWN`; one without a name has its
  id as title.
- Some products have no metadata. Behaviours and candidates that name them are left out and counted in the
  manifest's info; their sessions stay.
"""

import logging
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from absl import flags

from kdcn_tf import command
from kdcn_tf.config import Config
from pipelines.datasets.jdsearch_files import (
    CATEGORY_COLUMNS,
    NONE,
    PRODUCT_COLUMNS,
    PRODUCTS,
    SEARCH_EVERY,
    SEARCHES,
    Event,
    find,
    item_number,
    rows,
    searches,
    terms,
)
from pipelines.datasets.raw import RawWriter
from pipelines.datasets.tables import Row

NAME = "import jdsearch"
log = logging.getLogger(__name__)

UNKNOWN = "unknown"
HELD_OUT = 0.1
"""Share of the searches each for validation and testing; at least one each where there are three."""


class Products:
    """Which products have metadata: 8 bytes each, as there are 13 million."""

    def __init__(self) -> None:
        self._added = array("q")
        self._sorted = np.zeros(0, np.int64)

    def add(self, item: int) -> None:
        self._added.append(item)

    def finish(self) -> int:
        """Ends adding; returns how many were added more than once."""
        number = len(self._added)
        self._sorted = np.unique(np.frombuffer(self._added, np.int64)) if number else self._sorted
        self._added = array("q")
        return number - len(self._sorted)

    def known(self, items: Sequence[int]) -> list[bool]:
        wanted = np.array(items, np.int64)
        places = np.searchsorted(self._sorted, wanted)
        found = np.zeros(len(wanted), bool)
        inside = places < len(self._sorted)
        found[inside] = self._sorted[places[inside]] == wanted[inside]
        return found.tolist()


class Importer:
    """The five streams. `items` has to be read to its end first: it tells which products are known.

    Attributes:
        counts: what was left out or replaced, `<stream>.<why>` -> number.
        users: number of users, after `sessions`.
        search_times: instants of the searches with impressions, after `impressions`.
    """

    def __init__(self, searches_path: str, products_path: str):
        self._searches_path, self._products_path = searches_path, products_path
        self._products = Products()
        self.counts: Counter[str] = Counter({"behaviors.unknown_item": 0, "impressions.unknown_item": 0})
        self.users = 0
        self.search_times = array("q")

    def items(self) -> Iterator[dict[str, Any]]:
        for row in rows(self._products_path, PRODUCT_COLUMNS):
            self._products.add(item_number(row, "wid", row.text("wid")))
            yield self._item(row)
        self.counts["items.duplicate"] = self._products.finish()

    def _item(self, row: Row) -> dict[str, Any]:
        words = terms(row.text("name"))
        levels = [row.text(column) for column in CATEGORY_COLUMNS if row.text(column) not in ("", NONE)]
        brand, shop = row.text("brand_id"), row.text("shop_id")
        self.counts["items.no_name"] += not words
        self.counts["items.no_category"] += not levels
        item: dict[str, Any] = {"item_id": row.text("wid"), "title": " ".join(words) or row.text("wid")}
        item |= {"keywords": words, "category": levels or [UNKNOWN]}
        if brand not in ("", NONE):
            item["properties"] = {"brand": brand}
        if shop not in ("", NONE):
            item["seller_id"] = shop
        return item

    def sessions(self) -> Iterator[dict[str, Any]]:
        for search in searches(self._searches_path):
            self.users = search.number
            # The last event of a run would do too; the first is when the search was made.
            firsts: dict[int, Event] = {}
            for run, event in zip(search.runs(), search.history, strict=True):
                if run is not None:
                    firsts.setdefault(run, event)
            made = [(search.session_id(run), event.timestamp, event.query) for run, event in firsts.items()]
            for session_id, timestamp, query in [*made, (search.last_session_id, search.timestamp, search.query)]:
                yield {"session_id": session_id, "user_id": search.user_id, "timestamp": timestamp, "keywords": query}

    def user_records(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.users + 1):
            yield {"user_id": f"u{number}"}

    def behaviors(self) -> Iterator[dict[str, Any]]:
        for search in searches(self._searches_path):
            known = self._products.known([event.item for event in search.history])
            self.counts["behaviors.unknown_item"] += known.count(False)
            for event, run, keep in zip(search.history, search.runs(), known, strict=True):
                if keep:
                    session = {} if run is None else {"session_id": search.session_id(run)}
                    yield {
                        "user_id": search.user_id, "item_id": str(event.item), "behavior": event.kind,
                        "timestamp": event.timestamp, **session,
                    }  # fmt: skip

    def impressions(self) -> Iterator[dict[str, Any]]:
        for search in searches(self._searches_path):
            known = self._products.known([item for item, _ in search.candidates])
            self.counts["impressions.unknown_item"] += known.count(False)
            if any(known):
                self.search_times.append(search.timestamp)
            session_id = search.last_session_id
            for (item, label), keep in zip(search.candidates, known, strict=True):
                if keep:
                    yield {
                        "session_id": session_id, "user_id": search.user_id, "timestamp": search.timestamp,
                        "query": search.query, "item_id": str(item), "label": label, "source": "jdsearch",
                    }  # fmt: skip


def split_times(times: Sequence[int]) -> dict[str, float]:
    """`time.train_end` and `time.valid_end` by which the last searches are held out.

    Training comes first where there are too few for all three, then testing.

    Args:
        times: instants of the searches, ascending and different.
    """
    if not times:
        return {}
    share = max(1, int(len(times) * HELD_OUT))
    test = min(share, len(times) - 1)
    valid = min(share, len(times) - 1 - test)
    edges = [*times, times[-1] + SEARCH_EVERY]
    valid_end = edges[len(times) - test]
    return {"time.train_end": float(edges[len(times) - test - valid]), "time.valid_end": float(valid_end)}


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("input", None, "folder with the files of JDsearch, unpacked", flag_values=values)
    command.output_flags(values, "the raw logs")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "input", "output")
    command.output_apart(values, "input")
    made = Importer(find(values.input, SEARCHES), find(values.input, PRODUCTS))
    writer = RawWriter(values.output, values.overwrite)
    # In this order: items tell which products are known, sessions how many users there are.
    streams: dict[str, Iterable[dict[str, Any]]] = {
        "items": made.items(), "sessions": made.sessions(), "users": made.user_records(),
        "behaviors": made.behaviors(), "impressions": made.impressions(),
    }  # fmt: skip
    for name, records in streams.items():
        log.info("%s: %s records", name, f"{writer.stream(name, records):,}")
    for name, number in made.counts.items():
        if number:
            log.warning("%s: %s", name, f"{number:,}")
    writer.finish(Config(), split_times(made.search_times), {"import": dict(made.counts)})


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
