"""A graph and CTR examples with one id map, small enough to count by hand."""

import math
from pathlib import Path

from kdcn_tf import ckg, manifest, records
from pipelines import writing

DAY = 86_400
RANGES = {"user": (1, 3), "item": (3, 6), "category": (6, 8)}
RELATIONS = ("<b>", "likes")
KEYS = {"user": ("u1", "u2"), "item": ("i3", "<script>", "i5"), "category": ("shoes & <caps>",)}  # 7 is unused room
TRIPLES = {
    "train": [(1, 0, 3), (1, 0, 4), (2, 0, 3), (3, 1, 4), (5, 1, 5)],
    "valid": [(2, 0, 4)],
    "test": [],
}
WEIGHTS = [1, 2, 3, 4, 1]
DEGREES = [2, 1, 3, 2, 0, 0, 0]  # of the ids 1 to 7: edges 1-3, 1-4, 2-3, 3-4
ID_MAP = ckg.IdMap(RANGES, RELATIONS, "tiny")


def write_graph(directory: Path, triples: dict | None = None, weights: list[int] | None = None) -> Path:
    """Two triples to a block, and a block to a file in train; weights only where they are given."""
    directory.mkdir(parents=True)
    groups: dict[str, list] = {"train": [], "valid": [], "test": [], "adjacency": []}
    for split, rows in (triples or TRIPLES).items():
        for first in range(0, len(rows), 2):
            head, relation, tail = (list(column) for column in zip(*rows[first : first + 2], strict=True))
            block = {records.HEAD: head, records.RELATION: relation, records.TAIL: tail}
            if weights and split == "train":
                block["weight"] = weights[first : first + 2]
            groups[split].append(_file(directory, f"{split}-{first}.tfrecord", [records.encode(block)], len(head)))
    for first, last in ((1, 5), (5, 8)):
        rows = range(first, last)
        block = {records.FIRST_ID: [first], records.DEGREE: [DEGREES[i - 1] for i in rows]}
        block[records.NEIGHBORS] = [0] * len(rows)
        data = [records.encode(block)]
        groups["adjacency"].append(_file(directory, f"adjacency-{first}.tfrecord", data, len(rows), first))
    for kind, keys in KEYS.items():
        (directory / f"{kind}.txt").write_text("".join(f"{key}\n" for key in keys))
        entry = manifest.describe_file(str(directory), f"{kind}.txt", len(keys), RANGES[kind][0])
        groups[f"entities/{kind}"] = [entry]
    made = manifest.Manifest(
        manifest.CKG, {name: tuple(f) for name, f in groups.items()}, {"read.items": 3, "rare.keyword": 1234567}, ID_MAP
    )
    manifest.write(str(directory), made)
    return directory


def _file(directory: Path, name: str, payloads: list[bytes], count: int, first: int = 0) -> manifest.DataFile:
    (directory / name).write_bytes(writing.tfrecord(payloads))
    return manifest.describe_file(str(directory), name, count, first)


def example(
    day: int, user: int, item: int, label: int, *, source: str = "web", categories=(6,), clicks=(), price=math.nan
) -> bytes:
    """A CTR example; whatever isn't named is empty."""
    ints = {
        records.TIMESTAMP: [day * DAY + 5], records.SESSION: [1], records.USER: [user], records.ITEM: [item],
        records.POSITION: [0],
        records.QUERY_KEYWORDS: [], records.TITLE_KEYWORDS: [], records.CATEGORIES: list(categories),
        records.behavior_key("click"): list(clicks),
    }  # fmt: skip
    floats = {records.LABEL: [label], records.WEIGHT: [1.0], records.DENSE: [price]}
    return records.encode(ints, floats, {records.SOURCE: [source.encode()]})


EXAMPLES = {
    "train": [
        example(0, 1, 3, 1, categories=(6, 7), clicks=(3,), price=2.0),
        example(0, 1, 4, 0),
        example(1, records.OOV_ID, 3, 0, source="<i>", categories=(), clicks=(3, records.OOV_ID), price=4.0),
    ],
    "valid": [example(2, 2, 5, 1)],
    "test": [],
}


def write_examples(directory: Path, examples: dict | None = None, id_map: ckg.IdMap = ID_MAP) -> Path:
    """A file per example, so that summaries have to be added."""
    directory.mkdir(parents=True)
    groups = {
        split: tuple(_file(directory, f"{split}-{place}.tfrecord", [row], 1) for place, row in enumerate(rows))
        for split, rows in (examples or EXAMPLES).items()
    }
    info = {
        "behaviors": ["click"], "dense": {"names": ["price"], "mean": [0.0], "std": [1.0]},
        "max_behaviors": 5, "max_query_keywords": 2, "max_title_keywords": 2, "max_categories": 3,
    }  # fmt: skip
    manifest.write(str(directory), manifest.Manifest(manifest.CTR, groups, id_map=id_map, info=info))
    return directory
