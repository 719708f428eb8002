"""The sweep over a user's time, and the example's features."""

import math
import random
import time

from hypothesis import given
from hypothesis import strategies as st

from kdcn_tf import records
from kdcn_tf.config import Config
from pipelines import ctr_examples
from pipelines.ctr_examples import Event, Shown


def shown(timestamp, item=0, **fields):
    base = Shown(timestamp, 1, item, 0, 1.0, "default", -1, [], [], [], [])
    return base._replace(**fields)


def histories(events, times, *, kinds=2, limit=3, window=None):
    swept = ctr_examples.with_history(
        [Event(*event) for event in events], map(shown, times), kinds=kinds, limit=limit, window=window
    )
    return [found for _, found in swept]


def test_only_what_is_strictly_before_counts_latest_first():
    events = [(5, 0, 51), (3, 0, 31), (4, 1, 41), (10, 0, 101)]
    assert histories(events, [10]) == [[[51, 31], [41]]]
    assert histories(events, [5]) == [[[31], [41]]]
    assert histories(events, [3]) == [[[], []]]
    assert histories(events, [10.5]) == [[[101, 51, 31], [41]]]


def test_the_latest_of_each_kind_are_kept():
    events = [(t, 0, t) for t in range(1, 9)] + [(1, 1, 100)]
    assert histories(events, [9], limit=3) == [[[8, 7, 6], [100]]]


def test_history_window():
    # At 10 with 4 seconds: behaviours at 6 and later count.
    assert histories([(5, 0, 5), (6, 0, 6), (9, 0, 9)], [10], window=4) == [[[9, 6], []]]


def test_ties_have_one_order():
    events = [(1, 0, 7), (1, 0, 3), (1, 0, 5)]
    for seed in range(4):
        mixed = random.Random(seed).sample(events, 3)
        assert histories(mixed, [2]) == [[[7, 5, 3], []]]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1), st.integers(1, 9)), max_size=30),
    st.lists(st.integers(0, 20), max_size=10),
    st.one_of(st.none(), st.integers(1, 10)),
)
def test_the_sweep_equals_looking_back_from_each_impression(events, times, window):
    def look_back(when, kind):
        before = sorted(e for e in events if e[1] == kind and e[0] < when)
        if window is not None:
            before = [e for e in before if e[0] >= when - window]
        return [item for _, _, item in before[::-1][:3]]

    expected = [[look_back(when, kind) for kind in (0, 1)] for when in sorted(times)]
    assert histories(events, times, window=window) == expected


def test_a_user_with_very_many_of_both_is_not_quadratic():
    # 60,000 x 60,000 comparisons would take minutes.
    started = time.monotonic()
    found = histories([(t, 0, 1) for t in range(60_000)], range(60_000))
    assert len(found) == 60_000
    assert time.monotonic() - started < 20


def test_split_by_time():
    assert [ctr_examples.split_of(t, 10, 20) for t in (9.9, 10, 19.9, 20)] == ["train", "valid", "valid", "test"]


def test_known_drops_what_the_graph_does_not_know_and_then_cuts():
    assert ctr_examples.known([5, records.OOV_ID, 7, 8], 2) == [5, 7]


def test_features():
    impression = shown(
        11.7, item=4, session=-9, label=1, weight=2.0, source="web", position=7, query=[1], title=[2, 3],
        categories=[8], stats=[("price", 1.5)],
    )  # fmt: skip
    ((timestamp, example),) = ctr_examples.user_examples(
        [Event(1, 3, 6)], [impression], user=5, dense_names=["age", "price"], config=Config()
    )
    features = records.decode(example)
    assert timestamp == 11.7
    assert math.isnan(features[records.DENSE][0])
    features[records.DENSE][0] = None
    assert features == {
        records.TIMESTAMP: [11], records.SESSION: [-9], records.USER: [5], records.ITEM: [4],
        records.POSITION: [7],
        records.QUERY_KEYWORDS: [1], records.TITLE_KEYWORDS: [2, 3], records.CATEGORIES: [8],
        "behavior_click": [], "behavior_cart": [], "behavior_favorite": [], "behavior_purchase": [6],
        records.LABEL: [1.0], records.WEIGHT: [2.0], records.DENSE: [None, 1.5], records.SOURCE: [b"web"],
    }  # fmt: skip
