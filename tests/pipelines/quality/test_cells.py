"""Parts of summaries: exact, bounded, the same in every order."""

import math
import random

import numpy as np
import pytest

from kdcn_tf import ckg
from kdcn_tf.errors import DataError
from kdcn_tf.places import Places
from pipelines.quality import cells, examples_summary, graph_summary


def added(parts):
    return sum(parts[1:], parts[0])


def in_two_orders(parts):
    """The sum from the left, and that of a random tree."""
    rng = random.Random(4)
    tree = list(parts)
    while len(tree) > 1:
        tree.append(tree.pop(rng.randrange(len(tree))) + tree.pop(rng.randrange(len(tree))))
    return added(list(parts)), tree[0]


def test_counts_keep_the_same_keys_in_every_order_and_count_them_exactly():
    values = np.random.default_rng(1).integers(0, 60, 5000)
    one, other = in_two_orders([cells.Counts.of(part, limit=7) for part in np.array_split(values, 40)])
    assert one == other
    assert len(one.numbers) == 7
    assert all(number == (values == key).sum() for key, number in one.numbers.items())
    assert one.others == 5000 - sum(one.numbers.values())


def test_moments_by_hand():
    body = (cells.Moments.of(np.array([2.0, math.nan, 0.0])) + cells.Moments.of(np.array([-4.0, math.inf]))).to_json()
    assert (body["number"], body["missing"], body["zeros"], body["min"], body["max"]) == (3, 2, 1, -4, 2)
    assert body["mean"] == pytest.approx(-2 / 3)
    assert body["std"] == pytest.approx(math.sqrt(20 / 3 - 4 / 9))
    edges = sorted(cells.bucket_edges(int(bucket)) for bucket in body["buckets"])
    assert edges == [pytest.approx((-4 * 2**0.25, -4)), (0, 0), pytest.approx((2, 2 * 2**0.25))]
    assert cells.Moments.of(np.array([math.nan])).to_json() == {"number": 0, "missing": 1}


def test_moments_are_the_same_in_every_order():
    values = np.random.default_rng(2).lognormal(0, 20, 400)  # sums of these as floats depend on the order
    one, other = in_two_orders([cells.Moments.of(part) for part in np.array_split(values, 50)])
    assert one.to_json() == other.to_json()
    assert one.to_json()["mean"] == pytest.approx(values.mean())
    assert one.to_json()["std"] == pytest.approx(values.std())


def test_distinct_ids_are_counted_exactly_by_lists_and_by_bits():
    ids = np.random.default_rng(3).integers(100, 4000, 3000)
    parts = [cells.Distinct.of(part, 100, 4000) for part in np.array_split(ids, 300)]
    one, other = in_two_orders(parts)
    assert parts[0].bits is None
    assert one.bits is not None
    assert one.to_json() == other.to_json() == len(np.unique(ids))
    assert added(parts[:3]).to_json() == len(np.unique(ids[:30]))


def test_largest():
    parts = [cells.Largest.of(np.array(n), np.array(i), 3) for n, i in (([5, 9, 5, 1], [8, 2, 1, 3]), ([9, 7], [1, 6]))]
    assert added(parts).to_json() == added(parts[::-1]).to_json() == [[1, 9], [2, 9], [6, 7]]


def test_degrees_are_counted_by_binary_digits():
    degrees = np.array([0, 1, 2, 3, 4, 7, 8, 2**40 - 1, 2**40])
    found = [graph_summary.digits_label(d) for d in graph_summary.digits(degrees).tolist()]
    assert found == ["0", "1", "2-3", "2-3", "4-7", "4-7", "8-15", f"{2**39}-{2**40 - 1}", f"{2**40}-{2**41 - 1}"]


def test_types_of_ids_that_grew():
    """Items 1, 2, 6 and 8, users 3 and 4; 5 and 7 are nobody's."""
    grown = {"item": ((6, 7), (8, 9))}
    shape = graph_summary.Shape.of(ckg.IdMap({"user": (3, 5), "item": (1, 3), "none": (5, 5)}, (), "f", grown))
    assert shape.types == ("item", "user")
    assert shape.types_of(np.array([1, 2, 3, 4, 6, 8]), "file").tolist() == [0, 0, 1, 1, 0, 0]
    for nobody in (0, 5, 7, 9):
        with pytest.raises(DataError, match=f"id {nobody} belongs to no entity type"):
            shape.types_of(np.array([3, nobody]), "file")


def test_a_summary_of_nothing_adds_nothing():
    shape = examples_summary.Shape(("click",), ("price",), {"user": Places(((1, 3),)), "item": Places(((3, 6),))})
    empty = examples_summary.of_examples(None, "test", shape)
    body = cells.to_json(cells.merge([empty, empty]))["splits"]["test"]
    assert (body["examples"], body["by"]["day"]["examples"]["numbers"]) == (0, {})
