import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf.errors import DataError
from kdcn_tf.training.finite import first_bad, require_good, require_weights

NAN, INF = np.nan, np.inf
VARIABLES = [tf.Variable([[1.0], [2.0]], name="table"), tf.Variable([3.0], name="kernel")]


def rows(values):
    return tf.IndexedSlices(tf.constant(values), tf.constant([0]))


@pytest.mark.parametrize(
    ("loss", "gradients", "name"),
    [
        (1.0, [rows([[1.0]]), tf.constant([2.0])], ""),
        (NAN, [rows([[NAN]]), tf.constant([2.0])], "loss"),
        (1.0, [rows([[-INF]]), tf.constant([NAN])], "gradient of table"),
        (1.0, [rows([[1.0]]), tf.constant([INF])], "gradient of kernel"),
        (1.0, [None, tf.constant([1.0])], ""),
    ],
)
def test_the_first_bad_tensor_of_a_step(loss, gradients, name):
    bad = first_bad(tf.constant(loss), VARIABLES, gradients)
    assert bad.numpy().decode() == name
    if name:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"step 4: {name} is not finite"):
            require_good(bad, tf.constant(4))
    else:
        require_good(bad, tf.constant(4))


def test_bad_weights_are_named():
    require_weights(VARIABLES, "run")
    with pytest.raises(DataError, match=r"^run: not saved: weights of kernel aren't finite$"):
        require_weights([VARIABLES[0], tf.Variable([0.0, NAN], name="kernel")], "run")
