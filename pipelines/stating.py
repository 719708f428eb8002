"""The steps from files of a stream to the triples that its records state, each record once.

Of records that share an id and differ, the one with the smallest digest of its line wins: arbitrary, but
the same in every job and for every order of the input. The others are counted as
`filtered.<stream>.duplicate`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kdcn_tf.config import Config
from pipelines import batches, columns, exchange, hashing, statements
from pipelines.counting import COUNTS, DEAD, GOOD, CountingDoFn
from pipelines.distinct import TIMES, merged_records, merged_triples
from pipelines.exchange import Exchange
from pipelines.inputs import Extra
from pipelines.statements import DIGEST, HEAD, KEY, LINE, PATTERN, TAIL, Statements

NAMES, PATTERNS, KNOWN = "names", "patterns", "known"
"""Tags: (part, table of TYPE, NAME, HASH), `ckg.Pattern` as a tuple, (part, hashes of items)."""

TYPE, NAME, HASH = "type", "name", "hash"

_KEYED = ("users", "items", "sessions")  # of equal keys one wins; in other streams only equal records are equal


class Parser:
    """Chunks of one stream -> what its records state."""

    def __init__(self, stream: str, config: Config, extra: Extra | None = None):
        self.stream, self._config, self._extra = stream, config, extra
        self._columns = statements.columns_of(stream, config.ckg)

    def parse(self, chunk: columns.Chunk) -> columns.Parsed:
        if self._extra:
            return columns.parse_extra_chunk(
                self.stream, chunk, self._extra.head_type, self._extra.tail_type, self._config.logs.dead_letter_records
            )
        return columns.parse_chunk(self.stream, chunk, self._config.logs, self._columns)

    def state(self, rows: pa.Table) -> Statements:
        if self._extra:
            salt = self._config.ckg.hash_salt
            return statements.of_extras(rows, self._extra.head_type, self._extra.tail_type, salt)
        return statements.OF_STREAM[self.stream](rows, self._config.ckg)


class _State(CountingDoFn):
    """`Chunk` -> its records, as `States` says, with NAMES, PATTERNS, DEAD, COUNTS."""

    def __init__(self, parser: Parser, train_end: float, to: Exchange, checked: bool):
        self._parser, self._train_end, self._to, self._checked = parser, train_end, to, checked

    def process(self, chunk: columns.Chunk) -> Iterator[Any]:
        parsed = self._parser.parse(chunk)
        for name, number in parsed.counts.items():
            self.count(name, number)
        for letter in parsed.dead:
            yield beam.pvalue.TaggedOutput(DEAD, letter)
        rows = self._timely(parsed.table)
        if not rows.num_rows:
            return
        found = self._parser.state(rows)
        for pattern in found.patterns:
            yield beam.pvalue.TaggedOutput(PATTERNS, (pattern.head, pattern.relation, pattern.tail))
        for part, named in _names(found.names, self._to.parts):
            yield beam.pvalue.TaggedOutput(NAMES, (part, self._to.pack(named)))
        yield from self._records(chunk, found.records)

    def _records(self, chunk: columns.Chunk, records: pa.Table) -> Iterator[Any]:
        if self._checked:
            yield f"{chunk.path}\t{chunk.first_line}", self._to.pack(records)
        else:
            yield from _by_key(self._parser.stream, records, self._to)

    def _timely(self, rows: pa.Table) -> pa.Table:
        if "timestamp" not in rows.column_names:
            return rows
        kept = rows.filter(pc.less(rows.column("timestamp"), self._train_end))
        self.count(f"filtered.{self._parser.stream}.after_train_end", rows.num_rows - kept.num_rows)
        return kept


def _names(found: list[statements.Names], parts: int) -> Iterator[tuple[int, pa.Table]]:
    if not found:
        return
    types = np.repeat([names.entity_type for names in found], [len(names.keys) for names in found])
    hashes = np.concatenate([names.hashes for names in found])
    texts = pa.array([key for names in found for key in names.keys], pa.string())
    rows = pa.table({TYPE: pa.array(types, pa.string()), NAME: texts, HASH: hashes})
    yield from batches.split(rows, hashing.parts(hashes, parts))


class States(beam.PTransform):
    """Files of a stream -> outputs GOOD, NAMES, PATTERNS, DEAD, COUNTS.

    GOOD is ((stream, part), records) for `Winners`, or (chunk, its records) of a stream whose items have to be
    `checked` before.
    """

    def __init__(self, paths: tuple[str, ...], parser: Parser, train_end: float, to: Exchange, checked: bool):
        super().__init__()
        self._paths, self._do = paths, _State(parser, train_end, to, checked)

    def expand(self, pipeline):
        return (
            pipeline
            | "Files" >> beam.Create(self._paths)
            # Without it a runner may fuse all files into one bundle.
            | "OnePerWorker" >> beam.Reshuffle()
            | "Chunks" >> beam.ParDo(columns.ReadChunks())
            | "State" >> beam.ParDo(self._do).with_outputs(NAMES, PATTERNS, DEAD, COUNTS, main=GOOD)
        )


def _by_key(stream: str, records: pa.Table, to: Exchange) -> Iterator[tuple[tuple[str, int], bytes]]:
    """((stream, part), records with TIMES) of a chunk's records, equal ones counted and merged."""
    ones = pa.array(np.ones(records.num_rows, np.int64))
    merged = merged_records(records.drop_columns([LINE]).append_column(TIMES, ones), (KEY, DIGEST))
    for part, found in batches.split(merged, hashing.parts(batches.column(merged, KEY), to.parts)):
        yield (stream, part), to.pack(found)


class _ByKey(beam.DoFn):
    """(chunk, its records) -> `_by_key`."""

    def __init__(self, stream: str, to: Exchange):
        self._stream, self._to = stream, to

    def process(self, element: tuple[str, bytes]) -> Iterator[Any]:
        yield from _by_key(self._stream, exchange.unpack([element[1]]), self._to)


class _Win(CountingDoFn):
    """((stream, part), records) -> (part of the pair, Arrow bytes of triples), with KNOWN and COUNTS."""

    def __init__(self, to: Exchange):
        self._to = to

    def process(self, element: tuple[tuple[str, int], Iterable[bytes]]) -> Iterator[Any]:
        (stream, part), packed = element
        winners = merged_records(exchange.unpack(packed), (KEY,) if stream in _KEYED else (KEY, DIGEST))
        records = int(np.sum(batches.column(winners, TIMES)))
        self.count(f"used.{stream}", winners.num_rows)
        self.count(f"filtered.{stream}.duplicate", records - winners.num_rows)
        if stream == "items":
            yield beam.pvalue.TaggedOutput(KNOWN, (part, batches.column(winners, KEY).tobytes()))
        head, pattern, tail = (_flat(winners, name) for name in (HEAD, PATTERN, TAIL))
        self.count("read.triples", len(head))
        if not len(head):
            return
        weight = np.ones(len(head), np.int32)
        rows = merged_triples(batches.table(head=head, pattern=pattern, tail=tail, weight=weight))
        pairs = hashing.of_pairs(batches.column(rows, HEAD), batches.column(rows, TAIL))
        for place, found in batches.split(rows, hashing.parts(pairs, self._to.parts)):
            yield place, self._to.pack(found)


def _flat(rows: pa.Table, name: str) -> np.ndarray:
    return rows.column(name).combine_chunks().flatten().to_numpy()


class ByKey(beam.PTransform):
    """(chunk, its records) of a stream -> ((stream, part), records) for `Winners`."""

    def __init__(self, stream: str, to: Exchange):
        super().__init__()
        self._do = _ByKey(stream, to)

    def expand(self, rows):
        return rows | "ByKey" >> beam.ParDo(self._do)


class Winners(beam.PTransform):
    """((stream, part), records) of several streams -> outputs GOOD ((part, triples)), KNOWN, COUNTS."""

    def __init__(self, to: Exchange):
        super().__init__()
        self._to = to

    def expand(self, records):
        return (
            records
            | "PerKey" >> beam.GroupByKey()
            | "Win" >> beam.ParDo(_Win(self._to)).with_outputs(KNOWN, COUNTS, main=GOOD)
        )
