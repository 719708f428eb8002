"""Numbers that went wrong: training stops at the first one, says where, and saves none of it."""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from kdcn_tf.errors import DataError
from kdcn_tf.training.optimizers import Gradient


def first_bad(loss: tf.Tensor, variables: Sequence[tf.Variable], gradients: Sequence[Gradient]) -> tf.Tensor:
    """Name of the first tensor of a step that has a NaN or an infinity.

    Args:
        loss: of the step.
        variables: trained ones.
        gradients: of the loss by each of them.

    Returns:
        String scalar: "loss", "gradient of <variable>", or "" where all is well.
    """
    found = {"loss": loss}
    for variable, gradient in zip(variables, gradients, strict=True):
        if gradient is not None:
            values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
            found[f"gradient of {_name(variable)}"] = values
    # A sum is finite only if all of its terms are, and takes one pass.
    good = tf.stack([tf.math.is_finite(tf.reduce_sum(values)) for values in found.values()] + [False])
    return tf.gather([*found, ""], tf.argmin(tf.cast(good, tf.int32)))


def require_good(bad: tf.Tensor, step: tf.Tensor) -> None:
    """Stops a closure at a step whose `first_bad` isn't "".

    Raises:
        tf.errors.InvalidArgumentError: naming step and tensor.
    """
    where = tf.strings.join(["step ", tf.strings.as_string(step), ": ", bad, " is not finite"])
    tf.debugging.Assert(bad == "", [where])


def require_weights(variables: Iterable[tf.Variable], where: str) -> None:
    """Checks weights before they are saved, each part on its own server.

    Args:
        variables: plain ones, or the parts of sharded ones.
        where: named in the error.

    Raises:
        DataError: naming the first variable with a NaN or an infinity.
    """
    for variable in variables:
        with tf.device(variable.device):
            good = tf.math.is_finite(tf.reduce_sum(variable))
        if not bool(good):
            raise DataError(f"{where}: not saved: weights of {_name(variable)} aren't finite")


def _name(variable: tf.Variable) -> str:
    return variable.name.split(":")[0]
