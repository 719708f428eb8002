"""Moments of dense statistics, by hand."""

import math
import random

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that

from pipelines import moments


def test_transform_keeps_the_sign():
    assert moments.transform(math.e - 1) == pytest.approx(1.0)
    assert moments.transform(1 - math.e) == pytest.approx(-1.0)
    assert moments.transform(0.0) == 0.0


def test_mean_and_std():
    # log1p of 0, e - 1 and e**2 - 1 is 0, 1, 2: mean 1, variance 2/3.
    sums = moments.add(moments.sums_of(value) for value in (0.0, math.e - 1, math.e**2 - 1))
    assert moments.mean_and_std(sums) == pytest.approx((1.0, math.sqrt(2 / 3)), abs=1e-9)


def test_a_constant_has_deviation_one():
    sums = moments.add([moments.sums_of(5.0)] * 3)
    assert moments.mean_and_std(sums) == pytest.approx((math.log(6), 1.0))


def test_sums_are_equal_for_every_order():
    values = [random.Random(1).lognormvariate(0, 5) for _ in range(2000)]
    shuffled = random.Random(2).sample(values, len(values))
    assert moments.add(map(moments.sums_of, values)) == moments.add(map(moments.sums_of, shuffled))


def test_missing_statistics_dont_count():
    stats = [(("a", 0.0), ("b", math.e - 1)), (("a", math.e - 1),), ()]

    def check(rows):
        found = {name: (sums[0], *moments.mean_and_std(sums)) for name, sums in rows}
        assert found["a"] == pytest.approx((2, 0.5, 0.5))  # 0 and 1
        assert found["b"] == pytest.approx((1, 1.0, 1.0))

    with beam.Pipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | beam.Create(stats) | moments.Moments(), check)
