import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf import losses

POSITIVE = tf.constant([[1.0, 3.0]])
NEGATIVE = tf.constant([[[1.5, 4.0], [2.0, 3.5]]])


def test_equation_3():
    # margin 1. First positive: [1 + 1 - 1.5]+ = 0.5 and [1 + 1 - 4]+ = 0, mean 0.25.
    # Second: [3 + 1 - 2]+ = 2 and [3 + 1 - 3.5]+ = 0.5, mean 1.25.
    np.testing.assert_allclose(losses.margin_loss(POSITIVE, NEGATIVE, margin=1.0), [[0.25, 1.25]])


def test_logistic_loss():
    # margin 2, first positive: softplus(1 - 2) = ln(1 + e^-1) = 0.3133;
    # negatives: softplus(2 - 1.5) = 0.9741, softplus(2 - 4) = 0.1269, mean 0.5505. Sum 0.8638.
    assert float(losses.logistic_loss(POSITIVE, NEGATIVE, margin=2.0)[0, 0]) == pytest.approx(0.8638, abs=1e-4)


def test_self_adversarial_weights_prefer_near_negatives():
    # temperature 1, distances 1.5 and 4: softmax(-1.5, -4) = 0.9241, 0.0759.
    # 0.3133 + 0.9241 * 0.9741 + 0.0759 * 0.1269 = 1.2231.
    got = losses.self_adversarial_loss(POSITIVE, NEGATIVE, margin=2.0, temperature=1.0)
    assert float(got[0, 0]) == pytest.approx(1.2231, abs=1e-4)


def test_softmax_loss():
    # First positive, margin 0: scores -1, -1.5, -4: ln(1 + e^-0.5 + e^-3) = 0.5046. With margin 1 negatives
    # count e times as much: ln(1 + e^0.5 + e^-2) = 1.0239.
    assert float(losses.softmax_loss(POSITIVE, NEGATIVE, margin=0.0)[0, 0]) == pytest.approx(0.5046, abs=1e-4)
    assert float(losses.softmax_loss(POSITIVE, NEGATIVE, margin=1.0)[0, 0]) == pytest.approx(1.0239, abs=1e-4)


def test_equation_13():
    # p = sigmoid(0) = 0.5 and sigmoid(ln 3) = 0.75; y = 1, 0: -(ln 0.5 + ln 0.25) / 2 = (0.6931 + 1.3863) / 2.
    got = losses.log_loss(tf.constant([1.0, 0.0]), tf.constant([0.0, np.log(3.0)], tf.float32))
    assert float(got) == pytest.approx(1.0397, abs=1e-4)


def test_weighted_log_loss():
    # As above with weights 3 and 1: (3 * 0.6931 + 1.3863) / 4 = 0.8664.
    logits = tf.constant([0.0, np.log(3.0)], tf.float32)
    got = losses.log_loss(tf.constant([1.0, 0.0]), logits, tf.constant([3.0, 1.0]))
    assert float(got) == pytest.approx(0.8664, abs=1e-4)


def test_violations():
    # Of distances 1.5 and 4 against 1 + 1, one violates; of 2 and 3.5 against 3 + 1, both.
    np.testing.assert_allclose(losses.violations("margin", margin=1.0)(POSITIVE, NEGATIVE), [[0.5, 1.0]])
    # Below a margin of 1.75 lies 1.5 alone.
    np.testing.assert_allclose(losses.violations("logistic", margin=1.75)(POSITIVE, NEGATIVE), [[0.5, 0.0]])
    # Nearer than the positive: none of the first's, one of the second's.
    np.testing.assert_allclose(losses.violations("softmax", margin=9.0)(POSITIVE, NEGATIVE), [[0.0, 0.5]])
