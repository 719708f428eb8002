import dataclasses

import numpy as np
import pytest
from support.ctr_data import ID_MAP, write_ctr
from support.served import write_model

from kdcn_tf import config, manifest, records
from kdcn_tf.errors import DataError
from kdcn_tf.training import evaluation, metrics, slices


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("evaluation")
    return str(directory / "ctr"), write_ctr(directory / "ctr", per_file=100)


@pytest.fixture(scope="module")
def trained(ctr, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "model", ctr[1])


NO_INPUTS = {records.LABEL, records.WEIGHT, records.TIMESTAMP, records.SESSION, records.SOURCE, records.POSITION}


def inputs_of(examples):
    """Without what no model is to read."""
    assert set(examples) > NO_INPUTS
    return {key: values for key, values in examples.items() if key not in NO_INPUTS}


def whole(data):
    parts = list(data.batches())
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def test_heldout_is_the_split_in_file_order(ctr):
    examples = whole(evaluation.Heldout(*ctr, "train"))
    assert examples[records.LABEL].shape == (200,)
    assert examples[records.SESSION].tolist() == [row // 4 for row in range(100)] * 2


def test_logits_are_the_models_and_do_not_depend_on_the_batch(ctr, trained):
    data = evaluation.Heldout(*ctr, "test")
    expected = trained[0](inputs_of(whole(data)), training=False).numpy()
    score = evaluation.kdcn_scorer(*trained, data)
    for size in (7, 4096):
        scored = np.concatenate([score(batch) for batch in dataclasses.replace(data, rows=size).batches()])
        np.testing.assert_allclose(scored, expected, atol=1e-5)
    assert expected.std() > 0.001


def test_a_model_of_other_ids_or_features_is_refused(ctr, trained):
    model, described = trained
    data = evaluation.Heldout(*ctr, "test")
    with pytest.raises(DataError, match=r"other-ids.*tiny-ids"):
        evaluation.kdcn_scorer(
            model, dataclasses.replace(described, id_map=dataclasses.replace(ID_MAP, fingerprint="other-ids")), data
        )
    for change in ({"max_behaviors": 4}, {"dense": {"names": ["price", "age"], "mean": [2, 1], "std": [1, 1]}}):
        info = {**data.ctr.info, **change}
        other = dataclasses.replace(data, ctr=dataclasses.replace(data.ctr, info=info))
        with pytest.raises(DataError, match="other features than the model was trained on"):
            evaluation.kdcn_scorer(model, described, other)


def random_scores(seed=1):
    rng = np.random.default_rng(seed)
    return lambda examples: np.round(rng.normal(size=len(examples[records.LABEL])), 1)


def test_judged_as_a_whole_by_source_and_by_slice(ctr):
    data = evaluation.Heldout(*ctr, "test")
    examples = whole(data)
    labels, sessions = examples[records.LABEL], examples[records.SESSION]
    logits = random_scores()(examples)
    counts = slices.train_counts(*ctr)
    slicing = evaluation.Slicing(("user_frequency",), counts)
    found = evaluation.judge(data, "random", random_scores(), slicing)
    # Sessions whose number divides by 3 are of source "app", four impressions each: 9 of the 25 sessions.
    app = sessions % 3 == 0
    expected = {"all": np.ones(100, bool), "app": app, "shop": ~app}
    assert list(found.sources) == list(expected)
    for name, rows in expected.items():
        wanted = metrics.summarize(labels[rows], logits[rows], sessions[rows])
        assert found.sources[name] == pytest.approx(wanted, abs=1e-12)
    assert (found.sources["all"]["impressions"], found.sources["app"]["impressions"]) == (100, 36)
    often = counts.users.of_each(examples[records.USER])
    by_user = found.slices["user_frequency"]
    assert list(by_user) == [name for name in ("0", "1-2", "3-9", "10+") if name in by_user]
    assert by_user["3-9"]["impressions"] == np.sum((often >= 3) & (often <= 9)) > 0
    assert sum(figures["impressions"] for figures in by_user.values()) == 100


def test_judged_by_position(ctr):
    data = evaluation.Heldout(*ctr, "test")
    found = evaluation.judge(data, "random", random_scores(), evaluation.Slicing(("position",))).slices["position"]
    # Four impressions to each of 25 sessions, of which the first doesn't say where its own stood.
    assert {name: figures["impressions"] for name, figures in found.items()} == {
        "unknown": 4, "0": 24, "1": 24, "2": 24, "3": 24}  # fmt: skip
    assert list(found) == ["unknown", "0", "1", "2", "3"]
    examples = whole(data)
    first = examples[records.POSITION] == 0
    columns = (values[first] for values in (examples[records.LABEL], random_scores()(examples), examples["session"]))
    assert found["0"] == pytest.approx(metrics.summarize(*columns), abs=1e-12)


def test_metrics_do_not_depend_on_how_the_split_is_cut(ctr):
    def item_parity(examples):
        return examples[records.ITEM] % 2 - 0.5

    slicing = evaluation.Slicing(("behaviors",))
    # Two files, and a session's impressions in both.
    one, other = (
        evaluation.judge(evaluation.Heldout(*ctr, "train", rows), "item", item_parity, slicing) for rows in (3, 4096)
    )
    assert one.sources["all"] == pytest.approx(other.sources["all"], abs=1e-12)
    assert one.sources["all"]["auc"] != 0.5
    for name, figures in one.slices["behaviors"].items():
        assert figures == pytest.approx(other.slices["behaviors"][name], abs=1e-12)


class OneSource(evaluation.Heldout):
    def batches(self):
        for examples in super().batches():
            yield examples | {records.SOURCE: np.full(len(examples[records.LABEL]), b"shop", object)}


def test_one_source_alone_is_judged_once(ctr):
    assert list(evaluation.judge(OneSource(*ctr, "test"), "random", random_scores()).sources) == ["all"]


def test_a_source_named_as_all_of_them_is_refused(tmp_path):
    """Its figures would stand where those of all impressions do."""
    several = write_ctr(tmp_path / "several", per_file=12, sources=(b"all", b"shop"))
    with pytest.raises(DataError, match="test split: a source is named 'all', which is the name of all sources"):
        evaluation.judge(evaluation.Heldout(str(tmp_path / "several"), several, "test"), "random", random_scores())
    alone = write_ctr(tmp_path / "alone", per_file=12, sources=(b"all",))
    found = evaluation.judge(evaluation.Heldout(str(tmp_path / "alone"), alone, "test"), "random", random_scores())
    assert list(found.sources) == ["all"]


def test_a_split_without_examples_is_refused(ctr):
    directory, described = ctr
    empty = dataclasses.replace(described, files={**described.files, "test": ()})
    with pytest.raises(DataError, match="split 'test' has no examples"):
        evaluation.judge(evaluation.Heldout(directory, empty, "test"), "any", random_scores())


@pytest.mark.parametrize("name", sorted(evaluation.BASELINES))
def test_baselines_learn_from_the_training_split(name, ctr, tmp_path):
    data, settings = evaluation.Heldout(*ctr, "test"), config.resolve(assignments=["gbdt.rounds=5"])
    score = evaluation.baseline_scorer(name, data, settings)
    logits = score(whole(data))
    assert logits.shape == (100,)
    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(score(inputs_of(whole(data))), logits)
    write_ctr(tmp_path / "empty", per_file=10)
    described = manifest.read(str(tmp_path / "empty"), manifest.CTR)
    without = dataclasses.replace(described, files={**described.files, "train": ()})
    data = evaluation.Heldout(str(tmp_path / "empty"), without, "test")
    with pytest.raises(DataError, match="split 'train' has no examples"):
        evaluation.baseline_scorer(name, data, settings)
