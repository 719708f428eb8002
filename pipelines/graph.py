"""The steps from raw logs to the knowledge graph dataset, put together."""

import apache_beam as beam

from kdcn_tf import ckg
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from pipelines import adjacency, dedupe, entities, extract, known_items, reading, triples
from pipelines.counting import COUNTS, DEAD, GOOD, CountingDoFn
from pipelines.inputs import Extra, Inputs
from pipelines.job import Outputs
from pipelines.logs import Behavior, Session

SPLITS = (triples.TRAIN, triples.VALID, triples.TEST)


def streams(config: Config) -> tuple[str, ...]:
    """Streams that the graph is made of."""
    return ("users", "items", "sessions", "behaviors") if config.ckg.interactions else ("users", "items", "sessions")


def train_end(config: Config) -> float:
    """The data cutoff.

    Raises:
        ConfigError: none is set.
    """
    if config.time.train_end is None:
        raise ConfigError("time.train_end: is required; --set time.train_end=<seconds since 1970>")
    return config.time.train_end


class BeforeCutoff(CountingDoFn):
    """Drops sessions and behaviours at or after the data cutoff, counted as `after_train_end`."""

    def __init__(self, stream: str, train_end: float):
        self._stream, self._train_end = stream, train_end

    def process(self, element):
        if isinstance(element[0], (Session, Behavior)) and element[0].timestamp >= self._train_end:
            self.count(f"filtered.{self._stream}.after_train_end")
        else:
            yield element


class _CountTriples(CountingDoFn):
    """Lists of triples -> triples, counted."""

    def process(self, found):
        self.count("read.triples", len(found))
        yield from found


class StreamTriples(beam.PTransform):
    """Files of a keyed stream -> outputs GOOD (triples), DEAD, COUNTS (list)."""

    def __init__(self, stream: str, paths: tuple[str, ...], config: Config):
        super().__init__()
        self._stream, self._paths, self._config = stream, paths, config

    def expand(self, pipeline):
        stream, config = self._stream, self._config
        parsed = pipeline | reading.ReadFiles(self._paths, reading.ParseRecords(stream, config.logs))
        timely = parsed[GOOD] | BeforeCutoff.__name__ >> beam.ParDo(
            BeforeCutoff(stream, train_end(config))
        ).with_outputs(COUNTS, main=GOOD)
        winners = (
            timely[GOOD]
            | "Extract" >> beam.MapTuple(lambda record, *_: dedupe.claim(record, extract.triples(record, config.ckg)))
            | dedupe.PickWinners(stream)
        )
        found = winners[GOOD] | "CountTriples" >> beam.ParDo(_CountTriples()).with_outputs(COUNTS, main=GOOD)
        counts = [parsed[COUNTS], timely[COUNTS], winners[COUNTS], found[COUNTS]]
        return {GOOD: found[GOOD], DEAD: parsed[DEAD], COUNTS: counts | "Counts" >> beam.Flatten()}


class BehaviorTriples(beam.PTransform):
    """Behaviour files -> outputs GOOD (`known_items.Row` of a triple), DEAD, COUNTS."""

    def __init__(self, paths: tuple[str, ...], config: Config):
        super().__init__()
        self._paths, self._config = paths, config

    def expand(self, pipeline):
        parsed = pipeline | reading.ReadFiles(self._paths, reading.ParseRecords("behaviors", self._config.logs))
        timely = parsed[GOOD] | BeforeCutoff.__name__ >> beam.ParDo(
            BeforeCutoff("behaviors", train_end(self._config))
        ).with_outputs(COUNTS, main=GOOD)
        rows = timely[GOOD] | "Extract" >> beam.MapTuple(
            lambda record, file, line: ("behaviors", extract.interaction_triple(record), file, line)
        )
        return {
            GOOD: rows,
            DEAD: parsed[DEAD],
            COUNTS: (parsed[COUNTS], timely[COUNTS]) | "Counts" >> beam.Flatten(),
        }


class ExtraTriples(beam.PTransform):
    """Files of extra triples -> outputs GOOD (`known_items.Row` of a triple), DEAD, COUNTS."""

    def __init__(self, extra: Extra):
        super().__init__()
        self._extra = extra

    def expand(self, pipeline):
        extra = self._extra
        parse = reading.ParseExtras(extra.stream, extra.head_type, extra.tail_type)
        parsed = pipeline | reading.ReadFiles(extra.paths, parse)
        rows = parsed[GOOD] | "Extract" >> beam.MapTuple(
            lambda columns, file, line: (
                extra.stream, extract.extra_triple(extra.head_type, extra.tail_type, columns), file, line,
            )
        )  # fmt: skip
        return {GOOD: rows, DEAD: parsed[DEAD], COUNTS: parsed[COUNTS]}


class _CountUsed(CountingDoFn):
    def process(self, row):
        self.count(f"used.{row[0]}")
        self.count("read.triples")
        yield row[1]


class _IsItem(beam.PartitionFn):
    def __init__(self, end: str):
        self._end = end

    def partition_for(self, row, num_partitions):
        return int(_item_end(row[1], self._end) is not None)


class WithKnownItems(beam.PTransform):
    """{"rows": `known_items.Row`s of triples, "items": item entities} -> outputs GOOD (triples), DEAD, COUNTS.

    A triple of which an end is an item that the items stream doesn't have is a dead letter.
    """

    def expand(self, inputs):
        rows, dead, counts = inputs["rows"], [], []
        items = inputs["items"] | "Presence" >> beam.Map(lambda item: (item, True))
        for end in ("head", "tail"):
            parts = rows | f"{end}IsItem" >> beam.Partition(_IsItem(end), 2)
            by_item = parts[1] | f"By{end}" >> beam.Map(lambda row, end=end: (_item_end(row[1], end), row))
            joined = {"rows": by_item, "items": items} | f"Known{end}" >> known_items.JoinItems(end, "extract")
            kept = joined[GOOD] | f"Row{end}" >> beam.MapTuple(lambda _, row: row)
            rows = (parts[0], kept) | f"After{end}" >> beam.Flatten()
            dead.append(joined[DEAD])
            counts.append(joined[COUNTS])
        used = rows | "CountUsed" >> beam.ParDo(_CountUsed()).with_outputs(COUNTS, main=GOOD)
        return {
            GOOD: used[GOOD],
            DEAD: dead | "Dead" >> beam.Flatten(),
            COUNTS: [*counts, used[COUNTS]] | "Counts" >> beam.Flatten(),
        }


def _item_end(triple: str, end: str) -> str | None:
    head, pattern, tail = extract.split_triple(triple)
    entity, entity_type = (head, pattern.head) if end == "head" else (tail, pattern.tail)
    return entity if entity_type == ckg.ITEM else None


def build(pipeline: beam.Pipeline, inputs: Inputs, config: Config, directory: str) -> Outputs:
    """Adds all steps to `pipeline`; files go to `directory`."""
    outputs = Outputs()
    distinct = _distinct_triples(pipeline, inputs, config, outputs)
    kept = distinct | "KeepEntities" >> entities.KeptEntities(config.ckg.min_attribute_count)
    assigned = kept[GOOD] | "AssignIds" >> entities.AssignIds(directory, config.ckg.ids_per_file)
    relations = distinct | "Relations" >> triples.RelationIds(config.ckg.relation_mode)
    encoded = {"triples": distinct, "ids": assigned["ids"], "relations": relations} | "Encode" >> triples.EncodeTriples(
        config.ckg.valid_fraction, config.ckg.test_fraction
    )
    written = encoded[GOOD] | "WriteTriples" >> triples.WriteTriples(
        directory, block_size=config.ckg.block_size, triples_per_file=config.ckg.triples_per_file
    )
    training = encoded[GOOD] | "Training" >> beam.FlatMap(lambda row: [row[1]] if row[0] == triples.TRAIN else [])
    neighbors = training | "Neighbors" >> adjacency.Neighbors(config.ckg.stored_neighbors)
    total = assigned["sizes"] | beam.Values() | "NumEntities" >> beam.CombineGlobally(sum)
    adjacent = {"neighbors": neighbors, "num_entities": total} | "WriteAdjacency" >> adjacency.WriteAdjacency(
        directory, ids_per_file=config.ckg.ids_per_file, stored=config.ckg.stored_neighbors
    )
    outputs.files += [assigned["files"], written, adjacent]
    outputs.counts += [kept[COUNTS], encoded[COUNTS]]
    outputs.facts.append(relations | "Patterns" >> beam.Map(lambda ids: ("patterns", sorted(ids))))
    return outputs


def _distinct_triples(pipeline: beam.Pipeline, inputs: Inputs, config: Config, outputs: Outputs):
    """Distinct triples of all streams; dead letters and counts go to `outputs`."""
    found = {}
    for stream, paths in inputs.only(("users", "items", "sessions")).items():
        found[stream] = pipeline | stream.capitalize() >> StreamTriples(stream, paths, config)
    rows = [pipeline | extra.stream >> ExtraTriples(extra) for extra in inputs.extras]
    if config.ckg.interactions and "behaviors" in inputs.streams:
        rows.append(pipeline | "Behaviors" >> BehaviorTriples(inputs.streams["behaviors"], config))
    checked = []
    if rows:
        items = found["items"][GOOD] | "ItemsOfCategories" >> beam.FlatMap(_item_of) | "EachItem" >> beam.Distinct()
        merged = [part[GOOD] for part in rows] | "RowsWithItems" >> beam.Flatten()
        checked = [{"rows": merged, "items": items} | "KnownItems" >> WithKnownItems()]
    parts = [*found.values(), *rows, *checked]
    outputs.dead += [part[DEAD] for part in parts]
    triple_texts = [part[GOOD] for part in (*found.values(), *checked)] | "AllTriples" >> beam.Flatten()
    distinct = triple_texts | "DistinctTriples" >> triples.DistinctTriples()
    outputs.counts += [*(part[COUNTS] for part in parts), distinct[COUNTS]]
    return distinct[GOOD]


def _item_of(triple: str) -> list[str]:
    """The item of a category triple: every item has one."""
    head, pattern, _ = extract.split_triple(triple)
    return [head] if pattern == ckg.ITEM_BELONGS_TO_CATEGORY else []
