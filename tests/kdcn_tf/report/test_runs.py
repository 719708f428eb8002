import numpy as np
import pytest

from kdcn_tf.errors import DataError
from kdcn_tf.report import runs
from kdcn_tf.report.runs import Judged, Run

POINT = {"step": 5, "examples": 50, "auc": 0.6, "log_loss": 0.3}
NAME = "run of dcn with seed 3 on 10% of the training rows"


def run(**changes):
    return Run(**{"model": "dcn", "fraction": 0.1, "seed": 3, "logits": np.zeros(2)} | changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"logits": np.array([np.nan, 1.0, -np.inf])}, f"{NAME}: 2 of 3 logits are NaN or infinite"),
        ({"logits": np.zeros((2, 1))}, rf"{NAME}: logits of shape \(2, 1\)"),
        ({"fraction": 0.0}, "on 0% of the training rows: its fraction"),
        ({"seconds": -1.0}, f"{NAME}: seconds is -1.0"),
        ({"seconds": np.nan}, f"{NAME}: seconds is nan"),
        ({"curve": ({"step": 1, "auc": 0.5, "log_loss": 1.0},)}, f"{NAME}: a point of its curve has no 'examples'"),
        ({"curve": (POINT, POINT)}, f"{NAME}: step 5 of its curve comes after step 5"),
    ],
)
def test_a_run_that_cannot_be(changes, told):
    with pytest.raises(DataError, match=told):
        run(**changes)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([], []), "no rows"),
        (([0, 1], [1]), "1 values of sessions, but 2 labels"),
        (([0, 1], [1, 1], {"source": np.array(["a"])}), "1 values of source, but 2 labels"),
        (([0, 2], [1, 1]), "1 of 2 labels are neither 0 nor 1"),
        (([0, np.nan], [1, 1]), "1 of 2 labels are neither 0 nor 1"),
    ],
)
def test_test_rows_that_cannot_be(arguments, told):
    with pytest.raises(DataError, match=told):
        Judged(*map(np.array, arguments[:2]), *arguments[2:])


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ([run(fraction=1.0, logits=np.zeros(3))], "on 100% of the training rows: 3 logits, but 2 test rows"),
        ([run(fraction=1.0), run(fraction=1.0)], "is there twice"),
        ([run()], "none uses all training rows"),
    ],
)
def test_runs_that_do_not_fit(listed, told):
    with pytest.raises(DataError, match=told):
        runs.check(listed, Judged(np.array([0, 1]), np.array([1, 1])))
