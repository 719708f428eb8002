"""Logs as columns: a chunk of a file becomes one Arrow table of its good records.

`parse_chunk` accepts and refuses exactly what `pipelines.logs.parse` does, line by line.
"""

import contextlib
import gc
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam

from kdcn_tf.config import LogsConfig
from pipelines import logs
from pipelines.dead_letters import DeadLetter, shown
from pipelines.fields import RecordError
from pipelines.parsing import chunks, ordinary, tables
from pipelines.parsing.chunks import Chunk
from pipelines.parsing.tables import Parsed

__all__ = ["Chunk", "Parsed", "ReadChunks", "parse_chunk", "parse_extra_chunk"]


class ReadChunks(beam.DoFn):
    """Path of a file -> its `Chunk`s.

    Raises:
        DataError: as `chunks.read_chunks` says.
    """

    def process(self, path: str):
        yield from chunks.read_chunks(path)


def parse_chunk(stream: str, chunk: Chunk, config: LogsConfig, columns: frozenset[str] | None = None) -> Parsed:
    """Good records of a chunk as columns, the others as dead letters.

    Args:
        stream: users, items, sessions or behaviors.
        chunk: lines or rows of one file.
        config: behaviour kinds, keyword limit, what dead letters hold.
        columns: those that are needed; the others are left out, but checked. Default: all.
    """
    parse = ordinary.line_parser(stream, chunk.body, config, columns is None or tables.KEYWORDS in columns)
    return _parse_rows(_Source(stream, chunk, config.dead_letter_records), stream, parse, columns)


def parse_extra_chunk(
    stream: str, chunk: Chunk, head_type: str, tail_type: str, dead_letter_records: str = "none"
) -> Parsed:
    """Extra triples of a chunk as columns head, relation and tail; `stream` is named in counts and dead letters."""
    source = _Source(stream, chunk, dead_letter_records)
    return _parse_rows(source, "extra", lambda line: (logs.parse_extra(line, head_type, tail_type), 0), None)


class _Source(NamedTuple):
    """Lines, the stream they belong to, and what dead letters show of them."""

    stream: str
    chunk: Chunk
    show: str

    def dead_letter(self, number: int, line: chunks.Row, error: RecordError) -> tuple:
        record = shown(line, self.show)
        return tuple(DeadLetter(self.stream, self.chunk.path, number, error.field, error.reason, "parse", record))


def _parse_rows(source: _Source, kind: str, parse: ordinary.LineParser, columns: frozenset[str] | None) -> Parsed:
    read = blank = strange = 0
    numbers: list[int] = []
    good: list[chunks.Row] = []
    rows: list[tuple] = []
    dead: list[tuple] = []
    with _without_cycle_search():
        for number, line in chunks.rows_of(source.chunk):
            read += 1
            if not line:
                blank += 1
                continue
            try:
                row, unknown = parse(line)
            except RecordError as error:
                dead.append(source.dead_letter(number, line, error))
                continue
            strange += unknown
            numbers.append(number)
            good.append(line)
            rows.append(row)
        table = tables.table(kind, numbers, good, rows, columns)
    stream = source.stream
    counts = {
        f"read.{stream}": read, f"filtered.{stream}.blank_line": blank, f"unknown_fields.{stream}": strange,
    }  # fmt: skip
    return Parsed(table, dead, Counter({name: number for name, number in counts.items() if number}))


@contextlib.contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Half the time would go into looking for cycles in a million new objects that have none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
