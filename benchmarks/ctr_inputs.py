"""The data that `benchmarks/ctr.py` trains on: simulated logs, the same as plain arrays, and tables of any size."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kdcn_tf import ckg, files, manifest, records
from kdcn_tf.ckg import IdMap
from kdcn_tf.manifest import Manifest

SIMULATION = {"simulate.users": 8_000, "simulate.items": 6_000, "simulate.sessions": 16_000, "simulate.seed": 7}
"""About 100,000 training impressions, and 15 thousand rows in the tables of users, items and keywords."""

EXAMPLES_PER_FILE, TIMED_FILES = 5_000, 8
TABLES = (ckg.USER, ckg.ITEM, ckg.KEYWORD, ckg.CATEGORY)
FIRST_ROW = 2
"""Row of the first entity in a peer's table: 0 is padding, 1 stands for ids that have no row."""

SIZED_ROWS, SIZED_KEYWORDS, SKEW = 40_960, 400, 0.5
_ITEMS_SHARE = 0.4


def simulated(work: Path, simulation: Mapping[str, Any] = SIMULATION) -> Path:
    """The CTR dataset of simulated logs; made once."""
    made = work / "ctr"
    if not (made / manifest.MANIFEST).exists():
        for stage in ("raw", "ckg", "ctr"):
            shutil.rmtree(work / stage, ignore_errors=True)
        sets = [word for name, value in simulation.items() for word in ("--set", f"{name}={value}")]
        per_file = ["--set", f"ctr.examples_per_file={EXAMPLES_PER_FILE}"]
        _kdcn("simulate", f"--output={work / 'raw'}", *sets)
        _kdcn("build-ckg", f"--raw={work / 'raw'}", f"--output={work / 'ckg'}")
        _kdcn("build-ctr", f"--raw={work / 'raw'}", f"--ckg={work / 'ckg'}", f"--output={made}", *per_file)
    return made


def _kdcn(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "kdcn_tf.cli.main", *arguments], check=True, stdout=subprocess.DEVNULL)


def timed_part(ctr: Path, folder: Path) -> Path:
    """A dataset with the first training files of another, so that an epoch fits a turn on a cluster."""
    if not (folder / manifest.MANIFEST).exists():
        described = manifest.read(str(ctr), manifest.CTR)
        groups = {split: described.group(split)[: TIMED_FILES if split == "train" else 1] for split in described.files}
        files.make_dirs(str(folder))
        for group in groups.values():
            for file in group:
                shutil.copy(ctr / file.name, folder / file.name)
        manifest.write(str(folder), dataclasses.replace(described, files=groups))
    return folder


def spans_of(id_map: IdMap) -> dict[str, list[list[int]]]:
    """Id ranges of each table of a peer."""
    return {name: [list(span) for span in id_map.spans(name)] if name in id_map.ranges else [] for name in TABLES}


def table_of(key: str) -> str:
    """Which table the ids of a feature belong to."""
    if key in (records.QUERY_KEYWORDS, records.TITLE_KEYWORDS):
        return ckg.KEYWORD
    return {records.USER: ckg.USER, records.CATEGORIES: ckg.CATEGORY}.get(key, ckg.ITEM)


def table_rows(ids: np.ndarray, spans: list[list[int]]) -> np.ndarray:
    """Row of each id in a peer's table, int64."""
    rows, start = np.where(ids == ckg.PAD_ID, 0, 1).astype(np.int64), FIRST_ROW
    for first, last in spans:
        inside = (ids >= first) & (ids < last)
        rows[inside] = ids[inside] - first + start
        start += last - first
    return rows


def write_arrays(path: Path, examples: Mapping[str, np.ndarray], described: Manifest) -> None:
    """Examples as a peer takes them from memory: rows of its tables, statistics as our network sees them."""
    from kdcn_tf.data.ctr import spec_of
    from kdcn_tf.layers.dense import DenseTransform

    spec, spans = spec_of(described), spans_of(described.require_id_map())
    arrays = {
        key: table_rows(examples[key], spans[table_of(key)]) for key in (records.USER, records.ITEM, *spec.list_sizes())
    }
    statistics = DenseTransform(spec.dense_mean, spec.dense_std)(examples[records.DENSE]).numpy()
    np.savez(path, **arrays, **{records.DENSE: statistics, records.LABEL: examples[records.LABEL]})


def sized(described: Manifest, entities: int) -> Manifest:
    """A dataset's manifest, as if its graph had so many users, items and keywords."""
    items = round(entities * _ITEMS_SHARE)
    edges = np.cumsum([1, entities - items - SIZED_KEYWORDS, items, SIZED_KEYWORDS, 40]).tolist()
    ranges = {name: (first, last) for name, first, last in zip(TABLES, edges, edges[1:], strict=False)}
    id_map = dataclasses.replace(described.require_id_map(), ranges=ranges, grown={})
    return dataclasses.replace(described, id_map=id_map)


def sized_examples(described: Manifest, seed: int = 1) -> dict[str, np.ndarray]:
    """Random examples; an entity of rank u, in (0, 1], is drawn in proportion to u ** -SKEW, whatever the size."""
    from kdcn_tf.data.ctr import spec_of

    spec, id_map, rng = spec_of(described), described.require_id_map(), np.random.default_rng(seed)
    places = {name: rng.permutation(id_map.size(name)) + id_map.spans(name)[0][0] for name in TABLES}

    def draw(key: str, *shape: int) -> np.ndarray:
        ids = places[table_of(key)]
        return ids[(len(ids) * rng.random((SIZED_ROWS, *shape)) ** (1.0 / (1.0 - SKEW))).astype(np.int64)]

    examples = {key: draw(key) for key in (records.USER, records.ITEM)}
    for key, length in spec.list_sizes().items():
        filled = np.arange(length) < rng.integers(0, length // 2 + 1, (SIZED_ROWS, 1))
        examples[key] = np.where(filled, draw(key, length), ckg.PAD_ID)
    examples[records.DENSE] = rng.lognormal(3.0, 1.0, (SIZED_ROWS, len(spec.dense_names))).astype(np.float32)
    examples[records.LABEL] = (rng.random(SIZED_ROWS) < 0.2).astype(np.float32)
    examples[records.WEIGHT] = np.ones(SIZED_ROWS, np.float32)
    return examples
