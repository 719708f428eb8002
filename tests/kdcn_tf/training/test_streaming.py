import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcn_tf.training import metrics
from kdcn_tf.training.streaming import Stream


def some(seed: int, rows: int, sessions: int):
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(-1.0, 2.0, rows), 1).astype(np.float32)
    return (rng.random(rows) < 0.3).astype(np.float32), logits, rng.integers(0, sessions, rows)


@given(st.integers(0, 2**32 - 1), st.integers(0, 80), st.integers(1, 12), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_any_parts_in_any_order_give_the_figures_of_the_whole(seed, rows, sessions, parts):
    columns = some(seed, rows, sessions)
    expected = metrics.summarize(*columns)
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows)
    cut = np.sort(rng.integers(0, rows + 1, parts))
    one, other = Stream(), Stream()
    for index, part in enumerate(np.split(order, cut)):
        (one if index % 2 else other).add(*(column[part] for column in columns))
    one.merge(other)
    assert one.summarize() == pytest.approx(expected, abs=1e-11)
    assert one.summarize() == pytest.approx(expected, abs=1e-11)  # looking changes nothing


def test_whole_sessions_leave_counts_only():
    columns = labels, logits, sessions = some(1, 5000, 400)
    stream = Stream()
    for first in range(0, 400, 50):
        part = (sessions >= first) & (sessions < first + 50)
        stream.add(labels[part], logits[part], sessions[part], whole=True)
    assert stream.summarize() == pytest.approx(metrics.summarize(*columns), abs=1e-11)
    assert not stream._open
    assert len(stream._logits) == len(np.unique(logits)) < 200


def test_what_is_carried_is_thirteen_bytes_an_impression_in_few_parts():
    labels, logits, sessions = some(2, 4096, 100)
    stream = Stream()
    for start in range(0, 4096, 16):
        stream.add(*(column[start : start + 16] for column in (labels, logits, sessions)))
    assert sum(column.nbytes for rows in stream._open for column in rows) == 13 * 4096
    assert len(stream._open) <= 12


def test_logits_that_are_no_numbers_are_refused_and_leave_nothing():
    stream = Stream()
    with pytest.raises(ValueError, match="1 of 2 logits are NaN or infinite"):
        stream.add(np.array([0, 1]), np.array([0.0, np.nan]), np.array([1, 2]))
    assert stream.summarize()["impressions"] == 0
