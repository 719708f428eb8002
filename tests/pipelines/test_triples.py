"""Relations, splits, blocks."""

import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.ckg import Pattern
from pipelines import batches, hashing, triples, writing

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
    hashes = np.array([0, 1 << 62, 1 << 63, (1 << 64) - 1], np.uint64)  # places 0, 0.25, 0.5, almost 1
    named = [triples.SPLITS[i] for i in triples.pick_splits(hashes, 0.25, 0.25)]
    assert named == ["valid", "test", "train", "train"]
    assert set(triples.pick_splits(hashes, 0.0, 0.0)) == {0}
    places = triples.pick_splits(hashing.of_texts(map(str, range(20_000)), "x"), 0.1, 0.2)
    assert np.bincount(places)[1:].tolist() == pytest.approx([2000, 4000], abs=200)  # over 3.5 sigma


def test_blocks_hold_ids_and_weights():
    rows = batches.table(
        head=np.arange(1, 6), relation=np.zeros(5, np.int64), tail=np.arange(11, 16), weight=np.arange(5),
    )  # fmt: skip
    found = [records.decode(block) for block in triples.blocks(rows, 2)]
    assert [block[records.HEAD] for block in found] == [[1, 2], [3, 4], [5]]
    assert found[2] == {records.HEAD: [5], records.RELATION: [0], records.TAIL: [15], records.WEIGHT: [4]}


def test_tensorflow_reads_the_framing(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(writing.tfrecord([b"one", b"", b"three"]))
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(path))] == [b"one", b"", b"three"]


def test_order_sorts_as_signed_numbers():
    keyed = [writing.with_order(order, b"x") for order in (5, -3, 2**63 - 1, -(2**63), 0)]
    assert [writing.order_of(row) - 2**63 for row in sorted(keyed)] == [-(2**63), -3, 0, 5, 2**63 - 1]
