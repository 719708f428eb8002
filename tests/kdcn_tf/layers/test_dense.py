import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.layers.dense import DenseTransform

E = float(np.e)


def test_squashed_and_standardised():
    # sign(x) ln(1 + |x|): e - 1 gives 1, 1 - e gives -1, 0 gives 0, e^3 - 1 gives 3.
    # mu = 2, sigma = 4: (1 - 2) / 4 = -0.25, (-1 - 2) / 4 = -0.75, (0 - 2) / 4 = -0.5, (3 - 2) / 4 = 0.25.
    got = DenseTransform([2.0], [4.0])(tf.constant([[E - 1], [1 - E], [0.0], [E**3 - 1]]))
    np.testing.assert_allclose(got, [[-0.25], [-0.75], [-0.5], [0.25]], rtol=1e-5)


def test_what_is_not_known_is_the_mean():
    # Standardised, the mean is 0. A known value beside a missing one stays: (1 - 2) / 4 = -0.25.
    nan, inf = float("nan"), float("inf")
    got = DenseTransform([2.0, 2.0], [4.0, 4.0])(tf.constant([[nan, E - 1], [inf, E - 1], [-inf, E - 1]]))
    np.testing.assert_allclose(got, [[0.0, -0.25]] * 3, rtol=1e-5)


def test_a_statistic_that_never_varies_is_zero():
    # sigma = 0, also for a value that differs from the training period's.
    np.testing.assert_array_equal(DenseTransform([1.0], [0.0])(tf.constant([[E - 1], [50.0]])), [[0.0], [0.0]])


def test_sizes_have_to_agree():
    with pytest.raises(ValueError, match="2 means, but 1 standard deviations"):
        DenseTransform([0.0, 0.0], [1.0])
    with pytest.raises(ValueError, match="3 statistics, but moments of 1"):
        DenseTransform([0.0], [1.0]).build([None, 3])
