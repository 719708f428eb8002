"""Relations, splits, blocks, joins."""

import apache_beam as beam
import pytest
import tensorflow as tf
from apache_beam.testing.util import assert_that, equal_to
from support.raw_logs import read_records

from kdcn_tf import ckg, keys, records
from kdcn_tf.ckg import Pattern
from pipelines import triples, writing
from pipelines.counting import COUNTS, GOOD

DIRECTED, STARRED = Pattern("item", "directed", "person"), Pattern("item", "starred", "person")


def test_relations_in_pattern_mode_keep_the_schemas_order():
    used = [STARRED, ckg.ITEM_HAS_KEYWORD, ckg.SELLER_HAS_ITEM, ckg.USER_HAS_TAG, DIRECTED]
    found = triples.relation_patterns(used, "pattern")
    assert list(found) == [
        "user.has.user_tag", "seller.has.item", "item.has.keyword", "item.directed.person", "item.starred.person",
    ]  # fmt: skip
    assert found["item.directed.person"] == ["item", "directed", "person"]


def test_relations_in_name_mode_share_has():
    used = [ckg.SELLER_HAS_ITEM, ckg.USER_HAS_TAG, ckg.ITEM_BELONGS_TO_CATEGORY, STARRED]
    assert triples.relation_patterns(used, "name") == {
        "has": [["user", "has", "user_tag"], ["seller", "has", "item"]],
        "belong_to": [["item", "belong_to", "category"]],
        "starred": [["item", "starred", "person"]],
    }


def test_splits_take_their_share_of_the_hash_range():
    # The hash is signed: -2**63 is place 0, 0 is place 0.5.
    assert triples.pick_split(-(2**63), 0.1, 0.2) == "valid"
    assert triples.pick_split(-(2**63), 0.0, 0.2) == "test"
    assert triples.pick_split(0, 0.5, 0.1) == "test"
    assert triples.pick_split(0, 0.3, 0.1) == "train"
    assert triples.pick_split(2**63 - 1, 0.3, 0.3) == "train"
    places = [triples.pick_split(keys.stable_hash(str(i)), 0.1, 0.2) for i in range(20_000)]
    assert places.count("valid") == pytest.approx(2000, abs=150)  # 3.5 sigma
    assert places.count("test") == pytest.approx(4000, abs=200)


def rows(number):
    return [triples._to_row((i + 1, (keys.stable_hash(str(i)), i, 0)), 0.0, 0.0) for i in range(number)]


def test_blocks_round_trip_and_are_shuffled_over_files(tmp_path):
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | beam.Create(rows(250)) | triples.WriteTriples(str(tmp_path), block_size=16, triples_per_file=100)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"train-0000{i}-of-00003.tfrecord" for i in range(3)]
    found = []
    for name in names:
        blocks = read_records(tmp_path / name)
        lengths = [len(block[records.HEAD]) for block in blocks]
        assert all(length == 16 for length in lengths[:-1])
        assert 50 < sum(lengths) < 120  # 250 / 3 on average
        found += [t for b in blocks for t in zip(b[records.HEAD], b[records.RELATION], b[records.TAIL], strict=True)]
    assert sorted(found) == [(i, 0, i + 1) for i in range(250)]
    assert found != sorted(found)


def test_tensorflow_reads_the_framing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(writing.tfrecord([b"one", b"", b"three"]))
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(path))] == [b"one", b"", b"three"]


def test_order_sorts_as_signed_numbers():
    keyed = [writing.with_order(order, b"x") for order in (5, -3, 2**63 - 1, -(2**63), 0)]
    assert [writing.order_of(row) - 2**63 for row in sorted(keyed)] == [-(2**63), -3, 0, 5, 2**63 - 1]


def test_triples_of_dropped_entities_are_counted():
    a, b, rare = "user\ta", "user_tag\tb", "user_tag\trare"
    texts = [f"{a}\thas\t{b}", f"{a}\thas\t{rare}"]
    with beam.Pipeline("FnApiRunner") as pipeline:
        encoded = {
            "triples": pipeline | "T" >> beam.Create(texts),
            "ids": pipeline | "I" >> beam.Create([(a, 1), (b, 2)]),
            "relations": pipeline | "R" >> beam.Create([{("user", "has", "user_tag"): 4}]),
        } | triples.EncodeTriples(0.0, 0.0)
        ids = encoded[GOOD] | beam.MapTuple(lambda split, row: (split, *triples.ids_of(row)))
        assert_that(ids, equal_to([("train", 1, 4, 2)]), "rows")
        assert_that(encoded[COUNTS], equal_to([("filtered.triples.rare", 1)]), "counts")
