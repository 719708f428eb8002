"""Entities and their ids: dense, one contiguous range per type, free of arrival order.

An id is: first id of the type + entities in the type's earlier shards + place in the sorted shard.
The shard is a stable hash of (type, key), so equal sets of entities get equal ids on any machine,
and no step sees more than one shard.
"""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from benchmarks.elementwise.extract import split_triple
from kdcn_tf import ckg, keys
from pipelines import writing
from pipelines.counting import COUNTS, GOOD, CountingDoFn

_PATTERNS = frozenset(ckg.LOG_PATTERNS)
_RARE_FILTERED = frozenset(ckg.RARE_FILTERED_TYPES)

Shard = tuple[str, int]
"""Entity type and shard number."""


def occurrences(triple: str) -> Iterator[tuple[str, tuple[int, tuple[str, ...]]]]:
    """(entity, (times it counts as an attribute, properties it is a value of)) of both ends.

    An attribute counts once per distinct triple of which it is the tail; (property, has, value) doesn't
    count, as every value has exactly one. In triples of an outside graph both ends count.
    """
    head, pattern, tail = split_triple(triple)
    if pattern == ckg.PROPERTY_HAS_VALUE:
        yield tail, (0, (head,))
        return
    yield head, (0 if pattern in _PATTERNS else 1, ())
    yield tail, (1, ())


class _MergeOccurrences(beam.CombineFn):
    def create_accumulator(self):
        return 0, ()

    def add_input(self, accumulator, occurrence):
        (count, owners), (one, owner) = accumulator, occurrence
        return count + one, _union(owners, owner)

    def merge_accumulators(self, accumulators):
        count = 0
        owners: tuple[str, ...] = ()
        for other_count, other in accumulators:
            count, owners = count + other_count, _union(owners, other)
        return count, owners

    def extract_output(self, accumulator):
        return accumulator


def _union(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*names, *others})) if names and others else names or others


class _DropRare(CountingDoFn):
    """(entity, occurrences) -> entity, where it is kept; at PROPERTIES (property, whether this keeps it)."""

    PROPERTIES = "properties"

    def __init__(self, min_count: int):
        self._min_count = min_count

    def process(self, element):
        name, (count, properties) = element
        entity_type = name.split("\t")[0]
        kept = entity_type not in _RARE_FILTERED or count >= self._min_count
        if entity_type == ckg.PROPERTY:  # an end of an outside triple; its values may keep it too
            yield beam.pvalue.TaggedOutput(self.PROPERTIES, (name, kept))
            return
        for owner in properties:
            yield beam.pvalue.TaggedOutput(self.PROPERTIES, (owner, kept))
        if kept:
            yield name
        else:
            self.count(f"rare.{entity_type}")


class _DropProperties(CountingDoFn):
    def process(self, element):
        name, kept = element
        if kept:
            yield name
        else:
            self.count(f"rare.{ckg.PROPERTY}")


class KeptEntities(beam.PTransform):
    """Distinct triples -> outputs GOOD (distinct entities) and COUNTS (`rare.<type>`).

    Users, items, sellers, sessions, categories and types of outside graphs are all kept. A tag, value,
    intention or keyword that counts (see `occurrences`) fewer than `min_count` times is dropped, judged
    on the triples before any is dropped. A property is kept if it keeps a value.
    """

    def __init__(self, min_count: int):
        super().__init__()
        self._min_count = min_count

    def expand(self, triples):
        judged = (
            triples
            | "Occurrences" >> beam.FlatMap(occurrences)
            | "CountOccurrences" >> beam.CombinePerKey(_MergeOccurrences())
            | "DropRare" >> beam.ParDo(_DropRare(self._min_count)).with_outputs(COUNTS, _DropRare.PROPERTIES, main=GOOD)
        )
        properties = (
            judged[_DropRare.PROPERTIES]
            | "AnyValue" >> beam.CombinePerKey(any)
            | "DropProperties" >> beam.ParDo(_DropProperties()).with_outputs(COUNTS, main=GOOD)
        )
        return {
            GOOD: (judged[GOOD], properties[GOOD]) | "Kept" >> beam.Flatten(),
            COUNTS: (judged[COUNTS], properties[COUNTS]) | "Dropped" >> beam.Flatten(),
        }


def type_order(entity_type: str) -> tuple[int, str]:
    """Sort key of types: those of the paper in their order, then the others by name."""
    known = ckg.ENTITY_TYPES.index(entity_type) if entity_type in ckg.ENTITY_TYPES else len(ckg.ENTITY_TYPES)
    return known, entity_type


def first_ids(sizes: dict[Shard, int]) -> dict[Shard, int]:
    """First id of every shard; id 0 is PAD."""
    first, found = ckg.PAD_ID + 1, {}
    for shard in sorted(sizes, key=lambda s: (type_order(s[0]), s[1])):
        found[shard] = first
        first += sizes[shard]
    return found


def _to_shard(name: str, counts: dict[str, int], ids_per_file: int) -> tuple[tuple[str, int, int], str]:
    entity_type, key = name.split("\t")
    shards = -(-counts[entity_type] // ids_per_file)
    return (entity_type, keys.stable_hash(entity_type, key) % shards, shards), key


def _size_of(element: tuple[tuple[str, int, int], Iterable[str]]) -> tuple[Shard, int]:
    (entity_type, shard, _), found = element
    return (entity_type, shard), sum(1 for _ in found)


class _AssignShard(CountingDoFn):
    """Keys of a shard -> (entity, id) and, at the tag FILES, the written id map file."""

    FILES = "files"

    def __init__(self, directory: str):
        self._directory = directory

    def process(self, element, sizes):
        (entity_type, shard, shards), found = element
        first = first_ids(sizes)[entity_type, shard]
        names = sorted(found)
        for offset, key in enumerate(names):
            yield f"{entity_type}\t{key}", first + offset
        group = f"entities/{entity_type}"
        row = writing.write_file(
            self._directory,
            group=group,
            name=writing.shard_name(group, shard, shards, "txt"),
            data="".join(f"{key}\n" for key in names).encode(),
            count=len(names),
            first=first,
        )
        yield beam.pvalue.TaggedOutput(self.FILES, row)


class AssignIds(beam.PTransform):
    """Distinct entities -> {"ids": (entity, id), "files": FileRow, "sizes": (shard, number)}."""

    def __init__(self, directory: str, ids_per_file: int):
        super().__init__()
        self._directory, self._ids_per_file = directory, ids_per_file

    def expand(self, entities):
        counts = (
            entities
            | "TypeOf" >> beam.Map(lambda name: (name.split("\t")[0], 1))
            | "CountPerType" >> beam.CombinePerKey(sum)
        )
        shards = (
            entities
            | "PickShard" >> beam.Map(_to_shard, beam.pvalue.AsDict(counts), self._ids_per_file)
            | "PerShard" >> beam.GroupByKey()
        )
        sizes = shards | "SizeOf" >> beam.Map(_size_of)
        assigned = shards | "Assign" >> beam.ParDo(
            _AssignShard(self._directory), beam.pvalue.AsDict(sizes)
        ).with_outputs(_AssignShard.FILES, main="ids")
        return {"ids": assigned.ids, "files": assigned[_AssignShard.FILES], "sizes": sizes}
