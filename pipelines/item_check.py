"""Puts rows aside that name an item which the items stream doesn't have.

Batches ask for their distinct items, and only what is missing comes back: an item that half of all rows
name costs no more than any other.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from pipelines import batches, exchange, hashing
from pipelines.counting import COUNTS, DEAD, GOOD, CountingDoFn
from pipelines.dead_letters import dead_letter
from pipelines.exchange import Exchange
from pipelines.fields import RecordError
from pipelines.statements import LINE

_ROWS, _MISSING = "rows", "missing"


def _items(rows: pa.Table, column: str) -> np.ndarray:
    """Each row states one triple; this is its end of that name."""
    return rows.column(column).combine_chunks().flatten().to_numpy()


class _Ask(beam.DoFn):
    """(chunk, rows) -> (part, (chunk, hashes of items))."""

    def __init__(self, columns: Iterable[str], to: Exchange):
        self._columns, self._to = tuple(columns), to

    def process(self, element: tuple[str, bytes]) -> Iterator[Any]:
        chunk, packed = element
        rows = exchange.unpack([packed])
        asked = np.unique(np.concatenate([_items(rows, name) for name in self._columns]))
        part_of = hashing.parts(asked, self._to.parts)
        for part in np.unique(part_of).tolist():
            yield part, (chunk, asked[part_of == part].tobytes())


def _answer(element: tuple[int, Iterable[tuple[str, bytes]]]) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """(part, known items under "" and what chunks ask for) -> (chunk, hashes of unknown items)."""
    _, values = element
    known = np.frombuffer(b"".join(packed for chunk, packed in values if not chunk), np.uint64)
    for chunk, packed in values:
        if chunk:
            asked = np.frombuffer(packed, np.uint64)
            missing = asked[~np.isin(asked, known)]
            if len(missing):
                yield chunk, (_MISSING, missing.tobytes())


class _Keep(CountingDoFn):
    """(chunk, its rows and unknown items) -> (chunk, rows that name known items), DEAD."""

    def __init__(self, stream: str, columns: Mapping[str, str], to: Exchange):
        self._stream, self._columns, self._to = stream, dict(columns), to

    def process(self, element: tuple[str, Iterable[tuple[str, bytes]]]) -> Iterator[Any]:
        chunk, values = element
        found = list(values)
        rows = exchange.unpack([packed for kind, packed in found if kind == _ROWS])
        missing = np.frombuffer(b"".join(packed for kind, packed in found if kind == _MISSING), np.uint64)
        good = np.ones(rows.num_rows, bool)
        for column, field in self._columns.items():
            bad = good & np.isin(_items(rows, column), missing)
            good &= ~bad
            for line in batches.column(rows, LINE)[bad].tolist():
                error = RecordError(field, "unknown item")
                yield dead_letter(self._stream, chunk.rsplit("\t", 1)[0], line, error, "extract")
        if good.any():
            yield chunk, self._to.pack(rows.filter(pa.array(good)))


class KnownItems(beam.PTransform):
    """{"rows": (chunk, rows), "known": (part, hashes)} -> outputs GOOD (chunk, rows), DEAD, COUNTS.

    Args:
        stream: of the rows, for dead letters.
        columns: end of the triple that is an item -> the field it comes from.
        to: how tables travel.
    """

    def __init__(self, stream: str, columns: Mapping[str, str], to: Exchange):
        super().__init__()
        self._stream, self._columns, self._to = stream, columns, to

    def expand(self, inputs):
        rows = inputs["rows"]
        asks = rows | "Ask" >> beam.ParDo(_Ask(self._columns, self._to))
        known = inputs["known"] | "Known" >> beam.MapTuple(lambda part, hashes: (part, ("", hashes)))
        missing = (asks, known) | "Meet" >> beam.Flatten() | "PerPart" >> beam.GroupByKey() | beam.FlatMap(_answer)
        tagged = rows | "Rows" >> beam.MapTuple(lambda chunk, packed: (chunk, (_ROWS, packed)))
        return (
            (tagged, missing)
            | "Answers" >> beam.Flatten()
            | "PerChunk" >> beam.GroupByKey()
            | "Keep" >> beam.ParDo(_Keep(self._stream, self._columns, self._to)).with_outputs(DEAD, COUNTS, main=GOOD)
        )
