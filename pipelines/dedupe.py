"""One record per user, item and session, one event however often it was delivered.

Of records that share an id, the one whose line has the smallest digest wins (`pipelines.parsing.chunks`):
arbitrary, but the same in every job and for every order of the input. The others are counted as
`filtered.<stream>.duplicate`.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import apache_beam as beam

from pipelines.counting import COUNTS, GOOD, CountingDoFn
from pipelines.logs import Item, Record, Session, User

Claim = tuple[int, int, Any]
"""Number of records, smallest digest, and what that record yields."""


def record_key(record: Record) -> str:
    """Id that must be unique in the record's stream."""
    if isinstance(record, User):
        return record.user_id
    if isinstance(record, Item):
        return record.item_id
    if isinstance(record, Session):
        return record.session_id
    raise TypeError(f"{type(record).__name__} records have no key")


def claim(record: Record, payload: Any, digest: int) -> tuple[str, Claim]:
    """`payload`, what the record yields, under the record's key; `digest` is that of its line."""
    return record_key(record), (1, digest, payload)


class _Winner(beam.CombineFn):
    def create_accumulator(self) -> Claim | None:
        return None

    def add_input(self, accumulator: Claim | None, other: Claim) -> Claim:
        return other if accumulator is None else _better(accumulator, other)

    def merge_accumulators(self, accumulators: Iterable[Claim | None]) -> Claim | None:
        best = None
        for other in accumulators:
            if other is not None:
                best = other if best is None else _better(best, other)
        return best

    def extract_output(self, accumulator: Claim | None) -> Claim | None:
        return accumulator


def _better(a: Claim, b: Claim) -> Claim:
    best = a if a[1] <= b[1] else b
    return a[0] + b[0], best[1], best[2]


class _CountLosers(CountingDoFn):
    def __init__(self, stream: str):
        self._stream = stream

    def process(self, element: tuple[str, Claim]):
        _, (number, _, payload) = element
        self.count(f"used.{self._stream}")
        self.count(f"filtered.{self._stream}.duplicate", number - 1)
        yield payload


class PickWinners(beam.PTransform):
    """(key, `Claim`) -> outputs GOOD (payload of each key's winner) and COUNTS."""

    def __init__(self, stream: str):
        super().__init__()
        self._stream = stream

    def expand(self, claims):
        return (
            claims
            | "Winner" >> beam.CombinePerKey(_Winner())
            | "CountLosers" >> beam.ParDo(_CountLosers(self._stream)).with_outputs(COUNTS, main=GOOD)
        )


Row = tuple[str, tuple[str, Any, str, int]]
"""Key, and `known_items.Row`: stream, payload, file, line."""


class _Earliest(beam.CombineFn):
    """(number, row) of equal events -> how many there are, and the row of the smallest file and line."""

    def create_accumulator(self) -> tuple[int, Row | None]:
        return 0, None

    def add_input(self, accumulator: tuple[int, Row | None], other: tuple[int, Row | None]) -> tuple[int, Row | None]:
        (number, row), (more, another) = accumulator, other
        if row is None or another is None:
            return number + more, row or another
        return number + more, min(row, another, key=lambda one: one[1][2:])

    def merge_accumulators(self, accumulators: Iterable[tuple[int, Row | None]]) -> tuple[int, Row | None]:
        merged = self.create_accumulator()
        for other in accumulators:
            merged = self.add_input(merged, other)
        return merged

    def extract_output(self, accumulator: tuple[int, Row | None]) -> tuple[int, Row | None]:
        return accumulator


class _CountRepeats(CountingDoFn):
    def __init__(self, stream: str):
        self._stream = stream

    def process(self, element: tuple[bytes, tuple[int, Row]]):
        _, (number, row) = element
        if number > 1:
            self.count(f"filtered.{self._stream}.duplicate", number - 1)
        yield row


class DistinctEvents(beam.PTransform):
    """(record, file, line) -> outputs GOOD (`to_row` of each content once) and COUNTS.

    Args:
        stream: for the counts.
        to_row: (record, file, line) -> `Row`.
    """

    def __init__(self, stream: str, to_row: Callable[[Any, str, int], Row]):
        super().__init__()
        self._stream, self._to_row = stream, to_row

    def expand(self, parsed):
        return (
            parsed
            | "ByContent" >> beam.Map(_by_content, self._to_row)
            | "Earliest" >> beam.CombinePerKey(_Earliest())
            | "CountRepeats" >> beam.ParDo(_CountRepeats(self._stream)).with_outputs(COUNTS, main=GOOD)
        )


def _by_content(parsed: tuple[Record, str, int], to_row: Callable) -> tuple[bytes, tuple[int, Row]]:
    record, file, line = parsed
    return hashlib.blake2b(repr(record).encode(), digest_size=16).digest(), (1, to_row(record, file, line))
