import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.data.lookup import gather_rows
from kdcn_tf.models.ckg_encoder import CkgEncoder


class Path:
    """The path 1 - 2 - 3, up to two neighbours."""

    NEIGHBORS = tf.constant([[0, 0], [2, 0], [1, 3], [2, 0]], tf.int64)
    DEGREES = tf.constant([0.0, 1.0, 2.0, 1.0])

    def neighbors(self, ids):
        return tf.gather(self.NEIGHBORS, ids)

    def with_degrees(self, table, ids, wire):
        return gather_rows(table, ids, wire), tf.gather(self.DEGREES, ids)


def encoder(layers=1, relations=((0, 0), (1, 1)), **changes):
    arguments = {"num_ids": 4, "num_relations": 2, "dim": 2, "layers": layers, "activation": "identity",
                 "residual": False, "norm": 2, **changes}  # fmt: skip
    model = CkgEncoder(**arguments)
    model.entity_table.assign([[9, 9], [1, 0], [0, 2], [4, 0]])
    model.relation_table.assign(relations)
    for layer in model.graph_layers:
        layer.kernel.assign(tf.eye(2))
    return model


def inputs(head, relation, tail, negatives, asks_tail):
    columns = {"head": head, "relation": relation, "tail": tail, "negatives": negatives}
    return {
        "asks_tail": tf.constant(asks_tail),
        **{key: tf.constant(value, tf.int64) for key, value in columns.items()},
    }


def test_two_layers_reach_two_hops():
    # One layer (equation 1, weights 1/sqrt(2)): X1 = [[0, 1.4142], [3.5355, 0], [0, 1.4142]] for ids 1 to 3.
    # Second layer on that: id 1: 0.7071 * [3.5355, 0] = [2.5, 0]; id 2: 0.7071 * [0, 2.8284] = [0, 2].
    got = encoder(layers=2).encode(tf.constant([2, 1], tf.int64), Path())
    np.testing.assert_allclose(got, [[0, 2], [2.5, 0]], atol=1e-4)


def test_neighbours_of_each_type_apart():
    # Node 2 has neighbours 1 and 3, of types 0 and 1; W_0 = I, W_1 = 10 I: [1, 0] + 10 [4, 0] = [41, 0]; itself, with
    # the residual: [41, 2]. Node 1 has node 2, of type 0: [1, 2].
    model = CkgEncoder(num_ids=4, num_relations=2, dim=2, layers=1, activation="identity", residual=True, norm=2,
                       type_starts=[(1, 0), (3, 1)])  # fmt: skip
    model.entity_table.assign([[9, 9], [1, 0], [0, 2], [4, 0]])
    model.graph_layers[0].kernel.assign([np.eye(2), 10 * np.eye(2)])
    np.testing.assert_allclose(model.encode(tf.constant([2, 1], tf.int64), Path()), [[41, 2], [1, 2]])
    again = CkgEncoder.from_config(model.get_config())
    assert again.graph_layers[0].kernel.shape == (2, 2, 2)


def test_distances_of_both_corrupted_sides():
    # TransE alone. Chunk 0 corrupts tails: (1, 1, 2): [1, 0] + [1, 1] - [0, 2] = [2, -1], distance sqrt 5;
    # negative tail 3: [2, 1] - [4, 0] = [-2, 1], sqrt 5. Chunk 1 corrupts heads: (3, 0, 1): [3, 0], 3;
    # negative head 2 with t - r = [1, 0]: [0, 2] - [1, 0], sqrt 5.
    positive, negative = encoder(layers=0)(
        inputs([[1], [3]], [[1], [0]], [[2], [1]], [[3], [2]], [True, False]), graph=Path()
    )
    np.testing.assert_allclose(positive, [[5**0.5], [3]], atol=1e-4)
    np.testing.assert_allclose(negative, [[[5**0.5]], [[5**0.5]]], atol=1e-4)


def test_gradients_are_rows_and_finite():
    model = encoder(layers=1, activation="sigmoid")
    with tf.GradientTape() as tape:
        positive, negative = model(inputs([[1, 1]], [[1, 1]], [[2, 3]], [[3, 1]], [True]), graph=Path())
        total = tf.reduce_sum(positive) - tf.reduce_sum(negative)
    gradient = tape.gradient(total, model.entity_table)
    assert isinstance(gradient, tf.IndexedSlices)
    assert len(set(gradient.indices.numpy())) == len(gradient.indices)
    assert np.all(np.isfinite(gradient.values))


def test_squared_distances():
    batch = inputs([[1], [3]], [[1], [0]], [[2], [1]], [[3], [2]], [True, False])
    positive, negative = encoder(layers=0, squared=True)(batch, graph=Path())
    np.testing.assert_allclose(positive, [[5], [9]], atol=1e-5)
    np.testing.assert_allclose(negative, [[[5]], [[5]]], atol=1e-5)


def test_reciprocal_relations_ask_for_heads():
    # Relations 0 and 1 forwards, 2 and 3 backwards: the head of (?, 0, 1) is looked for at [1, 0] + [-3, 1] = [-2, 1].
    model = encoder(layers=0, reciprocal=True, relations=[[0, 0], [1, 1], [-3, 1], [5, 5]])
    given, relation = tf.constant([[1.0, 0.0], [1.0, 0.0]]), tf.constant([0, 1], tf.int64)
    got = model.queries(given, relation, tf.constant([False, True]))
    np.testing.assert_allclose(got, [[-2, 1], [2, 1]])


def test_relations_scale_before_they_move():
    model = encoder(layers=0, reciprocal=True, relation_scale=True, relations=[[0, 0], [1, 1], [-3, 1], [5, 5]])
    model.scale_table.assign([[1, 1], [2, -1], [3, 0.5], [1, 1]])
    # (4, 2) asked for the tail of relation 1: [8, -2] + [1, 1]; for the head of relation 0: [12, 1] + [-3, 1].
    given, relation = tf.constant([[4.0, 2.0], [4.0, 2.0]]), tf.constant([1, 0], tf.int64)
    got = model.queries(given, relation, tf.constant([True, False]))
    np.testing.assert_allclose(got, [[9, -1], [9, 2]])


def test_a_negative_that_is_the_answer_pulls_at_nothing():
    positive, negative = encoder(layers=0)(inputs([[1]], [[1]], [[2]], [[2, 3]], [True]), graph=Path())
    assert np.all(np.isfinite(positive))
    np.testing.assert_allclose(negative, [[[1e9, 5**0.5]]], rtol=1e-5)


def test_rows_are_cut_to_the_largest_norm():
    # [1, 0] stays, [0, 2] and [4, 0] are cut to 1.5.
    got = encoder(layers=0, max_norm=1.5).encode(tf.constant([1, 2, 3], tf.int64), Path())
    np.testing.assert_allclose(got, [[1, 0], [0, 1.5], [1.5, 0]], atol=1e-6)


def test_penalties_are_means_over_entities():
    # Of [1, 0], [0, 2] and [4, 0]: mean L1 7 / 3, mean squared L2 21 / 3.
    model = encoder(layers=0, l1=0.3, l2=0.1)
    model(inputs([[1]], [[1]], [[2]], [[3]], [True]), graph=Path())
    assert float(tf.add_n(model.losses)) == pytest.approx(0.3 * 7 / 3 + 0.1 * 7)
    plain = encoder(layers=0)
    plain(inputs([[1]], [[1]], [[2]], [[3]], [True]), graph=Path())
    assert not plain.losses


def test_dropout_is_of_training_alone():
    model, batch = encoder(layers=0, dropout=0.5), inputs([[1]], [[1]], [[2]], [[3]], [True])
    assert float(model(batch, graph=Path())[0]) == pytest.approx(5**0.5, abs=1e-4)
    found = {float(model(batch, graph=Path(), training=True)[0]) for _ in range(20)}
    assert len(found) > 1


@pytest.mark.parametrize("changes", [{"layers": 0}, {"reciprocal": True, "relations": np.zeros((4, 2))}])
def test_config_round_trip(changes):
    model = encoder(**changes)
    again = CkgEncoder.from_config(model.get_config())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]
