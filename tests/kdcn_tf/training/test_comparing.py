import numpy as np
import pytest
from support.ctr_data import write_ctr

from kdcn_tf import config
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.training import comparing
from kdcn_tf.training.comparing import Order, Task
from kdcn_tf.training.trial import Outcome, Point

SMALL = ["kdcn.dim=8", "kdcn.heads=2", "kdcn.filters=4", "kdcn.match_dim=8", "kdcn.deep_units=[16]",
         "finetune.batch_size=64", "finetune.epochs=1", "trial.least_steps=4"]  # fmt: skip
MODEL = "kdcn_no_pretraining"
OUTCOME = Outcome(
    logits={"test": np.array([0.5, -1.25], np.float32)}, curve=(Point(5, 320, 0.625, 0.5), Point(10, 640, None, 0.25)),
    seconds=1.5, examples=640, parameters=None, rows=100, valid_auc=0.625,
)  # fmt: skip


def test_every_model_on_all_rows_and_some_on_fewer():
    tasks = comparing.plan(["kdcn", "dnn"], [1, 2], [0.1, 1.0], ["kdcn"])
    assert [task.name for task in tasks] == [
        "kdcn-1-1", "dnn-1-1", "kdcn-0.1-1", "kdcn-1-2", "dnn-1-2", "kdcn-0.1-2",
    ]  # fmt: skip


@pytest.mark.parametrize(("given", "shown"), [((0.1, 0.1000001), "0.1"), ((0.9999999,), "1")])
def test_fractions_that_would_share_a_file_are_refused(given, shown):
    with pytest.raises(ConfigError, match=rf"--fractions: .* and {given[-1]} are one, {shown}, in the names of runs"):
        comparing.plan(["lr"], [1], given, ["lr"])
    assert len(comparing.plan(["lr"], [1], (0.1, 0.1, 1.0), ["lr"])) == 2


def test_a_trial_is_known_by_its_name():
    for task in (Task("kdcn_no_pretraining", 1.0, 12), Task("lr", 1e-5, 1), Task("lr", 0.03, 0)):
        assert Task.named(task.name) == task
    assert Task.named("notes") is None


def test_an_outcome_goes_through_its_file():
    again = comparing.unpacked(comparing.packed(OUTCOME))
    np.testing.assert_array_equal(again.logits["test"], OUTCOME.logits["test"])
    assert (again.curve, again.seconds, again.parameters, again.valid_auc) == (OUTCOME.curve, 1.5, None, 0.625)
    assert comparing.summary(again) == "valid_auc 0.625, seconds 1.5, rows 100, best_step 5, last_step 10"


@pytest.mark.parametrize("broken", [b"", b"PK", comparing.packed(OUTCOME)[:-40]])
def test_a_broken_file_is_named(tmp_path, broken):
    task = Task(MODEL, 1.0, 1)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "kdcn_no_pretraining-1-1.npz").write_bytes(broken)
    with pytest.raises(DataError, match=r"kdcn_no_pretraining-1-1\.npz: not the result of a run.*remove it"):
        list(comparing.results(str(tmp_path), [task]))


def test_only_what_is_missing_is_run(tmp_path):
    write_ctr(tmp_path / "ctr", per_file=80)
    configs = {MODEL: config.resolve(assignments=SMALL)}
    order = Order(str(tmp_path / "ctr"), {}, configs, str(tmp_path))
    tasks = [Task(MODEL, 1.0, seed) for seed in (1, 2)]
    (tmp_path / "runs").mkdir()
    there = tmp_path / "runs" / "kdcn_no_pretraining-1-1.npz"
    there.write_bytes(comparing.packed(OUTCOME))
    comparing.run_missing(order, tasks, processes=1)
    (_, kept), (_, made) = comparing.results(str(tmp_path), tasks)
    assert (kept.rows, made.rows, len(made.logits["test"])) == (100, 160, 80)
    assert np.isfinite(made.logits["test"]).all()
