"""From files to distinct triples, and the steps of the job put together."""

import gzip
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam

from benchmarks.elementwise import adjacency, entities, extract, triples
from kdcn_tf import files, keys
from kdcn_tf.config import Config, LogsConfig
from pipelines import logs
from pipelines.counting import COUNTS, GOOD, CountingDoFn, SumCounts

Claim = tuple[int, int, list[str]]
"""Number of records, smallest content hash, and that record's triples."""

_KEYS = {logs.User: "user_id", logs.Item: "item_id", logs.Session: "session_id"}


class _Parse(CountingDoFn):
    """Path of a JSON Lines file -> records that lie before the cutoff."""

    def __init__(self, stream: str, config: LogsConfig, train_end: float):
        self._stream, self._config, self._train_end = stream, config, train_end

    def process(self, path: str):
        with files.open_read(path) as stream:
            for line in gzip.GzipFile(fileobj=stream) if path.endswith(".gz") else stream:
                self.count(f"read.{self._stream}")
                record, _ = logs.parse(self._stream, line.rstrip(b"\r\n"), self._config)
                if isinstance(record, logs.Session) and record.timestamp >= self._train_end:
                    self.count(f"filtered.{self._stream}.after_train_end")
                else:
                    yield record


class _Winner(beam.CombineFn):
    """Of records that share a key, the one with the smallest hash."""

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


class _Triples(CountingDoFn):
    """(key, winner) -> its triples."""

    def __init__(self, stream: str):
        self._stream = stream

    def process(self, element):
        _, (number, _, found) = element
        self.count(f"used.{self._stream}")
        self.count(f"filtered.{self._stream}.duplicate", number - 1)
        self.count("read.triples", len(found))
        yield from found


def _claim(record: Any, config: Config) -> tuple[str, Claim]:
    found = extract.triples(record, config.ckg)
    return getattr(record, _KEYS[type(record)]), (1, keys.stable_hash(repr(record)), found)


class StreamTriples(beam.PTransform):
    """Files of a keyed stream -> outputs GOOD (triples) and COUNTS."""

    def __init__(self, stream: str, paths: tuple[str, ...], config: Config):
        super().__init__()
        self._stream, self._paths, self._config = stream, paths, config

    def expand(self, pipeline):
        end = self._config.time.train_end
        assert end is not None, "time.train_end is required"
        parsed = (
            pipeline
            | "Files" >> beam.Create(self._paths)
            | "OnePerWorker" >> beam.Reshuffle()
            | "Parse" >> beam.ParDo(_Parse(self._stream, self._config.logs, end)).with_outputs(COUNTS, main=GOOD)
        )
        found = (
            parsed[GOOD]
            | "Extract" >> beam.Map(_claim, self._config)
            | "Winner" >> beam.CombinePerKey(_Winner())
            | "Triples" >> beam.ParDo(_Triples(self._stream)).with_outputs(COUNTS, main=GOOD)
        )
        return {GOOD: found[GOOD], COUNTS: (parsed[COUNTS], found[COUNTS]) | "Counts" >> beam.Flatten()}


def build(pipeline: beam.Pipeline, streams: Mapping[str, tuple[str, ...]], config: Config, directory: str) -> Any:
    """Adds all steps to `pipeline`; files go to `directory`. Returns the (name, number) pairs."""
    ckg = config.ckg
    found = [pipeline | name.capitalize() >> StreamTriples(name, paths, config) for name, paths in streams.items()]
    merged = [part[GOOD] for part in found] | "AllTriples" >> beam.Flatten()
    distinct = merged | "DistinctTriples" >> triples.DistinctTriples()
    kept = distinct[GOOD] | "KeepEntities" >> entities.KeptEntities(ckg.min_attribute_count)
    assigned = kept[GOOD] | "AssignIds" >> entities.AssignIds(directory, ckg.ids_per_file)
    relations = distinct[GOOD] | "Relations" >> triples.RelationIds(ckg.relation_mode)
    encoding = triples.EncodeTriples(ckg.valid_fraction, ckg.test_fraction)
    encoded = {"triples": distinct[GOOD], "ids": assigned["ids"], "relations": relations} | "Encode" >> encoding
    written = encoded[GOOD] | "WriteTriples" >> triples.WriteTriples(directory, ckg.block_size, ckg.triples_per_file)
    training = encoded[GOOD] | "Training" >> beam.FlatMap(lambda row: [row[1]] if row[0] == triples.TRAIN else [])
    neighbors = training | "Neighbors" >> adjacency.Neighbors(ckg.stored_neighbors)
    total = assigned["sizes"] | beam.Values() | "NumEntities" >> beam.CombineGlobally(sum)
    adjacent = {"neighbors": neighbors, "num_entities": total} | "WriteAdjacency" >> adjacency.WriteAdjacency(
        directory, ckg.ids_per_file, ckg.stored_neighbors
    )
    rows = (assigned["files"], written, adjacent) | "AllFiles" >> beam.Flatten()
    counted = rows | "Rows" >> beam.Map(lambda row: (f"rows.{row[0]}", row[4]))
    counts = [part[COUNTS] for part in (*found, distinct, kept, encoded)]
    return [*counts, counted] | "AllCounts" >> beam.Flatten() | "Sum" >> SumCounts()
