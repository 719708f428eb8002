"""Logs as columns: a chunk of a file becomes one Arrow table of its good records.

`parse_chunk` accepts and refuses exactly what `pipelines.logs.parse` does, line by line.
"""

from collections import Counter
from collections.abc import Callable

import apache_beam as beam
import numpy as np

from kdcn_tf.config import LogsConfig
from pipelines import logs
from pipelines.dead_letters import DeadLetter
from pipelines.fields import RecordError
from pipelines.parsing import chunks, tables
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

    def parse(line: chunks.Row) -> tuple[tuple, int]:
        record, unknown = logs.parse(stream, line, config)
        return tables.row_of(stream, record), unknown

    return _parse_rows(stream, stream, chunk, parse, columns)


def parse_extra_chunk(stream: str, chunk: Chunk, head_type: str, tail_type: str) -> Parsed:
    """Extra triples of a chunk as columns head, relation and tail; `stream` is named in counts and dead letters."""
    return _parse_rows(
        stream, "extra", chunk, lambda line: (logs.parse_extra(line, head_type, tail_type), 0), None
    )  # fmt: skip


def _parse_rows(
    stream: str, kind: str, chunk: Chunk, parse: Callable[[chunks.Row], tuple[tuple, int]], columns: frozenset | None
) -> Parsed:
    counts: Counter[str] = Counter()
    numbers, digests, rows, dead = [], [], [], []
    for number, line in chunks.rows_of(chunk):
        counts[f"read.{stream}"] += 1
        if not line:
            counts[f"filtered.{stream}.blank_line"] += 1
            continue
        try:
            row, unknown = parse(line)
        except RecordError as error:
            dead.append(tuple(DeadLetter(stream, chunk.path, number, error.field, error.reason, "parse")))
            continue
        if unknown:
            counts[f"unknown_fields.{stream}"] += unknown
        numbers.append(number)
        digests.append(chunks.digest(line))
        rows.append(row)
    return Parsed(tables.table(kind, numbers, np.array(digests, np.int64), rows, columns), dead, counts)
