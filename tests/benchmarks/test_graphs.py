"""Benchmark graphs hold what the folder says, laid out as the Beam pipeline lays it out."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.graphs import random_ckg, write_ckg
from kdcn_tf import keys, manifest, records
from kdcn_tf.data.triples import read_triples
from kdcn_tf.errors import DataError
from pipelines import hashing

TRAIN = "b\tlikes\ta\na\tlikes\tc\nc\tnear\td\na\tnear\tb\nd\tlikes\td\n"
VALID = "a\tlikes\tzz\n"
TEST = "e\towns\ta\n"


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/train.txt.gz").write_bytes(gzip.compress(TRAIN.encode()))
    (tmp_path / "in/valid.txt").write_text(VALID)
    (tmp_path / "in/test.txt").write_text(TEST)
    return tmp_path / "in"


def split(directory: Path, name: str) -> list[tuple]:
    found = manifest.read(str(directory), manifest.CKG, check_digests=True)
    parts = [read_triples(tf.constant(str(directory / f.name)), 100, 9).numpy() for f in found.files[name]]
    return [tuple(row) for part in parts for row in part.tolist()]


def neighbor_rows(directory: Path) -> list[dict]:
    found = manifest.read(str(directory), manifest.CKG)
    paths = [str(directory / f.name) for f in found.files["adjacency"]]
    return [records.decode(raw.numpy()) for path in paths for raw in tf.data.TFRecordDataset(path)]


def test_a_folder_becomes_a_graph(folder, tmp_path):
    made = write_ckg(str(folder), str(tmp_path / "ckg"), triples_per_file=2, stored_neighbors=2)
    # Sorted keys a b c d e zz are ids 1 to 6, zz and e only in held-out triples; likes, near, owns are 0 to 2.
    assert made.id_map.ranges == {"entity": (1, 7)}
    assert made.id_map.relations == ("likes", "near", "owns")
    assert (tmp_path / "ckg" / made.files["entities/entity"][0].name).read_text().split() == "a b c d e zz".split()
    assert sorted(split(tmp_path / "ckg", "train")) == [(1, 0, 3), (1, 1, 2), (2, 0, 1), (3, 1, 4), (4, 0, 4)]
    assert (split(tmp_path / "ckg", "valid"), split(tmp_path / "ckg", "test")) == ([(1, 0, 6)], [(5, 2, 1)])
    assert len(made.files["train"]) == 3
    # Training edges a-b (twice), a-c, c-d; the self-loop of d is none, e and zz are isolated.
    (block,) = neighbor_rows(tmp_path / "ckg")
    assert block[records.DEGREE] == [2, 1, 2, 1, 0, 0]
    pairs = np.reshape(block[records.NEIGHBORS], (6, 2))
    assert [set(row) - {0} for row in pairs.tolist()] == [{2, 3}, {1}, {1, 4}, {3}, set(), set()]


def test_files_are_shuffled_by_the_stable_hash(folder, tmp_path):
    write_ckg(str(folder), str(tmp_path / "ckg"), triples_per_file=9)
    ids = {"b\tlikes\ta": (2, 0, 1), "a\tlikes\tc": (1, 0, 3), "c\tnear\td": (3, 1, 4), "a\tnear\tb": (1, 1, 2),
           "d\tlikes\td": (4, 0, 4)}  # fmt: skip
    assert split(tmp_path / "ckg", "train") == [ids[text] for text in sorted(ids, key=keys.stable_hash)]


def test_random_neighbors_are_those_of_the_pipeline(tmp_path):
    random_ckg(str(tmp_path), entities=50, triples=400, relations=3, seed=1, held_out=5, skew=0.5, stored_neighbors=4)
    rows = split(tmp_path, "train")
    assert len(rows) == 400
    assert (len(split(tmp_path, "valid")), len(split(tmp_path, "test"))) == (5, 5)
    edges = sorted({(min(h, t), max(h, t)) for h, _, t in rows if h != t})
    low, high = np.array(edges, np.uint64).T
    orders = dict(zip(edges, (hashing.of_pairs(low, high) >> np.uint64(32)).tolist(), strict=True))
    (block,) = neighbor_rows(tmp_path)
    for entity in range(1, 51):
        around = [(orders[edge], edge[0] + edge[1] - entity) for edge in edges if entity in edge]
        nearest = [other for _, other in sorted(around)][:4]
        assert block[records.NEIGHBORS][4 * entity - 4 : 4 * entity] == nearest + [0] * (4 - len(nearest))
        assert block[records.DEGREE][entity - 1] == len(around)
    frequency = np.bincount(np.array(rows)[:, [0, 2]].ravel(), minlength=51)
    assert frequency.max() > 3 * np.median(frequency)  # Zipf with 0.5: the first has sqrt(25) of the median's


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("test.txt", "a\tb\n", r"test\.txt:1: 2 columns"), ("valid.txt", "a\t\tb\n", r"valid\.txt:1: relation: is empty")],
)
def test_a_wrong_line_is_named(folder, tmp_path, name, text, message):
    (folder / name).write_text(text)
    with pytest.raises(DataError, match=message):
        write_ckg(str(folder), str(tmp_path / "ckg"))


def test_a_missing_split_is_named(folder, tmp_path):
    (folder / "test.txt").unlink()
    with pytest.raises(DataError, match=r"in: neither test\.txt nor test\.txt\.gz"):
        write_ckg(str(folder), str(tmp_path / "ckg"))
