import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.layers.dialogue import DialogueInteraction, masked_softmax

LN3 = np.log(3.0)


def interaction_of(layer, vectors, mask, weights):
    vectors, mask = tf.constant(vectors, tf.float32), tf.constant(mask, tf.float32)
    layer.build([vectors.shape, mask.shape])
    layer.set_weights([np.array(weight) for weight in weights])  # each as M transposed: row vectors times it
    return layer((vectors, mask)).numpy()


def test_equations_6_to_8_with_two_heads():
    # w_1 = [1, 0], w_2 = [0, 1], a third place of padding. M_a w_i = w_i; M_b w_1 = [0, ln 3], M_b w_2 = [ln 3, 0];
    # W_v w_1 = [4, 8], W_v w_2 = [0, 16]. Head 1 works on the first numbers, head 2 on the second ones.
    # Equation 6: head 1, i = 1: exp(1 * 0) = 1 and exp(1 * ln 3) = 3, so 1/4 and 3/4; i = 2: exp(0), so 1/2 and 1/2.
    #             head 2, i = 1: 1/2 and 1/2; i = 2: exp(1 * ln 3) = 3 and exp(1 * 0) = 1, so 3/4 and 1/4.
    # Equation 7: w~_1 = [4/4 + 0, 8/2 + 16/2] = [1, 12]; w~_2 = [4/2 + 0, 8 * 3/4 + 16/4] = [2, 10].
    # Equation 8: one after the other; the padding's own place is zeros.
    weights = [np.eye(2), [[0.0, LN3], [LN3, 0.0]], [[4.0, 8.0], [0.0, 16.0]]]
    got = interaction_of(DialogueInteraction(2), [[[1, 0], [0, 1], [9, 9]]], [[1, 1, 0]], weights)
    np.testing.assert_allclose(got, [[1.0, 12.0, 2.0, 10.0, 0.0, 0.0]], rtol=1e-5)


def test_lists_are_averaged():
    # The same three places, the first a query and the other two a title: w~_1, and the mean of w~_2 alone.
    weights = [np.eye(2), [[0.0, LN3], [LN3, 0.0]], [[4.0, 8.0], [0.0, 16.0]]]
    layer = DialogueInteraction(2, lists=(1, 2))
    got = interaction_of(layer, [[[1, 0], [0, 1], [9, 9]]] * 2, [[1, 1, 0], [1, 0, 0]], weights)
    # Without any title w_1 attends to itself alone: [4, 8], and of nothing the mean is zeros.
    np.testing.assert_allclose(got, [[1.0, 12.0, 2.0, 10.0], [4.0, 8.0, 0.0, 0.0]], rtol=1e-5)
    assert layer.output_size == 4


def test_lists_that_are_not_all_places():
    with pytest.raises(ValueError, match=r"lists: \[1, 1\] don't make up 3 places"):
        DialogueInteraction(2, lists=(1, 1)).build([(None, 3, 2), (None, 3)])


def test_the_weights_are_those_that_the_output_was_made_with():
    # Those of equation 6 above, per head; padding is never attended to.
    layer = DialogueInteraction(2)
    weights = [np.eye(2), [[0.0, LN3], [LN3, 0.0]], [[4.0, 8.0], [0.0, 16.0]]]
    output = interaction_of(layer, [[[1, 0], [0, 1], [9, 9]]], [[1, 1, 0]], weights)
    inputs = tf.constant([[[1.0, 0], [0, 1], [9, 9]]]), tf.constant([[1.0, 1, 0]])
    same, attention = layer.attend(inputs)
    np.testing.assert_allclose(attention[0, 0, :2], [[0.25, 0.75, 0], [0.5, 0.5, 0]], rtol=1e-5)
    np.testing.assert_allclose(attention[0, 1, :2], [[0.5, 0.5, 0], [0.75, 0.25, 0]], rtol=1e-5)
    np.testing.assert_array_equal(same, output)


@pytest.mark.parametrize("lists", [None, (1, 2)], ids=["side by side", "means"])
def test_without_any_keyword_output_and_weights_are_zeros(lists):
    layer = DialogueInteraction(2, lists=lists)
    interaction_of(layer, [[[1, 0], [0, 1], [9, 9]]], [[1, 1, 0]], [np.eye(2), np.eye(2), np.eye(2)])
    output, attention = layer.attend((tf.constant([[[1.0, 0], [0, 1], [9, 9]]]), tf.zeros([1, 3])))
    np.testing.assert_array_equal(output, np.zeros([1, layer.output_size]))
    np.testing.assert_array_equal(attention, np.zeros([1, 2, 3, 3]))


def test_vectors_in_several_places_are_projected_once_with_the_same_result_and_gradients():
    rng = np.random.default_rng(0)
    distinct = tf.Variable(rng.normal(size=[5, 4]), dtype=tf.float32)
    places = tf.constant(rng.integers(0, 5, [3, 6]), tf.int32)
    mask = tf.constant([[1.0, 1, 0, 1, 1, 1], [0, 1, 1, 0, 0, 0], [0] * 6])
    layer = DialogueInteraction(2, scale=True, lists=(2, 4))
    layer.build([(None, 6, 4), (None, 6)])
    with tf.GradientTape(persistent=True) as tape:
        laid_out = layer((tf.gather(distinct, places), mask))
        placed, _ = layer.attend_placed(distinct, places, mask)
        sums = [tf.reduce_sum(tf.sin(output)) for output in (laid_out, placed)]
    np.testing.assert_allclose(placed, laid_out, rtol=1e-5)
    for weight in (distinct, *layer.trainable_weights):
        one, other = (tf.convert_to_tensor(tape.gradient(total, weight)) for total in sums)
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


def test_scale_divides_by_the_root_of_a_heads_size():
    # d = 4, one head: sqrt(4) = 2. Score of w_1 with itself 2 ln 3, scaled ln 3; with w_2 0: 3/4 and 1/4. W_v = I.
    weights = [np.eye(4), 2 * LN3 * np.eye(4), np.eye(4)]
    got = interaction_of(DialogueInteraction(1, scale=True), [np.eye(4)[:2]], [[1, 1]], weights)
    np.testing.assert_allclose(got, [[0.75, 0.25, 0.0, 0.0, 0.25, 0.75, 0.0, 0.0]], rtol=1e-5)


def test_softmax_ignores_what_is_masked_and_does_not_overflow():
    # Equal scores of 1000 share; a masked 5000 counts for nothing; without any place all are equal.
    scores = tf.constant([[1000.0, 1000.0, 5000.0], [1.0, 2.0, 3.0]])
    got = masked_softmax(scores, tf.constant([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(got, [[0.5, 0.5, 0.0], [1 / 3] * 3], rtol=1e-6)
