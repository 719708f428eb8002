import dataclasses

import numpy as np
import pytest
from support.ctr_data import write_ctr

from kdcn_tf import config, records
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.training import metrics, trial

SMALL = ["kdcn.dim=8", "kdcn.heads=2", "kdcn.filters=4", "kdcn.match_dim=8", "kdcn.deep_units=[16]",
         "finetune.batch_size=32", "finetune.learning_rate=0.01", "finetune.entity_learning_rate=0.05",
         "trial.least_steps=60", "trial.least_steps_between=10"]  # fmt: skip
MODEL = "kdcn_no_pretraining"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("trial") / "ctr"
    write_ctr(directory, per_file=400)
    return trial.TrialData.read(str(directory))


def small(*assignments):
    return config.resolve(assignments=[*SMALL, *assignments])


def test_looks_and_steps(data):
    """800 rows are 25 steps of 32; 8 epochs of them 200, with a look every 10; patience ends it earlier."""
    found = trial.run(data, MODEL, small("trial.patience=3"), embeddings=None, splits=("valid", "test"))
    steps = [point.step for point in found.curve]
    assert steps == list(range(10, 10 * len(steps) + 1, 10))
    assert [point.examples for point in found.curve] == [32 * step for step in steps]
    scores = [point.auc for point in found.curve]
    assert len(scores) == 20 or scores.index(max(scores)) == len(scores) - 4
    assert {split: len(logits) for split, logits in found.logits.items()} == {"valid": 400, "test": 400}
    assert metrics.auc(data.splits["valid"][records.LABEL], found.logits["valid"]) == max(scores)
    assert (found.rows, found.examples) == (800, 32 * steps[-1])
    assert found.seconds > 0


def test_few_rows_still_get_their_steps(data):
    """A tenth of the 200 sessions, 4 rows each: 3 steps an epoch, 24 in 8, but 60 at least."""
    found = trial.run(data, MODEL, small("trial.patience=100"), embeddings=None, fraction=0.1)
    assert (found.rows, found.curve[-1].step) == (80, 60)


@pytest.mark.parametrize(("fraction", "steps"), [(1.0, 25), (0.1, 8)], ids=["an epoch", "the least steps"])
def test_a_falling_rate_ends_with_the_last_step(data, fraction, steps):
    sets = ["finetune.decay=linear", "finetune.average=0", "finetune.epochs=1", "trial.least_steps=8",
            "trial.least_steps_between=1", "trial.looks_per_epoch=25", "trial.patience=100"]  # fmt: skip
    found = trial.run(data, MODEL, small(*sets), embeddings=None, fraction=fraction)
    losses = [point.log_loss for point in found.curve]
    assert len(losses) == steps
    changes = np.abs(np.diff(losses))
    assert 0 < changes[-1] < 0.1 * changes.max()


def test_a_smaller_share_lies_in_a_larger_one(data):
    sessions = data.splits["train"][records.SESSION]
    small_share, large = (trial.chosen_rows(data.splits["train"], share, seed=3) for share in (0.1, 0.3))
    assert set(small_share) < set(large)
    assert len(np.unique(sessions[small_share])) == 10  # the two files number their sessions alike: 100 distinct
    assert set(np.flatnonzero(np.isin(sessions, sessions[large]))) == set(large)
    assert set(trial.chosen_rows(data.splits["train"], 0.1, seed=4)) != set(small_share)
    assert len(trial.chosen_rows(data.splits["train"], 1.0, seed=3)) == 800


def test_a_seed_decides_everything(data):
    config = small("trial.least_steps=20", "finetune.epochs=1")
    first, again = (trial.run(data, MODEL, config, embeddings=None) for _ in range(2))
    other = trial.run(
        data, MODEL, small("trial.least_steps=20", "finetune.epochs=1", "finetune.seed=2"), embeddings=None
    )
    np.testing.assert_allclose(first.logits["valid"], again.logits["valid"], atol=1e-5)
    assert np.abs(first.logits["valid"] - other.logits["valid"]).max() > 0.01


def test_a_look_may_end_the_trial(data):
    class EnoughError(Exception):
        pass

    def look(point):
        raise EnoughError(point.step)

    with pytest.raises(EnoughError, match="10"):
        trial.run(data, MODEL, small(), embeddings=None, on_point=look)


def test_what_is_refused(data):
    with pytest.raises(ConfigError, match="model 'svm': unknown; known: kdcn, "):
        trial.run(data, "svm", small(), embeddings=None)
    with pytest.raises(ConfigError, match="--embeddings: model 'kdcn' starts from them"):
        trial.run(data, "kdcn", small(), embeddings=None)
    train = data.splits["train"]
    for changed in ({records.LABEL: np.ones(800, np.float32)}, {records.WEIGHT: 1 - train[records.LABEL]}):
        one_class = dataclasses.replace(data, splits={**data.splits, "train": train | changed})
        with pytest.raises(DataError, match="800 training rows of 'kdcn_no_pretraining' have labels of one class only"):
            trial.run(one_class, MODEL, small(), embeddings=None)


@pytest.mark.parametrize("model", ["gbdt", "lr"])
def test_models_that_are_fitted_at_once(data, model):
    found = trial.run(data, model, small(), embeddings=None, fraction=0.5, splits=("train", "valid"))
    labels = {split: data.splits[split][records.LABEL] for split in ("train", "valid")}
    assert (found.rows, found.examples, found.curve, found.parameters) == (400, 400, (), None)
    assert found.valid_auc == metrics.auc(labels["valid"], found.logits["valid"])
    chosen = trial.chosen_rows(data.splits["train"], 0.5, seed=1)
    assert metrics.auc(labels["train"][chosen], found.logits["train"][chosen]) > 0.6
