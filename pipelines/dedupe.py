"""One record per user, item and session.

Of records that share an id, the one whose line has the smallest digest wins (`pipelines.parsing.chunks`):
arbitrary, but the same in every job and for every order of the input. The others are counted as
`filtered.<stream>.duplicate`.
"""

from collections.abc import Iterable
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
