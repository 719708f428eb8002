import dataclasses

import numpy as np
import pytest
from support.ctr_data import ID_MAP, write_ctr
from support.served import write_model

from kdcn_tf import manifest, records
from kdcn_tf.errors import DataError
from kdcn_tf.training import evaluation, metrics


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("evaluation")
    return str(directory / "ctr"), write_ctr(directory / "ctr", per_file=100)


@pytest.fixture(scope="module")
def trained(ctr, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "model", ctr[1])


def test_heldout_is_the_split_in_file_order(ctr):
    data = evaluation.heldout(*ctr, "train")
    assert data.examples[records.LABEL].shape == (200,)
    assert data.examples[records.SESSION].tolist() == [row // 4 for row in range(100)] * 2


def test_logits_are_the_models_and_do_not_depend_on_the_batch(ctr, trained):
    data = evaluation.heldout(*ctr, "test")
    inputs = {key: value for key, value in data.examples.items() if value.dtype != object}
    expected = trained[0](inputs, training=False).numpy()
    for size in (7, 4096):
        np.testing.assert_allclose(evaluation.score_kdcn(*trained, data, size), expected, atol=1e-5)
    assert expected.std() > 0.001


def test_a_model_of_other_ids_or_features_is_refused(ctr, trained):
    model, described = trained
    data = evaluation.heldout(*ctr, "test")
    with pytest.raises(DataError, match=r"other-ids.*tiny-ids"):
        evaluation.score_kdcn(
            model, dataclasses.replace(described, id_map=dataclasses.replace(ID_MAP, fingerprint="other-ids")), data
        )
    for change in ({"max_behaviors": 4}, {"dense": {"names": ["price", "age"], "mean": [2, 1], "std": [1, 1]}}):
        info = {**data.ctr.info, **change}
        other = dataclasses.replace(data, ctr=dataclasses.replace(data.ctr, info=info))
        with pytest.raises(DataError, match="other features than the model was trained on"):
            evaluation.score_kdcn(model, described, other)


def test_judged_as_a_whole_and_by_source(ctr):
    data = evaluation.heldout(*ctr, "test")
    labels, sessions = data.examples[records.LABEL], data.examples[records.SESSION]
    logits = np.random.default_rng(1).normal(size=len(labels))
    found = evaluation.judge(data, logits)
    # Sessions whose number divides by 3 are of source "app", four impressions each: 9 of the 25 sessions.
    app = sessions % 3 == 0
    assert found == {
        "all": metrics.summarize(labels, logits, sessions),
        "app": metrics.summarize(labels[app], logits[app], sessions[app]),
        "shop": metrics.summarize(labels[~app], logits[~app], sessions[~app]),
    }
    assert (found["all"]["impressions"], found["app"]["impressions"]) == (100, 36)


def test_one_source_alone_is_judged_once(ctr):
    data = evaluation.heldout(*ctr, "test")
    one = data.examples | {records.SOURCE: np.full(100, b"shop", object)}
    assert list(evaluation.judge(dataclasses.replace(data, examples=one), np.zeros(100))) == ["all"]


def test_logistic_regression_learns_from_the_training_split(ctr, tmp_path):
    logits = evaluation.score_lr(evaluation.heldout(*ctr, "test"))
    assert logits.shape == (100,)
    assert np.isfinite(logits).all()
    write_ctr(tmp_path / "empty", per_file=10)
    described = manifest.read(str(tmp_path / "empty"), manifest.CTR)
    without = dataclasses.replace(described, files={**described.files, "train": ()})
    data = evaluation.heldout(str(tmp_path / "empty"), without, "test")
    with pytest.raises(DataError, match="split 'train' has no examples"):
        evaluation.score_lr(data)
