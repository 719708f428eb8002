import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support.ctr_data import write_ctr

from kdcn_tf import records
from kdcn_tf.data.ctr import CtrSpec, batches_of, dataset_of_file, parse, read_all, read_file, spec_of
from kdcn_tf.errors import DataError

SPEC = CtrSpec(
    behaviors=("click", "cart"), max_behaviors=3, max_query_keywords=2, max_title_keywords=2, max_categories=1,
    dense_names=("price", "sales"), dense_mean=(0.0, 0.0), dense_std=(1.0, 1.0),
)  # fmt: skip
CLICK, CART = records.behavior_key("click"), records.behavior_key("cart")
INTS = {
    CLICK: [5, 6, 7, 8], CART: [-1], records.QUERY_KEYWORDS: [], records.TITLE_KEYWORDS: [21, 22],
    records.CATEGORIES: [11, 12], records.USER: [1], records.ITEM: [9], records.SESSION: [77],
    records.TIMESTAMP: [1234],
}  # fmt: skip
FLOATS = {records.LABEL: [1.0], records.DENSE: [2.5, -3.0]}


def without(features, *keys):
    return {key: values for key, values in features.items() if key not in keys}


def write_file(path, *examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example)
    return tf.constant(str(path))


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data") / "ctr"
    return directory, write_ctr(directory)


@pytest.fixture(scope="module")
def train_file(ctr):
    """Path of a file of 120 random examples, and their features."""
    return tf.constant(str(ctr[0] / "train-0.tfrecord")), spec_of(ctr[1])


def test_lists_are_padded_or_cut_at_the_end():
    batch = parse(tf.constant([records.encode(INTS, FLOATS)]), SPEC)
    got = {key: batch[key].numpy().tolist() for key in SPEC.list_sizes()}
    assert got == {
        CLICK: [[5, 6, 7]],  # four of three places: the latest come first and stay
        CART: [[-1, 0, 0]],
        records.QUERY_KEYWORDS: [[0, 0]],
        records.TITLE_KEYWORDS: [[21, 22]],
        records.CATEGORIES: [[11]],
    }


def test_scalars_and_defaults():
    texts = {records.SOURCE: [b"app"]}
    told = records.encode({**INTS, records.POSITION: [3]}, {**FLOATS, records.WEIGHT: [2.5]}, texts)
    batch = parse(tf.constant([records.encode(INTS, FLOATS), told]), SPEC)
    np.testing.assert_array_equal(batch[records.WEIGHT], [1.0, 2.5])
    np.testing.assert_array_equal(batch[records.SOURCE], [b"default", b"app"])
    np.testing.assert_array_equal(batch[records.POSITION], [-1, 3])
    np.testing.assert_array_equal(batch[records.DENSE], [[2.5, -3.0]] * 2)
    scalars = {records.LABEL: 1.0, records.USER: 1, records.ITEM: 9, records.SESSION: 77, records.TIMESTAMP: 1234}
    assert {key: batch[key].numpy().tolist() for key in scalars} == {key: [value] * 2 for key, value in scalars.items()}


@pytest.mark.parametrize(
    ("ints", "floats", "feature"),
    [
        (without(INTS, records.ITEM), FLOATS, records.ITEM),
        (INTS, without(FLOATS, records.LABEL), records.LABEL),
        (INTS, without(FLOATS, records.DENSE), records.DENSE),
        (INTS, {**FLOATS, records.DENSE: [1.0]}, records.DENSE),
        ({**INTS, records.LABEL: [1]}, without(FLOATS, records.LABEL), records.LABEL),
        ({**INTS, records.POSITION: [1, 2]}, FLOATS, records.POSITION),
        (INTS, {**FLOATS, records.POSITION: [1.0]}, records.POSITION),
    ],
    ids=["no item", "no label", "no statistics", "too few statistics", "other type", "two positions", "half positions"],
)
def test_a_wrong_example_names_file_and_feature(tmp_path, ints, floats, feature):
    path = write_file(tmp_path / "odd.tfrecord", records.encode(INTS, FLOATS), records.encode(ints, floats))
    for read in (lambda: list(dataset_of_file(path, SPEC, 8)), lambda: read_file(path, SPEC)):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"odd\.tfrecord") as caught:
            read()
        assert feature in caught.value.message


def test_batches_hold_every_example_once_in_order(train_file):
    path, spec = train_file
    batches = list(dataset_of_file(path, spec, 50))
    assert [len(batch[records.ITEM]) for batch in batches] == [50, 50, 20]
    whole = read_file(path, spec)
    assert set(whole) == set(batches[0])
    for key, values in whole.items():
        np.testing.assert_array_equal(tf.concat([batch[key] for batch in batches], axis=0), values)
    np.testing.assert_array_equal(whole[records.SESSION], np.arange(120) // 4)  # as they were written


def test_the_seed_decides_the_order(train_file):
    path, spec = train_file

    def order(seed):
        batches = dataset_of_file(path, spec, 50, tf.constant(seed, tf.int64))
        rows = [
            zip(*(batch[key].numpy() for key in (records.SESSION, records.TIMESTAMP)), strict=True) for batch in batches
        ]
        return [row for part in rows for row in part]

    first, again, others = order([1, 2]), order([1, 2]), [order([1, 3]), order([2, 2]), order([2, 1])]
    assert first == again
    assert all(first != other for other in others)
    whole = read_file(path, spec)
    written = list(zip(whole[records.SESSION].numpy(), whole[records.TIMESTAMP].numpy(), strict=True))
    assert all(sorted(rows) == sorted(written) for rows in (first, *others))
    assert first != written


def test_read_all_joins_the_files_of_a_split(ctr):
    directory, described = ctr
    found = read_all(str(directory), described, "train")
    spec = spec_of(described)
    parts = [read_file(tf.constant(str(directory / entry.name)), spec) for entry in described.group("train")]
    assert len(parts) == 2
    for key, values in found.items():
        np.testing.assert_array_equal(values, np.concatenate([part[key] for part in parts]))


def flipped(content):
    return content[:200] + bytes([content[200] ^ 0xFF]) + content[201:]


@pytest.mark.parametrize("damage", [flipped, lambda content: content[:-5]], ids=["flipped", "cut"])
def test_a_corrupt_file_is_named(tmp_path, damage):
    described = write_ctr(tmp_path / "ctr", per_file=20)
    path = tmp_path / "ctr" / "train-1.tfrecord"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(tf.errors.DataLossError):
        read_file(tf.constant(str(path)), spec_of(described))
    with pytest.raises(DataError, match=r"train-1\.tfrecord"):
        list(batches_of(str(tmp_path / "ctr"), described, "train", 8))


def with_info(described, **changes):
    return dataclasses.replace(described, info={**described.info, **changes})


def test_who_is_unknown_comes_from_the_manifest_if_somebody_counted(ctr):
    described = ctr[1]
    counted, old = spec_of(with_info(described, unknown={"user": 0.25, "item": 0.0})), spec_of(described)
    assert (counted.unknown_users, counted.unknown_items) == (0.25, 0.0)
    assert (old.unknown_users, old.unknown_items) == (1.0, 1.0)


@pytest.mark.parametrize("changes", [{"unknown": [1]}, {"unknown": {"item": None}}, {"dense": None}])
def test_a_manifest_that_does_not_describe_the_features_is_refused(ctr, changes):
    with pytest.raises(DataError, match="ctr manifest: info doesn't describe the features"):
        spec_of(with_info(ctr[1], **changes))
