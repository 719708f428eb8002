"""Looking up names in the id map of a knowledge graph dataset, by joins: no worker holds the map."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from kdcn_tf import ckg, keys
from kdcn_tf.keys import entity
from kdcn_tf.manifest import DataFile, Manifest, read_file
from kdcn_tf.records import OOV_ID
from pipelines.counting import COUNTS, GOOD, CountingDoFn


def category_entities(path: tuple[str, ...]) -> list[str]:
    """One category per level of the path, from the top down."""
    return [entity(ckg.CATEGORY, key) for key in keys.category_levels(path)]


class ReadIds(beam.PTransform):
    """Id map files of some types -> (entity, id)."""

    def __init__(self, directory: str, graph: Manifest, types: Iterable[str]):
        super().__init__()
        self._files = [(directory, name, entry) for name in types for entry in graph.files.get(f"entities/{name}", ())]

    def expand(self, pipeline):
        return (
            pipeline
            | "IdFiles" >> beam.Create(self._files)
            | "OnePerWorker" >> beam.Reshuffle()
            | "ReadKeys" >> beam.FlatMap(read_ids)
        )


def read_ids(file: tuple[str, str, DataFile]) -> Iterator[tuple[str, int]]:
    """(entity, id) of one id map file, given the dataset's directory, the entity type and the file."""
    directory, entity_type, entry = file
    # Not by lines: a changed file would silently give other entities the ids of the graph.
    for offset, key in enumerate(read_file(directory, entry).decode().splitlines()):
        yield f"{entity_type}\t{key}", entry.first + offset


class _LookUp(CountingDoFn):
    """(entity, its id and (owner, place) pairs) -> (owner, (place, id)); OOV_ID, counted, without id."""

    def process(self, element):
        name, values = element
        found = next((value for value in values if isinstance(value, int)), OOV_ID)
        for value in values:
            if isinstance(value, int):
                continue
            if found == OOV_ID:
                self.count(f"oov.{name.split(chr(9))[0]}")
            owner, place = value
            yield owner, (place, found)


class ResolveNames(beam.PTransform):
    """{"names": (owner, (entities, facts)), "ids": (entity, id)} -> outputs GOOD (owner, (ids, facts)), COUNTS.

    An owner occurs once and has at least one entity. Ids come in the order of the entities.
    """

    def expand(self, inputs):
        names = inputs["names"]
        places = names | "Places" >> beam.FlatMap(_places)
        found = (
            (places, inputs["ids"])
            | "WithIds" >> beam.Flatten()
            | "PerName" >> beam.GroupByKey()
            | "LookUp" >> beam.ParDo(_LookUp()).with_outputs(COUNTS, main=GOOD)
        )
        facts = names | "Facts" >> beam.Map(_facts)
        resolved = (
            (found[GOOD], facts)
            | "WithFacts" >> beam.Flatten()
            | "PerOwner" >> beam.GroupByKey()
            | "Gather" >> beam.Map(_gather)
        )
        return {GOOD: resolved, COUNTS: found[COUNTS]}


def _places(element):
    owner, (entities, _) = element
    return [(name, (owner, place)) for place, name in enumerate(entities)]


def _facts(element):
    owner, (_, facts) = element
    return owner, (-1, facts)


def _gather(element):
    owner, values = element
    placed = dict(values)
    facts = placed.pop(-1)
    return owner, ([placed[place] for place in range(len(placed))], facts)
