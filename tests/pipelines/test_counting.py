"""Reconciliation and thresholds."""

import pytest

from kdcn_tf.errors import DataError
from pipelines import counting

# 10 read = 6 used + 1 dead + 2 after the cutoff + 1 duplicate.
COUNTS = {
    "read.items": 10, "used.items": 6, "dead.items": 1,
    "filtered.items.after_train_end": 2, "filtered.items.duplicate": 1, "filtered.items_other.x": 5,
    "unknown_fields.items": 4,
}  # fmt: skip


def test_counts_that_add_up_pass():
    counting.reconcile(COUNTS, ["items"])
    counting.reconcile({}, ["users"])


@pytest.mark.parametrize("name", ["read.items", "used.items", "dead.items", "filtered.items.duplicate"])
def test_one_lost_record_fails(name):
    with pytest.raises(DataError, match=r"items: .* read, but .* used"):
        counting.reconcile(COUNTS | {name: COUNTS[name] + 1}, ["items"])


def test_share_of_bad_records():
    counting.check_bad_share(COUNTS, ["items"], limit=0.1, where="")  # 1 of 10 is not above 10%
    with pytest.raises(DataError, match=r"items: 1 of 10 records are bad, more than logs.max_bad_share=0.09; see x"):
        counting.check_bad_share(COUNTS, ["items"], limit=0.09, where="see x")
