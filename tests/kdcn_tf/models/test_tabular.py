import dataclasses

import numpy as np
import pytest
from support.click_models import tabular_examples

from kdcn_tf import records
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.models.tabular import PAIRS, Table

SPEC = CtrSpec(("click", "cart"), 3, 2, 2, 2, ("price", "sales"), (0.0, 0.0), (1.0, 1.0))
CLICK, CART = records.behavior_key("click"), records.behavior_key("cart")


def examples(rows, **changed):
    return tabular_examples(SPEC, rows, **changed)


TRAIN = examples(
    3, item=np.array([31, 32, 33]), categories=np.array([[71, 72], [71, 73], [74, 0]]),
    title_keywords=np.array([[80, 81], [81, 82], [83, 0]]), session=np.array([1, 2, 3]),
    label=np.array([1.0, 0.0, 1.0]),
)  # fmt: skip
NEW = examples(
    2, item=np.array([31, 99]), categories=np.array([[71, 72], [79, 0]]), title_keywords=np.array([[80, 81], [0, 0]]),
    query_keywords=np.array([[81, 84], [0, 0]]), dense=np.array([[3.0, np.nan], [np.inf, 2.0]], np.float32),
    **{CLICK: np.array([[32, 31, 31], [0, 0, 0]]), CART: np.array([[33, -1, 32], [-1, 0, 0]])},
)  # fmt: skip


@pytest.fixture(scope="module")
def columns():
    table = Table(SPEC, smoothing=1.0, folds=2, seed=1)
    table.fit(TRAIN)
    return table.of(NEW)


def check(columns, name, *expected):
    np.testing.assert_allclose(columns[name], expected, err_msg=name)


def test_statistics_and_categories_as_they_are(columns):
    check(columns, "statistic price", 3, np.nan)  # an infinite statistic is a missing one
    check(columns, "statistic sales", np.nan, 2)
    check(columns, "category 0", 0, np.nan)  # 71 and 74 are the known top levels
    check(columns, "category 1", 0, np.nan)


def test_a_statistic_named_like_a_derived_column_is_kept(columns):
    table = Table(dataclasses.replace(SPEC, dense_names=("category 0", "rows of item")), smoothing=1.0, folds=2, seed=1)
    table.fit(TRAIN)
    found = table.of(NEW)
    assert len(found) == len(columns)
    for own, usual in zip(found.values(), columns.values(), strict=True):
        np.testing.assert_array_equal(own, usual)


def test_counts(columns):
    check(columns, f"number of {CLICK}", 3, 0)
    check(columns, f"number of {CART}", 3, 1)  # unknown items are items
    check(columns, "number of query_keywords", 2, 0)


def test_the_candidate_in_the_lists(columns):
    check(columns, "click: candidate", 2, 0)
    check(columns, "click: candidate since", 1, np.nan)
    check(columns, "cart: candidate", 0, 0)
    check(columns, "cart: candidate since", np.nan, np.nan)


def test_shared_keywords_and_categories(columns):
    check(columns, "keywords shared", 1, 0)
    check(columns, "query shared", 0.5, np.nan)
    # Candidate 31: levels 71 and 72, title 80 and 81. Clicks 32, 31, 31: top level three times, second twice;
    # title keywords 81, 80, 81, 80, 81 are the candidate's, in three titles.
    check(columns, "click: category 0", 1, np.nan)
    check(columns, "click: category 1", 2 / 3, np.nan)
    check(columns, "click: title", 5 / 3, np.nan)
    # Carts 33, one unknown, 32: one of two known is of 71; the one second level is 73; 81 in two titles.
    check(columns, "cart: category 0", 1 / 2, np.nan)
    check(columns, "cart: category 1", 0, np.nan)
    check(columns, "cart: title", 1 / 2, np.nan)


def test_click_rates(columns):
    # p = 2/3, smoothing 1. Item 31 clicked once in one row: (1 + 2/3) / 2 - p; item 99 unseen: 0.
    check(columns, "rate of item", 1 / 6, 0)
    check(columns, "rows of item", 1, 0)
    # Title keyword 80: (1 + 2/3) / 2 - p; 81, in a clicked and in another row: (1 + 2/3) / 3 - p.
    check(columns, "rate of title_keywords", (1 / 6 - 1 / 9) / 2, np.nan)
    check(columns, "highest rate of title_keywords", 1 / 6, np.nan)
    check(columns, "rows of title_keywords", 1.5, np.nan)
    # The lowest level is 72 for the first, 79 for the second row.
    check(columns, "rate of leaf", 1 / 6, 0)
    assert all(f"rate of {left} x {right}" in columns for left, right in PAIRS)


def test_a_rows_own_label_never_changes_its_own_columns():
    rng = np.random.default_rng(0)
    data = examples(
        60, user=rng.integers(1, 5, 60), item=rng.integers(31, 36, 60), categories=rng.integers(71, 74, (60, 2)),
        query_keywords=rng.integers(80, 83, (60, 2)), title_keywords=rng.integers(80, 83, (60, 2)),
        session=rng.integers(0, 20, 60), label=rng.integers(0, 2, 60).astype(float),
        **{CLICK: rng.integers(31, 36, (60, 3))},
    )  # fmt: skip
    before = Table(SPEC, 5.0, 3, 1).fit(data)
    for row in range(0, 60, 6):
        flipped = {**data, records.LABEL: data[records.LABEL].copy()}
        flipped[records.LABEL][row] = 1 - flipped[records.LABEL][row]
        after = Table(SPEC, 5.0, 3, 1).fit(flipped)
        siblings = data[records.SESSION] == data[records.SESSION][row]
        for name, column in before.items():
            np.testing.assert_array_equal(after[name][siblings], column[siblings], err_msg=name)
        assert any(not np.array_equal(after[name], before[name], equal_nan=True) for name in before)


def test_training_rows_have_the_columns_of_new_rows():
    table = Table(SPEC, 1.0, 2, 1)
    assert list(table.fit(TRAIN)) == list(table.of(NEW))


def test_where_an_impression_was_shown_makes_no_column(columns):
    table = Table(SPEC, smoothing=1.0, folds=2, seed=1)
    fitted = table.fit({**TRAIN, records.POSITION: np.array([0, 1, 2])})
    assert list(fitted) == list(columns)
    for name, column in table.of({**NEW, records.POSITION: np.array([0, 1])}).items():
        np.testing.assert_array_equal(column, columns[name], err_msg=name)


def test_rows_do_not_depend_on_those_beside_them(columns):
    table = Table(SPEC, smoothing=1.0, folds=2, seed=1)
    table.fit(TRAIN)
    alone = table.of({key: values[1:] for key, values in NEW.items()})
    for name, column in columns.items():
        np.testing.assert_array_equal(alone[name], column[1:], err_msg=name)
