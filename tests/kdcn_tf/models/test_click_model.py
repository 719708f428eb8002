"""What every click model owes, whatever its network."""

import json

import numpy as np
import pytest
import tensorflow as tf
from support.click_models import CONTEXT, padding_of, randomized, small, some_inputs

from kdcn_tf import records
from kdcn_tf.losses import log_loss
from kdcn_tf.models.networks import NETWORKS

CASES = {
    "kdcn": [], "kdcn vector": ["cross=vector"], "kdcn matrix": ["cross=matrix"], "kdcn paper": ["candidate=false"],
    "kdcn no sizes": ["list_sizes=false"], "dcn no sizes": ["network=dcn", "list_sizes=false"],
    "dcn": ["network=dcn"], "dcn vector": ["network=dcn", "cross=vector"],
    "dcn matrix": ["network=dcn", "cross=matrix"],
    "wide_deep": ["network=wide_deep", "wide_buckets=64"], "dnn": ["network=dnn"],
}  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES)
every_network = pytest.mark.parametrize("case", ["kdcn", "dcn", "wide_deep", "dnn", "kdcn no sizes"])


def made(case, *more):
    return small(*(f"kdcn.{option}" for option in (*CASES[case], *more)))


def test_no_network_is_missing():
    assert {case.split()[0] for case in CASES} == set(NETWORKS)
    for name, network in NETWORKS.items():
        assert type(made(name)) is network


@every_case
def test_rank_equals_call_for_each_candidate(case):
    model, inputs = randomized(made(case)), some_inputs(5)
    one_context = {key: values[1:2] if key in CONTEXT else values for key, values in inputs.items()}
    repeated = {key: tf.repeat(values, 5, axis=0) if key in CONTEXT else values for key, values in one_context.items()}
    ranked = model.rank(one_context)
    np.testing.assert_allclose(ranked, model(repeated), rtol=1e-4, atol=1e-5)
    assert np.ptp(ranked) > 1e-3


@every_network
def test_a_batch_of_one_scores_as_in_a_larger_one(case):
    model, inputs = randomized(made(case)), some_inputs(4)
    whole = model(inputs)
    for row in range(4):
        alone = model({key: values[row : row + 1] for key, values in inputs.items()})
        np.testing.assert_allclose(alone, whole[row : row + 1], rtol=1e-4, atol=1e-5)


@every_network
def test_what_an_example_holds_beside_its_inputs_is_not_read(case):
    model, inputs = randomized(made(case)), some_inputs(4)
    beside = {records.POSITION: [0, 3, 40, -1], records.SESSION: [7, 7, 8, 9], records.TIMESTAMP: [1, 2, 3, 4]}
    beside = {key: tf.constant(values, tf.int64) for key, values in beside.items()}
    assert not beside.keys() & inputs.keys()
    np.testing.assert_array_equal(model(inputs | beside), model(inputs))


@every_network
@pytest.mark.parametrize("empty", [False, True], ids=["some", "all padding"])
def test_scores_and_gradients_are_finite_and_reach_every_weight(case, empty):
    model, inputs = made(case), some_inputs(6)
    inputs = padding_of(inputs) if empty else inputs
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        loss = log_loss(tf.constant([1.0, 0, 0, 1, 0, 0]), logits)
    assert np.all(np.isfinite(logits))
    assert np.all(np.isfinite(model(inputs, training=False)))
    for weight, gradient in zip(model.trainable_weights, tape.gradient(loss, model.trainable_weights), strict=True):
        assert np.all(np.isfinite(tf.convert_to_tensor(gradient))), weight.name


@every_network
def test_gradients_of_tables_have_the_looked_up_rows_alone(case):
    model, inputs = made(case), some_inputs(6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(inputs, training=True))
    for table, gradient in zip(model.tables, tape.gradient(loss, model.tables), strict=True):
        assert isinstance(gradient, tf.IndexedSlices)
        assert len(set(gradient.indices.numpy().tolist())) == len(gradient.indices), table.name
    others = {id(table) for table in model.tables}
    widest = max(w.shape[0] for w in model.trainable_weights if id(w) not in others)
    assert widest < 150  # nothing else grows with the ids


@every_case
def test_config_round_trip(case):
    model, inputs = randomized(made(case)), some_inputs(4)
    again = type(model).from_config(json.loads(json.dumps(model.get_config())))
    assert (again.spec, again.options) == (model.spec, model.options)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(inputs), model(inputs))


@every_network
def test_a_checkpoint_makes_it_again(case, tmp_path):
    model, other, inputs = randomized(made(case)), made(case), some_inputs(4)
    prefix = tf.train.Checkpoint(model=model).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(model=other).read(prefix).assert_consumed()
    np.testing.assert_array_equal(other(inputs), model(inputs))


@every_network
def test_a_frozen_table_is_not_trained(case):
    frozen, free = made(case, "freeze_entities=true"), made(case)
    fixed, fixed_anyway = ({weight.name for weight in model.non_trainable_weights} for model in (frozen, free))
    assert fixed - fixed_anyway == {frozen.entities.table.name}
    assert len(free.trainable_weights) == len(frozen.trainable_weights) + 1
    assert any(weight is frozen.categories.embedding.table for weight in frozen.trainable_weights)


@every_network
def test_a_table_is_pretrained_where_the_options_say_so(case):
    pretrained, fresh = made(case), made(case, "pretrained=false")
    assert [table is pretrained.entities.table for table in pretrained.pretrained_tables] == [True]
    assert fresh.pretrained_tables == []


@every_network
def test_the_rows_of_padding_do_not_count(case):
    model, inputs = randomized(made(case)), some_inputs(6)
    expected = model(inputs).numpy()
    id_tables = [table for table in model.tables if table.shape[0] != 64]  # a hash may put pairs into row 0
    for table in id_tables:
        table.scatter_update(tf.IndexedSlices(tf.range(100.0, 100.0 + table.shape[1])[None], [0]))
    np.testing.assert_array_equal(model(inputs), expected)


@pytest.mark.parametrize("case", ["kdcn", "dcn", "dnn"])
def test_unknown_ids_share_one_row(case):
    # With the vectors of user 5 and item 40 in the row of the unknown, one after the other, ids -1 score as they do.
    model, inputs = randomized(made(case)), some_inputs(6)
    inputs = {key: tf.where(values == -1, 0, values) if key in CONTEXT else values for key, values in inputs.items()}
    table = model.entities.table
    for key, known in ((records.USER, 5), (records.ITEM, 40)):
        row = tf.gather(table, [model.entities.row_of(known)])
        table.scatter_update(tf.IndexedSlices(row, [1]))
        unknown, as_known = (inputs | {key: tf.fill([6], tf.constant(i, tf.int64))} for i in (-1, known))
        np.testing.assert_allclose(model(unknown), model(as_known), rtol=1e-5)
        beyond = inputs | {key: tf.fill([6], tf.constant(10**12, tf.int64))}
        np.testing.assert_array_equal(model(beyond), model(unknown))


@every_network
def test_training_treats_a_share_of_users_and_candidates_as_unknown(case):
    inputs = some_inputs(6) | {key: tf.constant([i] * 6, tf.int64) for key, i in (("user", 5), ("item", 40))}
    unknown = inputs | {key: tf.fill([6], tf.constant(-1, tf.int64)) for key in ("user", "item")}
    for share, seen in ((0.0, inputs), (1 - 1e-7, unknown)):
        model = randomized(made(case, f"unknown_share={share}", "dropout=0", "knowledge_dropout=0"))
        np.testing.assert_array_equal(model(inputs, training=True), model(seen, training=True))
        assert np.any(model(inputs, training=False) != model(unknown, training=False))


@pytest.mark.parametrize(
    ("most", "users", "items", "expected"),
    [(0.3, 1.0, 1.0, (0.3, 0.3)), (0.3, 0.2, 0.0, (0.2, 0.01)), (0.0, 1.0, 0.5, (0.0, 0.0)),
     (0.005, 0.0, 0.0, (0.005,) * 2)],
)  # fmt: skip
def test_as_many_are_treated_as_unknown_as_validation_has_up_to_a_limit(most, users, items, expected):
    whole = small(f"kdcn.unknown_share={most}")
    config = whole.get_config()
    spec = {**config["spec"], "unknown_users": users, "unknown_items": items}
    model = type(whole).from_config({**config, "spec": spec})
    assert model.unknown_shares == {"user": expected[0], "item": expected[1]}


@pytest.mark.parametrize("network", ["kdcn", "dcn", "dnn"])
@pytest.mark.parametrize("known", [True, False], ids=["sizes known", "unknown"])
def test_a_list_of_one_item_often_is_told_from_one_of_it_once_by_its_size(network, known):
    model = randomized(
        small(f"kdcn.network={network}", f"kdcn.list_sizes={known}", "kdcn.dialogue=false", "kdcn.candidate=false")
    )
    inputs = some_inputs(2)
    for key in (records.behavior_key("click"), records.TITLE_KEYWORDS):
        item, places = inputs[records.ITEM][0], inputs[key].shape[1]
        once, often = tf.pad([item], [[0, places - 1]]), tf.fill([places], item)
        scores = model({k: tf.repeat(v[:1], 2, axis=0) for k, v in inputs.items()} | {key: tf.stack([once, often])})
        assert (abs(scores[0] - scores[1]) > 1e-4) == known
