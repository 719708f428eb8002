import numpy as np
import pytest
from support.ctr_data import RANGES, write_ctr, write_keys

from kdcn_tf import records
from kdcn_tf.data.ctr import read_all
from kdcn_tf.errors import ConfigError
from kdcn_tf.training import slices
from kdcn_tf.training.slices import Counts, TrainCounts

OOV = records.OOV_ID
COUNTS = TrainCounts(Counts(np.array([3, 8]), np.array([2, 10])), Counts(np.array([5]), np.array([9])))
EXAMPLES = {
    records.USER: np.array([3, 8, 4, OOV]),
    records.ITEM: np.array([5, 5, OOV, 7]),
    records.CATEGORIES: np.array([[11, 12], [11, 0], [13, 0], [0, 0]]),
    records.SOURCE: np.array([b"app", b"shop", "Café".encode(), b"app"], object),
    records.TIMESTAMP: np.array([0, 86_399, 86_400, 1_700_000_000]),
    records.POSITION: np.array([0, 9, records.UNKNOWN_POSITION, 14]),
    records.QUERY_KEYWORDS: np.array([[1, 2, 0], [0, 0, 0], [1, 2, 3], [4, 0, 0]]),
    records.behavior_key("click"): np.array([[1, 2], [0, 0], [0, 0], [5, OOV]]),
    records.behavior_key("cart"): np.array([[6, 0], [0, 0], [9, 0], [7, 8]]),
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("source", ["app", "shop", "Café", "app"]),
        ("category", ["Shoes", "Shoes", "13", "none"]),
        ("user_frequency", ["1-2", "10+", "0", "unknown"]),
        ("item_frequency", ["3-9", "3-9", "unknown", "0"]),
        ("day", ["1970-01-01", "1970-01-01", "1970-01-02", "2023-11-14"]),
        ("query_keywords", ["2", "0", "3", "1"]),
        ("behaviors", ["3-9", "0", "1-2", "3-9"]),
        ("position", ["0", "9", "unknown", "10-19"]),
    ],
)
def test_the_slice_of_each_impression(name, expected):
    assert slices.slice_names(EXAMPLES, COUNTS, [name], {11: "Shoes"})[name].tolist() == expected


def test_every_way_to_slice_is_tested_and_explained():
    assert list(slices.slice_names(EXAMPLES, COUNTS, list(slices.NAMES))) == list(slices.NAMES)
    with pytest.raises(ConfigError, match=r"unknown slice 'colour'; known: source, category"):
        slices.slice_names(EXAMPLES, COUNTS, ["source", "colour"])


def test_what_is_asked_for_by_default():
    assert slices.DEFAULT == ("source", "category", "user_frequency", "item_frequency")


def test_buckets():
    assert slices.buckets(np.array([0, 1, 2, 3, 9, 10, 10**12])).tolist() == [
        "0", "1-2", "1-2", "3-9", "3-9", "10+", "10+"]  # fmt: skip


def test_positions():
    given = np.array([-(2**63), -1, 0, 1, 8, 9, 10, 19, 20, 49, 50, 2**53 - 1])
    assert slices.positions(given).tolist() == [
        "unknown", "unknown", "0", "1", "8", "9", "10-19", "10-19", "20-49", "20-49", "50+", "50+"]  # fmt: skip


def test_slices_stand_in_the_order_in_which_people_count():
    assert slices.ordered("item_frequency", {"10+", "0", "unknown", "3-9"}) == ["unknown", "0", "3-9", "10+"]
    assert slices.ordered("query_keywords", {"10", "9"}) == ["9", "10"]
    assert slices.ordered("category", {"b", "a"}) == ["a", "b"]
    places = {"50+", "10-19", "2", "9", "unknown", "20-49", "0"}
    assert slices.ordered("position", places) == ["unknown", "0", "2", "9", "10-19", "20-49", "50+"]


def test_counts_of_the_training_split_do_not_depend_on_batches(tmp_path):
    described = write_ctr(tmp_path / "ctr", per_file=50, train_files=2)
    train = read_all(str(tmp_path / "ctr"), described, "train")
    found = slices.train_counts(str(tmp_path / "ctr"), described, batch_size=7)
    for counts, key, (first, last) in ((found.users, "user", RANGES["user"]), (found.items, "item", RANGES["item"])):
        expected = [int((train[key] == one).sum()) for one in range(first, last)]
        assert counts.of_each(np.arange(first, last)).tolist() == expected
        assert counts.numbers.sum() == 100


def test_unknown_entities_are_not_counted():
    counts = Counts.of(np.array([OOV, 0, 4, 4, OOV]))
    assert (counts.ids.tolist(), counts.numbers.tolist()) == ([4], [2])
    assert Counts.of(np.array([], np.int64)).of_each(np.array([4, 5])).tolist() == [0, 0]


def test_names_of_categories(tmp_path):
    graph = write_keys(tmp_path / "ckg")
    names = slices.category_names(str(tmp_path / "ckg"), graph)
    assert names[RANGES["category"][0]] == "category №71"
    assert len(names) == 6
