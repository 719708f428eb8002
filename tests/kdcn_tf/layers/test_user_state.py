import numpy as np
import tensorflow as tf

from kdcn_tf.layers.user_state import UserState


def state_of(layer, means, weights):
    means = tf.constant(means)
    layer.build(means.shape)
    layer.set_weights([np.array(weight) for weight in weights])
    return layer(means).numpy()


def test_equation_5():
    # b_1 = [2, 4], b_2 = [5, 1].
    # N = 1, filters [1, 1] and [1, -1], no bias: kind 1 gives 6 and -2, kind 2 gives 6 and 4.
    # N = 2, filter [1, 0] on b_1 and [-1, 2] on b_2, bias 3: 2 - 5 + 2 + 3 = 2; the other one -2 + 5 - 2 - 4 = -3.
    # ReLU makes 0 of negative ones; widths one after the other, inside them positions, inside them filters.
    narrow = [[[1.0, 1.0], [1.0, -1.0]]]  # [N, d, filters]
    wide = [[[1.0, -1.0], [0.0, 0.0]], [[-1.0, 1.0], [2.0, -2.0]]]
    got = state_of(UserState((1, 2), 2), [[[2.0, 4.0], [5.0, 1.0]]], [narrow, [0.0, 0.0], wide, [3.0, -4.0]])
    np.testing.assert_allclose(got, [[6.0, 0.0, 6.0, 4.0, 2.0, 0.0]])


def test_a_width_above_the_number_of_kinds_sees_empty_kinds():
    # One kind, N = 2: B = [b_1, 0]. Filter [1, 1] and [100, 100]: 2 + 4 + 0 = 6, at k = N a single position.
    layer = UserState((2,), 1)
    got = state_of(layer, [[[2.0, 4.0]]], [[[[1.0], [1.0]], [[100.0], [100.0]]], [0.0]])
    np.testing.assert_allclose(got, [[6.0]])
    assert layer.output_size == 1
