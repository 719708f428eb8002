"""A graph that another one grows from: its entities and relations keep their ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from kdcn_tf import ckg, manifest
from kdcn_tf.config import Config, from_dict
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.manifest import DataFile, Manifest
from pipelines import batches, entities, hashing, ids
from pipelines.exchange import Exchange
from pipelines.stating import HASH, NAME, TYPE

FILES = "files"
_GROUP = "entities/"
_SPLIT_BY = ("hash_salt", "valid_fraction", "test_fraction")
"""Options of a graph that decide which triples it holds out."""


@dataclass(frozen=True)
class Base:
    """A finished graph dataset to grow from."""

    directory: str
    graph: Manifest

    @property
    def id_map(self) -> ckg.IdMap:
        return self.graph.require_id_map()

    @property
    def patterns(self) -> tuple[ckg.Pattern, ...]:
        """Patterns of its relations, in the order of their ids."""
        found = []
        for named in self.graph.info["relation_patterns"].values():
            found += [ckg.Pattern(*names) for names in (named if isinstance(named[0], list) else [named])]
        return tuple(found)

    def files(self) -> list[tuple[str, str, DataFile]]:
        """(directory, entity type, file) of the id map."""
        groups = self.graph.files.items()
        return [
            (self.directory, group.removeprefix(_GROUP), f)
            for group, of in groups
            if group.startswith(_GROUP)
            for f in of
        ]

    def info(self, grown: ckg.IdMap) -> dict[str, Any]:
        """What the manifest of the `grown` graph says of this one, and where new ids are."""
        behind = self.id_map.num_ids
        # New ids of the base's last type may follow its old ones, in one range with them.
        spans = {
            name: [[max(first, behind), last] for first, last in grown.spans(name) if last > behind]
            for name in grown.ranges
        }
        return {
            "id_map": self.id_map.fingerprint,
            "num_ids": behind,
            "relations": list(self.id_map.relations),
            "appended": {name: found for name, found in spans.items() if found},
        }


def read(directory: str, config: Config) -> Base:
    """The base graph of a build.

    Raises:
        ConfigError: it names relations in another way, or holds out other triples.
        DataError: it isn't a whole graph dataset, or holds what happened after the data cutoff.
    """
    graph = manifest.read(directory, manifest.CKG)
    manifest.require_entities(directory, graph)
    mode, time = graph.info.get("relation_mode"), graph.info.get("time")
    if mode != config.ckg.relation_mode:
        raise ConfigError(f"ckg.relation_mode={config.ckg.relation_mode}, but {directory} has {mode}")
    cutoff = time.get("train_end") if isinstance(time, dict) else None
    if not isinstance(cutoff, (int, float)) or not isinstance(graph.info.get("relation_patterns"), dict):
        raise DataError(f"{directory}: the manifest has no info.time.train_end or no info.relation_patterns")
    if config.time.train_end is not None and cutoff > config.time.train_end:
        raise DataError(f"{directory} holds events up to {cutoff}, after time.train_end={config.time.train_end}")
    _require_same_split(directory, graph, config)
    return Base(directory, graph)


def _require_same_split(directory: str, graph: Manifest, config: Config) -> None:
    """Otherwise triples that a model of the base was trained on would be held out to judge what starts from it."""
    before = from_dict(graph.config).ckg
    for name in _SPLIT_BY:
        old, new = getattr(before, name), getattr(config.ckg, name)
        if old != new:
            raise ConfigError(f"ckg.{name}={new}, but --base {directory} was built with {old}")


class _Give(beam.DoFn):
    """File of the base's id map -> (part, value for `entities.NumberEntities`); FILES: FileRow of its copy."""

    def __init__(self, directory: str, to: Exchange, salt: int):
        self._directory, self._to, self._salt = directory, to, salt

    def infer_output_type(self, input_type: Any) -> Any:
        return Any

    def process(self, file: tuple[str, str, DataFile]) -> Iterator[Any]:
        directory, entity_type, entry = file
        data = manifest.read_file(directory, entry)
        keys = data.decode().splitlines()
        copied = ids.write_keys(self._directory, entity_type, data, count=len(keys), first=entry.first)
        yield beam.pvalue.TaggedOutput(FILES, copied)
        hashes = hashing.of_texts(keys, entity_type, self._salt)
        given = np.arange(entry.first, entry.first + len(keys))
        rows = pa.table({TYPE: [entity_type] * len(keys), NAME: keys, HASH: hashes, entities.ID: given})
        for part, found in batches.split(rows, hashing.parts(hashes, self._to.parts)):
            yield part, (entities.GIVEN, self._to.pack(found))


class GiveIds(beam.PTransform):
    """Pipeline -> {"told": (part, value for `entities.NumberEntities`), FILES: FileRow} of a base graph's entities."""

    def __init__(self, base: Base, directory: str, to: Exchange, salt: int):
        super().__init__()
        self._files, self._give = base.files(), _Give(directory, to, salt)

    def expand(self, pipeline):
        made = (
            pipeline
            | "BaseFiles" >> beam.Create(self._files)
            | "OnePerWorker" >> beam.Reshuffle()
            | "Give" >> beam.ParDo(self._give).with_outputs(FILES, main="told")
        )
        return {"told": made.told, FILES: made[FILES]}
