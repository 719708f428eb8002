import pytest

from kdcn_tf.errors import DataError
from kdcn_tf.training.ledger import Ledger

FILES = ["a", "b", "c", "d", "e"]


def test_every_file_once_an_epoch_in_an_order_of_its_own():
    orders = []
    ledger = Ledger(FILES, epochs=3, seed=1)
    while not ledger.finished:
        orders.append(ledger.todo())
        for name in ledger.todo():
            ledger.mark_done(name)
        ledger.end_epoch({})
    assert [sorted(order) for order in orders] == [FILES] * 3
    assert len({tuple(order) for order in orders}) > 1


def test_an_epoch_with_files_left_cannot_end():
    ledger = Ledger(FILES, epochs=1, seed=1)
    ledger.mark_done("a")
    with pytest.raises(RuntimeError, match="1 of 5 files"):
        ledger.end_epoch({})


def test_resumes_in_the_middle_of_an_epoch():
    first = Ledger(FILES, epochs=2, seed=1)
    for name in FILES:
        first.mark_done(name)
    first.end_epoch({"loss": 0.5})
    done = first.todo()[:2]
    for name in done:
        first.mark_done(name)
    second = Ledger(FILES, epochs=2, seed=1)
    second.deserialize(first.serialize())
    assert second.epoch == 1
    assert second.todo() == [name for name in first.todo() if name not in done]
    assert second.history == [{"loss": 0.5}]


def test_refuses_a_ledger_of_other_files():
    with pytest.raises(DataError, match="other training files"):
        Ledger(["x"], epochs=1, seed=1).deserialize(Ledger(FILES, epochs=1, seed=1).serialize())
