"""Graphs of any size with one degree distribution, to time steps on; made in seconds per million entities.

A step reads training triples and the stored neighbours of their entities. Both are drawn here independently by one
law, instead of deriving the neighbours from as many triples as a graph of that size would have (`graphs.random_ckg`):
steps cost the same, and ten million entities are written in a minute or so instead of a quarter of an hour.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks import graphs
from kdcn_tf import manifest, records
from pipelines import ids, writing

SKEW, MIN_DEGREE = 0.5, 5
"""An entity of rank u, in (0, 1], has degree MIN_DEGREE * u ** -SKEW (10 on average), and is drawn as often."""

TRIPLES, FILES, RELATIONS = 200_000, 10, 200
_BLOCK, _IDS_PER_FILE = 1024, 100_000


def write(output: str, *, entities: int, stored: int = 10, seed: int = 1) -> manifest.Manifest:
    """Writes a graph as a CKG dataset.

    Args:
        output: fresh directory.
        entities: their number. Frequent ones are spread over the ids.
        stored: neighbours kept per entity (K).
        seed: of every choice.
    """
    manifest.prepare_output(output, manifest.CKG)
    rng = np.random.default_rng(seed)
    places = rng.permutation(entities) + 1
    rows = list(_triples(output, rng, places))
    rows += graphs._write_keys(output, [f"e{number:08}" for number in range(entities)])
    rows += _adjacency(output, rng, places, stored)
    groups: dict[str, tuple[manifest.DataFile, ...]] = {}
    for group, name, size, digest, count, first in rows:
        groups[group] = (*groups.get(group, ()), manifest.DataFile(name, size, digest, count, first))
    keys = {name: parts for name, parts in groups.items() if name.startswith("entities/")}
    made = manifest.Manifest(
        kind=manifest.CKG,
        files=groups,
        id_map=ids.id_map(keys, [f"r{number}" for number in range(RELATIONS)]),
        info={"stored_neighbors": stored},
    )
    manifest.write(output, made)
    return made


def _draw(rng: np.random.Generator, places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Ids, each as often as its degree says."""
    return places[(len(places) * rng.random(shape) ** (1.0 / (1.0 - SKEW))).astype(np.int64)]


def _triples(output: str, rng: np.random.Generator, places: np.ndarray) -> Iterator[writing.FileRow]:
    for split, count in (("train", TRIPLES), ("valid", 1000), ("test", 1000)):
        ends = _draw(rng, places, (2, count))
        found = np.stack([ends[0], rng.integers(0, RELATIONS, count), ends[1]], axis=1)
        shards = FILES if split == "train" else 1
        for shard, part in enumerate(np.split(found, shards)):
            blocks = (part[first : first + _BLOCK] for first in range(0, len(part), _BLOCK))
            data = writing.tfrecord(
                records.encode(
                    {
                        records.HEAD: block[:, 0].tolist(),
                        records.RELATION: block[:, 1].tolist(),
                        records.TAIL: block[:, 2].tolist(),
                    }
                )
                for block in blocks
            )
            name = writing.shard_name(split, shard, shards, "tfrecord")
            yield writing.write_file(output, group=split, name=name, data=data, count=len(part))


def _adjacency(output: str, rng: np.random.Generator, places: np.ndarray, stored: int) -> Iterator[writing.FileRow]:
    total = len(places)
    degrees = np.empty(total, np.int64)
    degrees[places - 1] = np.ceil(MIN_DEGREE * ((np.arange(total) + 1.0) / total) ** -SKEW)
    shards = -(-total // _IDS_PER_FILE)
    for shard in range(shards):
        mine = degrees[shard * _IDS_PER_FILE : (shard + 1) * _IDS_PER_FILE]
        first = 1 + shard * _IDS_PER_FILE
        neighbors = _draw(rng, places, (len(mine), stored))
        neighbors[np.arange(stored) >= mine[:, None]] = 0
        data = writing.tfrecord(
            records.encode(
                {
                    records.FIRST_ID: [first + start],
                    records.DEGREE: mine[start : start + _BLOCK].tolist(),
                    records.NEIGHBORS: neighbors[start : start + _BLOCK].ravel().tolist(),
                }
            )
            for start in range(0, len(mine), _BLOCK)
        )
        name = writing.shard_name("adjacency", shard, shards, "tfrecord")
        yield writing.write_file(output, group="adjacency", name=name, data=data, count=len(mine), first=first)
