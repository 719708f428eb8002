"""Knowledge graph datasets for benchmarks, written without Beam.

    python benchmarks/graphs.py --folder=FB15k-237 --output=CKG

`write_ckg` takes a link-prediction benchmark with its official splits, `random_ckg` makes a graph of any size.
Files, order and ids follow the rules of the pipeline that builds graphs from logs.
"""

import os
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from kdcn_tf import ckg, command, files, keys, manifest
from kdcn_tf.errors import DataError
from pipelines import adjacency, batches, hashing, ids, triples, writing
from pipelines.datasets import tables

ENTITY = "entity"
"""The one entity type of these graphs."""

SPLITS = (triples.TRAIN, triples.VALID, triples.TEST)
_BLOCK_TRIPLES, _IDS_PER_FILE = 1024, 100_000
_SIGN = np.uint64(1 << 63)


def write_ckg(
    folder: str,
    output: str,
    *,
    triples_per_file: int = 20_000,
    stored_neighbors: int = 20,
    random_neighbors: bool = False,
) -> manifest.Manifest:
    """Writes the CKG dataset of a benchmark folder; every triple stays in its official split.

    Ids follow the sorted keys, from 1 for entities and from 0 for relations, and include what only
    validation or test triples name.

    Args:
        folder: train, valid and test as `.txt` or `.txt.gz`, lines head<TAB>relation<TAB>tail.
        output: fresh directory.
        triples_per_file: triples of a file, on average.
        stored_neighbors: neighbours kept per entity (K).
        random_neighbors: give every entity as many neighbours as it has, but random ones: what a graph without
            structure is worth to a GCN.

    Raises:
        DataError: a file is missing or a line isn't a triple.
        ConfigError: `output` isn't empty.
    """
    rows = {split: _read_split(folder, split) for split in SPLITS}
    named = [row for part in rows.values() for row in part]
    names = sorted({row[0] for row in named} | {row[2] for row in named})
    relations = sorted({row[1] for row in named})
    ids = {name: number for number, name in enumerate(names, start=ckg.PAD_ID + 1)}
    relation_ids = {name: number for number, name in enumerate(relations)}
    splits = {}
    for split, part in rows.items():
        order = np.array([keys.stable_hash("\t".join(row)) for row in part], np.int64)
        found = np.array([(ids[h], relation_ids[r], ids[t]) for h, r, t in part], np.int64).reshape(-1, 3)
        splits[split] = (order.view(np.uint64) ^ _SIGN, found)
    around = splits[triples.TRAIN][1]
    if random_neighbors:
        tails = np.random.default_rng(0).permutation(around[:, 2])
        around = np.stack([around[:, 0], around[:, 1], tails], axis=1)
    return _write(output, splits, around, names, relations, triples_per_file, stored_neighbors)


def random_ckg(
    output: str,
    *,
    entities: int,
    triples: int,
    relations: int,
    seed: int,
    held_out: int = 1000,
    skew: float = 0.0,
    triples_per_file: int = 100_000,
    stored_neighbors: int = 20,
) -> manifest.Manifest:
    """Writes a graph of random triples, to time steps on: there is nothing in it to learn.

    Args:
        output: fresh directory.
        entities: their number; ids are 1 to `entities`.
        triples: training triples, with repetitions and self-loops as chance makes them.
        relations: their number.
        seed: of every choice.
        held_out: validation triples, and as many test triples.
        skew: exponent of Zipf's law of the entities' frequencies, in [0, 1); 0 makes all equally frequent.
            Frequent entities are spread over the ids.
        triples_per_file: triples of a file, on average.
        stored_neighbors: neighbours kept per entity (K).
    """
    rng = np.random.default_rng(seed)
    places = rng.permutation(entities) + 1 if skew else np.arange(1, entities + 1)
    splits = {}
    for split, count in zip(SPLITS, (triples, held_out, held_out), strict=True):
        ranks = (entities * rng.random((2, count)) ** (1.0 / (1.0 - skew))).astype(np.int64)
        head, tail = places[np.minimum(ranks, entities - 1)]
        order = rng.integers(0, 2**64, count, dtype=np.uint64)
        splits[split] = (order, np.stack([head, rng.integers(0, relations, count), tail], axis=1))
    width = len(str(entities))
    names = [f"e{number:0{width}}" for number in range(1, entities + 1)]
    relation_names = [f"r{number}" for number in range(relations)]
    around = splits[SPLITS[0]][1]
    return _write(output, splits, around, names, relation_names, triples_per_file, stored_neighbors)


def _read_split(folder: str, split: str) -> list[tuple[str, str, str]]:
    path = next(
        (p for p in (files.join(folder, f"{split}{end}") for end in (".txt", ".txt.gz")) if files.exists(p)), ""
    )
    if not path:
        raise DataError(f"{folder}: neither {split}.txt nor {split}.txt.gz")
    columns = ("head", "relation", "tail")
    return [(row.id("head"), row.id("relation"), row.id("tail")) for row in tables.tsv_rows(path, columns)]


def _write(
    output: str,
    splits: dict[str, tuple[np.ndarray, np.ndarray]],
    around: np.ndarray,
    names: Sequence[str],
    relations: Sequence[str],
    triples_per_file: int,
    stored: int,
) -> manifest.Manifest:
    """Writes ordered triples (uint64 [n], int64 [n, 3]), keys and the adjacency of `around`, then the manifest."""
    manifest.prepare_output(output, manifest.CKG)
    written = [row for split, part in splits.items() for row in _write_triples(output, split, *part, triples_per_file)]
    written += _write_keys(output, names)
    written += _write_adjacency(output, around, len(names), stored)
    groups: dict[str, tuple[manifest.DataFile, ...]] = dict.fromkeys(SPLITS, ())
    for group, name, size, digest, count, first in written:
        groups[group] = (*groups.get(group, ()), manifest.DataFile(name, size, digest, count, first))
    by_type = {name: parts for name, parts in groups.items() if name.startswith("entities/")}
    made = manifest.Manifest(
        kind=manifest.CKG,
        files=groups,
        counts={"used.triples": sum(len(order) for order, _ in splits.values())},
        id_map=ids.id_map(by_type, relations),
        info={"stored_neighbors": stored},
    )
    manifest.write(output, made)
    return made


def _write_triples(
    output: str, split: str, order: np.ndarray, rows: np.ndarray, triples_per_file: int
) -> Iterator[writing.FileRow]:
    """The order's low part picks the file, all of it the place inside."""
    shards = -(-len(rows) // triples_per_file)
    shard_of = order % np.uint64(max(shards, 1))
    for shard in range(shards):
        mine = np.flatnonzero(shard_of == shard)
        head, relation, tail = rows[mine[np.argsort(order[mine], kind="stable")]].T
        weight = np.ones(len(mine), np.int64)
        arranged = batches.table(head=head, relation=relation, tail=tail, weight=weight)
        data = writing.tfrecord(triples.blocks(arranged, _BLOCK_TRIPLES))
        name = writing.shard_name(split, shard, shards, "tfrecord")
        yield writing.write_file(output, group=split, name=name, data=data, count=len(mine))


def _write_keys(output: str, names: Sequence[str]) -> Iterator[writing.FileRow]:
    for start in range(0, len(names), _IDS_PER_FILE):
        part = names[start : start + _IDS_PER_FILE]
        data = "".join(f"{key}\n" for key in part).encode()
        yield ids.write_keys(output, ENTITY, data, count=len(part), first=1 + start)


def _write_adjacency(output: str, rows: np.ndarray, total: int, stored: int) -> Iterator[writing.FileRow]:
    head, tail = rows[:, 0], rows[:, 2]
    pairs = hashing.of_pairs(head.astype(np.uint64), tail.astype(np.uint64))
    found = dict(adjacency.edges(batches.table(head=head, tail=tail, pair=pairs), _IDS_PER_FILE, stored))
    shards = -(-total // _IDS_PER_FILE)
    for shard in range(shards):
        merged = adjacency.Merged(stored)
        merged.add(found.get(shard, adjacency.NONE))
        first, number = 1 + shard * _IDS_PER_FILE, min(_IDS_PER_FILE, total - shard * _IDS_PER_FILE)
        data = writing.tfrecord(merged.blocks(first=first, number=number))
        name = writing.shard_name("adjacency", shard, shards, "tfrecord")
        yield writing.write_file(output, group="adjacency", name=name, data=data, count=number, first=first)


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("folder", None, "train, valid and test triples of a benchmark", flag_values=values)
    flags.DEFINE_string("output", None, "fresh directory for the CKG dataset", flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "folder", "output")
    made = write_ckg(values.folder, values.output)
    print(f"{os.path.abspath(values.output)}: {made.counts['used.triples']:,} triples")


if __name__ == "__main__":
    command.run("graphs", __doc__ or "", _flags(), _call)
