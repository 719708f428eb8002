import dataclasses
import math

import numpy as np
import pytest
from support.small_ctr import MODEL, SMALL, write_without_test

from kdcn_tf import config, records
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.training import metrics, objective, trial
from kdcn_tf.training.objective import Found, Job, Look, Task


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("objective") / "ctr"
    write_without_test(directory)
    return str(directory)


def job(ctr, *assignments, seeds=1, fraction=1.0):
    return Job(ctr, None, MODEL, config.resolve(assignments=[*SMALL, *assignments]), seeds, fraction)


def test_a_trial_is_the_mean_of_its_seeds(ctr):
    """Each seed alone, by `trial.run`, has the score that the two together are told to have."""
    asked = []
    task = Task(3, {"finetune.learning_rate": 0.02})
    found = objective.prepare(job(ctr, "finetune.seed=5", seeds=2, fraction=0.5))(task, asked.append)
    data = trial.TrialData.read(ctr, ("train", "valid"))
    labels = data.splits["valid"][records.LABEL]
    for index in range(2):
        alone = config.resolve(assignments=[*SMALL, "finetune.learning_rate=0.02", f"finetune.seed={5 + index}"])
        outcome = trial.run(data, MODEL, alone, embeddings=None, fraction=0.5)
        assert found.scores[index] == pytest.approx(metrics.auc(labels, outcome.logits["valid"]), abs=1e-6)
        best = max(outcome.curve, key=lambda point: point.score)
        assert found.steps[index] == best.step
        if not index:
            assert [look.look for look in asked] == list(range(len(outcome.curve)))
            assert [look.score for look in asked] == pytest.approx([p.auc for p in outcome.curve], abs=1e-6)
    assert len(found.scores) == len(found.steps) == 2
    assert found.seconds > 0


def test_it_stops_when_it_is_told_to(ctr):
    asked = []

    def answer(look: Look) -> bool:
        asked.append(look.look)
        return look.look == 1

    assert objective.prepare(job(ctr, seeds=3))(Task(0, {}), answer) == Found()
    assert asked == [0, 1]


def test_a_setting_that_diverges_is_told_apart(ctr):
    values = {"finetune.learning_rate": 1e30}
    assert objective.prepare(job(ctr))(Task(0, values), lambda look: False) == Found(diverged=True)


def test_log_loss_counts_where_auc_is_undefined(ctr, monkeypatch):
    """All of validation is clicked: the score is minus the log loss of logits z, log(1 + exp(-z))."""
    whole = trial.TrialData.read(ctr, ("train", "valid"))
    clicked = {**whole.splits["valid"], records.LABEL: np.ones_like(whole.splits["valid"][records.LABEL])}
    one_class = dataclasses.replace(whole, splits={**whole.splits, "valid": clicked})
    monkeypatch.setattr(trial.TrialData, "read", lambda *_: one_class)
    found = objective.prepare(job(ctr))(Task(0, {}), lambda look: False)
    outcome = trial.run(one_class, MODEL, job(ctr).config, embeddings=None)
    expected = np.logaddexp(0, -outcome.logits["valid"].astype(np.float64)).mean()
    assert found.scores == (pytest.approx(-expected, abs=1e-6),)
    assert not math.isnan(found.scores[0])


def test_errors_of_the_setting_and_of_the_data_are_the_users(ctr, tmp_path):
    work = objective.prepare(job(ctr))
    with pytest.raises(ConfigError, match=r"^trial 4: kdcn.dropout: must be in \[0, 1\)"):
        work(Task(4, {"kdcn.dropout": 1.0}), lambda look: False)
    broken = write_without_test(tmp_path / "ctr", per_file=8)
    path = tmp_path / "ctr" / broken.group("valid")[0].name
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(DataError, match=path.name):
        objective.prepare(job(str(tmp_path / "ctr")))
