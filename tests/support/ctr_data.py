"""Small CTR datasets, written as the pipelines write them."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from kdcn_tf import ckg, manifest, records
from kdcn_tf.export.embeddings import write_type

BEHAVIORS = ("click", "cart", "favorite", "purchase")
RANGES = {"user": (1, 31), "item": (31, 71), "category": (71, 77), "value": (77, 80), "keyword": (80, 100)}
INFO = {
    "behaviors": list(BEHAVIORS), "max_behaviors": 5, "max_query_keywords": 3, "max_title_keywords": 4,
    "max_categories": 2, "dense": {"names": ["price", "sales"], "mean": [2.0, 1.0], "std": [1.0, 0.5]},
    "time": {"train_end": 1000, "valid_end": 2000},
}  # fmt: skip
ID_MAP = ckg.IdMap(RANGES, ("has",), "tiny-ids")
SPLITS = {"train": (0, 1000), "valid": (1000, 2000), "test": (2000, 3000)}


def random_example(rng: np.random.Generator, session: int, position: int, split: str, source: bytes) -> bytes:
    """An impression that is mostly clicked if the item's parity is the user's; some ids are unknown."""

    def some(entity_type: str, limit: int) -> list[int]:
        ids = rng.integers(*RANGES[entity_type], size=rng.integers(0, limit + 1)).tolist()
        # build-ctr leaves out unknown keywords and categories, but not unknown items.
        return [records.OOV_ID if entity_type == "item" and rng.random() < 0.1 else i for i in ids]

    user, item = int(rng.integers(*RANGES["user"])), int(rng.integers(*RANGES["item"]))
    clicked = rng.random() < (0.8 if (user - item) % 2 == 0 else 0.1)
    ints = {records.behavior_key(kind): some("item", 6) for kind in BEHAVIORS}
    ints |= {records.QUERY_KEYWORDS: some("keyword", 3), records.TITLE_KEYWORDS: some("keyword", 4)}
    ints |= {records.CATEGORIES: some("category", 2), records.USER: [user], records.ITEM: [item]}
    ints |= {records.SESSION: [session], records.TIMESTAMP: [int(rng.integers(*SPLITS[split]))]}
    ints[records.POSITION] = [position]
    price = float("nan") if rng.random() < 0.1 else float(rng.lognormal(2, 1))
    floats = {records.LABEL: [float(clicked)], records.WEIGHT: [1.0], records.DENSE: [price, float(rng.poisson(3))]}
    return records.encode(ints, floats, {records.SOURCE: [source]})


def write_ctr(
    directory: Path,
    *,
    per_file: int = 120,
    train_files: int = 2,
    seed: int = 0,
    sources: tuple[bytes, ...] = (b"app", b"shop", b"shop"),
) -> manifest.Manifest:
    """Writes a dataset of random impressions, four to a session; where those of session 0 stood isn't known.

    Sessions take turns among `sources`.
    """
    directory.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    groups = {}
    for split in SPLITS:
        entries = []
        for index in range(train_files if split == "train" else 1):
            name = f"{split}-{index}.tfrecord"
            with tf.io.TFRecordWriter(str(directory / name)) as writer:
                for row in range(per_file):
                    session, place = divmod(row, 4)
                    position = place if session else records.UNKNOWN_POSITION
                    source = sources[session % len(sources)]
                    writer.write(random_example(rng, session, position, split, source))
            entries.append(manifest.describe_file(str(directory), name, per_file))
        groups[split] = tuple(entries)
    manifest.write(str(directory), manifest.Manifest(manifest.CTR, groups, id_map=ID_MAP, info=INFO))
    return manifest.read(str(directory), manifest.CTR)


def write_keys(directory: Path) -> manifest.Manifest:
    """The id map of that dataset as a CKG dataset without triples; the users' keys fill two files."""
    directory.mkdir(parents=True)
    groups = {}
    for name, (first, last) in RANGES.items():
        cuts = [first, (first + last) // 2, last] if name == "user" else [first, last]
        entries = []
        for low, high in itertools.pairwise(cuts):
            file = f"{name}-{low}.txt"
            (directory / file).write_text("".join(f"{key_of(name, i)}\n" for i in range(low, high)))
            entries.append(manifest.describe_file(str(directory), file, high - low, low))
        groups[f"entities/{name}"] = tuple(entries)
    manifest.write(str(directory), manifest.Manifest(manifest.CKG, groups, id_map=ID_MAP))
    return manifest.read(str(directory), manifest.CKG)


def key_of(entity_type: str, entity_id: int) -> str:
    return f"{entity_type} №{entity_id}"


def write_embeddings(directory: Path, id_map: ckg.IdMap = ID_MAP, dim: int = 8, step: float = 1 / 8) -> Path:
    """An export. Row of id i is [i, i + step, i + 2 step, ...], so any value tells its place."""
    directory.mkdir()

    def encode(first: int, last: int) -> Iterator[np.ndarray]:
        yield (np.arange(first, last)[:, None] + np.arange(dim) * step).astype(np.float32)

    groups = {}
    for name, (first, last) in RANGES.items():
        middle = (first + last) // 2
        groups[name] = write_type(str(directory), name, [(first, middle), (middle, last)], encode)
    made = manifest.Manifest(manifest.EMBEDDINGS, groups, id_map=id_map, info={"dim": dim})
    manifest.write(str(directory), made)
    return directory
