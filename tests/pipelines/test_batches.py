"""Hashes, parts and groups of rows."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import batches, distinct, exchange, hashing
from pipelines.exchange import Exchange


def test_text_hashes_are_blake2b_of_namespace_and_text():
    digest = hashlib.blake2b("user\tä".encode(), digest_size=8).digest()
    assert hashing.of_texts(["ä"], "user").tolist() == [int.from_bytes(digest, "little")]
    assert hashing.of_texts(["ä"], "user") != hashing.of_texts(["ä"], "item")
    assert hashing.of_texts(["ä"], "user") != hashing.of_texts(["ä"], "user", salt=1)


def test_pairs_have_no_direction_and_triples_do():
    a, b = (np.array([value], np.uint64) for value in (3, 8))
    assert hashing.of_pairs(a, b) == hashing.of_pairs(b, a)
    assert hashing.combined(a, b) != hashing.combined(b, a)


def test_parts_are_equal_ranges_of_the_hashes():
    quarter = 1 << 62
    values = np.array([0, quarter - 1, quarter, 3 * quarter, (1 << 64) - 1], np.uint64)
    assert hashing.parts(values, 4).tolist() == [0, 0, 1, 3, 3]
    assert hashing.parts(values, 1).tolist() == [0] * 5
    assert hashing.shares(values).tolist() == pytest.approx([0, 0.25, 0.25, 0.75, 1], abs=1e-9)
    spread = hashing.of_texts(map(str, range(20_000)), "x")
    assert np.bincount(hashing.parts(spread, 10)).tolist() == pytest.approx([2000] * 10, abs=150)  # 3.5 sigma


def test_split_and_unpack_keep_every_row_in_order():
    rows = pa.table({"n": list(range(6)), "lists": [[n] * n for n in range(6)]})
    packed = {part: Exchange(1).pack(found) for part, found in batches.split(rows, np.array([2, 0, 2, 0, 7, 2]))}
    assert {part: exchange.unpack([one]).column("n").to_pylist() for part, one in packed.items()} == {
        0: [1, 3], 2: [0, 2, 5], 7: [4],
    }  # fmt: skip
    assert exchange.unpack(packed.values()).sort_by("n") == rows
    assert list(batches.split(rows.slice(0, 0), np.zeros(0, np.int64))) == []


def test_groups_are_right_though_hashes_collide():
    hashes, values = np.array([5, 5, 5, 1], np.uint64), np.array([1, 2, 1, 3])
    order, first = batches.sorted_groups(hashes, values)
    assert hashes[order].tolist() == [1, 5, 5, 5]
    assert values[order].tolist() == [3, 1, 1, 2]
    assert first.tolist() == [True, True, False, True]


def test_places_of_known_and_unknown():
    found, there = batches.places(np.array([7, 3, 9, 1]), np.array([3, 7]))
    assert (found[:2].tolist(), there.tolist()) == ([1, 0], [True, True, False, False])
    assert not batches.places(np.array([7]), np.zeros(0, np.int64))[1].any()


def test_equal_triples_become_one_with_their_weights_added():
    rows = batches.table(
        head=np.array([1, 1, 2, 1], np.uint64), pattern=np.array([1, 1, 1, 2], np.uint32),
        tail=np.array([5, 5, 5, 5], np.uint64), weight=np.array([1, 3, 1, 1], np.int32),
    )  # fmt: skip
    found = sorted(tuple(row.values()) for row in distinct.merged_triples(rows).to_pylist())
    assert found == [(1, 1, 5, 4), (1, 2, 5, 1), (2, 1, 5, 1)]


def test_of_records_with_one_key_the_smallest_digest_wins():
    rows = pa.table({"key": [4, 4, 2], "digest": [7, -7, 0], "tail": [[1], [2], [3]], "times": [1, 2, 1]})
    found = distinct.merged_records(rows, ("key",)).sort_by("key").to_pylist()
    assert found == [
        {"key": 2, "digest": 0, "tail": [3], "times": 1},
        {"key": 4, "digest": -7, "tail": [2], "times": 3},
    ]


def test_large_tables_travel_as_places_of_files_that_go_with_the_job(tmp_path):
    (tmp_path / ".shuffle-old").mkdir()  # of a job that was killed
    (tmp_path / ".shuffle-old" / "1-1").write_bytes(b"x")
    rows = pa.table({"n": np.arange(10_000)})
    with exchange.for_job(3, str(tmp_path), PipelineOptions(["--runner=FnApiRunner"])) as to:
        (folder,) = tmp_path.iterdir()
        small, first, second = to.pack(rows.slice(0, 9)), to.pack(rows.slice(0, 5000)), to.pack(rows.slice(5000))
        assert len(small) > 200 > max(len(first), len(second))
        assert exchange.unpack([first, second]) == rows
        assert exchange.unpack([small]).num_rows == 9
        assert len(list(folder.iterdir())) == 1
    assert not list(tmp_path.iterdir())


def test_a_distributed_runner_gets_tables_whole(tmp_path):
    options = PipelineOptions(["--runner=PortableRunner", "--job_endpoint=localhost:1"])
    with exchange.for_job(3, str(tmp_path), options) as to:
        assert to == Exchange(3, None)
        assert len(to.pack(pa.table({"n": np.arange(10_000)}))) > 80_000
