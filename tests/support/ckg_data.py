"""Small CKG datasets, written as the pipelines write them."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from kdcn_tf import ckg, keys, manifest, records

Triples = list[tuple[int, int, int]]


def write_blocks(path: Path, triples: Triples, block_size: int = 100) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for first in range(0, len(triples), block_size):
            head, relation, tail = (list(column) for column in zip(*triples[first : first + block_size], strict=True))
            writer.write(records.encode({records.HEAD: head, records.RELATION: relation, records.TAIL: tail}))


def neighbor_lists(triples: Triples, num_ids: int) -> list[list[int]]:
    around: list[set[int]] = [set() for _ in range(num_ids)]
    for head, _, tail in triples:
        if head != tail:
            around[head].add(tail)
            around[tail].add(head)
    return [sorted(found, key=lambda other: keys.stable_hash(str(other))) for found in around]


def write_adjacency(path: Path, triples: Triples, num_ids: int, stored: int, rows_per_block: int = 7) -> None:
    around = neighbor_lists(triples, num_ids)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for first in range(1, num_ids, rows_per_block):
            rows = around[first : first + rows_per_block]
            flat = [i for row in rows for i in (row + [ckg.PAD_ID] * stored)[:stored]]
            block = {records.FIRST_ID: [first], records.DEGREE: [len(r) for r in rows], records.NEIGHBORS: flat}
            writer.write(records.encode(block))


def clustered_triples(users: int, items: int, seed: int = 0) -> tuple[Triples, dict[str, tuple[int, int]]]:
    """A learnable graph: users and items fall into 4 groups, and like and resemble their own group."""
    rng = np.random.default_rng(seed)
    first_item = 1 + users
    found = set()
    for user in range(users):
        for _ in range(6):
            item = 4 * int(rng.integers(items // 4)) + user % 4
            found.add((1 + user, 0, first_item + item))
    for item in range(items):
        other = 4 * int(rng.integers(items // 4)) + item % 4
        found.add((first_item + item, 1, first_item + other))
    ranges = {"user": (1, first_item), "item": (first_item, first_item + items)}
    triples = sorted(found)
    return [triples[i] for i in rng.permutation(len(triples))], ranges


def write_ckg(
    directory: Path, *, users: int = 40, items: int = 40, stored: int = 5, train_files: int = 3, seed: int = 0
) -> manifest.Manifest:
    """Writes a clustered graph; 10% of its triples each are held out for validation and testing."""
    directory.mkdir(parents=True)
    triples, ranges = clustered_triples(users, items, seed)
    num_ids = ranges["item"][1]
    held = len(triples) // 10
    splits = {"valid": [triples[:held]], "test": [triples[held : 2 * held]]}
    train = triples[2 * held :]
    splits["train"] = [train[index::train_files] for index in range(train_files)]
    groups = {}
    for split, parts in splits.items():
        for index, part in enumerate(parts):
            write_blocks(directory / f"{split}-{index}.tfrecord", part)
        groups[split] = tuple(
            manifest.describe_file(str(directory), f"{split}-{i}.tfrecord", len(p)) for i, p in enumerate(parts)
        )
    write_adjacency(directory / "adjacency.tfrecord", train, num_ids, stored)
    groups["adjacency"] = (manifest.describe_file(str(directory), "adjacency.tfrecord", num_ids - 1, 1),)
    for name, (first, last) in ranges.items():
        (directory / f"{name}.txt").write_text("".join(f"{name}{i}\n" for i in range(last - first)))
        groups[f"entities/{name}"] = (manifest.describe_file(str(directory), f"{name}.txt", last - first, first),)
    found = manifest.Manifest(
        kind=manifest.CKG,
        files=groups,
        id_map=ckg.IdMap(ranges, ("likes", "resembles"), f"clustered-{users}-{items}"),
        info={"stored_neighbors": stored},
    )
    manifest.write(str(directory), found)
    return manifest.read(str(directory), manifest.CKG)
