import numpy as np
import pytest
from support.ctr_data import write_ctr
from support.served import write_model

from kdcn_tf import records
from kdcn_tf.data.ctr import read_all
from kdcn_tf.errors import ConfigError
from kdcn_tf.training import explaining
from kdcn_tf.training.evaluation import Heldout

CLICK = records.behavior_key("click")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("explaining") / "ctr"
    return Heldout(str(directory), write_ctr(directory, per_file=30), "train", rows=25)


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "model", data.ctr)[0]


@pytest.fixture(scope="module")
def examples(data):
    return read_all(data.directory, data.ctr, "train")


def scored(model, examples) -> np.ndarray:
    return model({key: value for key, value in examples.items() if value.dtype != object}, training=False).numpy()


def test_a_change_is_the_logit_without_the_group_minus_the_one_with_it(model, examples):
    found = explaining.changes(model, examples)
    base = scored(model, examples)
    unknown = {**examples, records.USER: np.full(60, records.OOV_ID)}
    np.testing.assert_allclose(found[records.USER], scored(model, unknown) - base, atol=1e-5)
    silent = {**examples, records.QUERY_KEYWORDS: np.zeros((60, 3), np.int64)}
    np.testing.assert_allclose(found[records.QUERY_KEYWORDS], scored(model, silent) - base, atol=1e-5)
    missing = {**examples, records.DENSE: np.full((60, 2), np.nan, np.float32)}
    np.testing.assert_allclose(found[records.DENSE], scored(model, missing) - base, atol=1e-5)
    without = {**examples, **{key: np.zeros_like(value) for key, value in examples.items() if "behavior" in key}}
    np.testing.assert_allclose(found["behaviors"], scored(model, without) - base, atol=1e-5)
    # A group changes nothing exactly where it is empty already.
    no_click = (examples[CLICK] == 0).all(axis=1)
    assert 0 < no_click.sum() < 60
    assert not found[CLICK][no_click].any()
    assert np.abs(found[CLICK][~no_click]).min() > 0


def test_u_and_d_are_taken_away_alone(model, examples):
    found = explaining.changes(model, examples)
    nothing = {key: np.zeros_like(value) for key, value in examples.items() if "behavior" in key or "keywords" in key}
    assert np.abs(found["user_state"]).min() > 0
    # The candidate's product with the mean behaviour goes with the behaviours, but not with u.
    assert np.abs(found["user_state"] - found["behaviors"]).max() > 1e-4
    empty = explaining.changes(model, {**examples, **nothing})
    for name in ("user_state", "dialogue", "behaviors", records.TITLE_KEYWORDS):
        np.testing.assert_allclose(empty[name], 0, atol=1e-6)
    assert all(np.isfinite(change).all() for change in empty.values())


def test_attention_and_logit_of_one_impression(model, data, examples):
    found = explaining.explain(model, explaining.read_row(data, 41))
    assert found.logit == pytest.approx(float(scored(model, examples)[41]), abs=1e-5)
    assert found.attention.shape == (2, 7, 7)
    ids = np.concatenate([examples[records.QUERY_KEYWORDS][41], examples[records.TITLE_KEYWORDS][41]])
    np.testing.assert_allclose(found.attention.sum(axis=-1), np.ones((2, 7)) if ids.any() else 0, rtol=1e-5)
    assert not found.attention[:, :, ids == 0].any()


def test_a_network_without_dialogue_has_no_attention(data, tmp_path):
    model, _ = write_model(tmp_path / "model", data.ctr, "kdcn.dialogue=false", "kdcn.user_state=false")
    found = explaining.explain(model, explaining.read_row(data, 0))
    assert found.attention is None
    assert not {"user_state", "dialogue"} & set(found.changes)
    with pytest.raises(ValueError, match="no dialogue interaction"):
        model.attention({key: value for key, value in explaining.read_row(data, 0).items() if value.dtype != object})


def test_typical_changes_are_means_over_the_first_rows(model, data, examples):
    usual = explaining.typical(model, data, 30)  # the second batch of 25 is cut
    first = explaining.changes(model, {key: value[:30] for key, value in examples.items()})
    assert usual.rows == 30
    assert usual.mean == pytest.approx({name: change.mean() for name, change in first.items()}, abs=1e-5)
    assert usual.size == pytest.approx({name: np.abs(change).mean() for name, change in first.items()}, abs=1e-5)


@pytest.mark.parametrize("row", [0, 29, 30, 59])
def test_a_row_by_its_number(data, examples, row):
    found = explaining.read_row(data, row)
    for key, value in found.items():
        np.testing.assert_array_equal(value, examples[key][row : row + 1])


@pytest.mark.parametrize("row", [-1, 60])
def test_a_row_that_is_not_there(data, row):
    with pytest.raises(ConfigError, match=f"--row {row}: split 'train' has 60 rows, counted from 0"):
        explaining.read_row(data, row)


def test_rows_of_a_session(data, examples):
    found = dict(explaining.rows_of_session(data, 5))
    assert list(found) == [20, 21, 22, 23, 50, 51, 52, 53]
    np.testing.assert_array_equal(found[51][records.ITEM], examples[records.ITEM][51:52])
