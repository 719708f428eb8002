"""Dense statistics as the network sees them."""

from collections.abc import Sequence

import tensorflow as tf


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class DenseTransform(tf.keras.layers.Layer):
    r"""Squashes and standardises raw statistics (prices, sales), which span orders of magnitude.

    $$ \frac{\mathrm{sign}(x) \log(1 + |x|) - \mu}{\sigma} $$

    A missing (NaN) or infinite value, and a statistic that never varies (sigma = 0), become 0, the mean.
    The moments are constants of the layer, so that they travel inside the SavedModel.

    Args:
        mean: mu of each of the D statistics, over the training period.
        std: sigma.

    Input shape:
        [B, D], raw.

    Output shape:
        [B, D], finite.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], **kwargs):
        super().__init__(**kwargs)
        if len(mean) != len(std):
            raise ValueError(f"{len(mean)} means, but {len(std)} standard deviations")
        self.mean, self.std = [float(m) for m in mean], [float(s) for s in std]

    def build(self, input_shape):
        if int(input_shape[-1]) != len(self.mean):
            raise ValueError(f"{input_shape[-1]} statistics, but moments of {len(self.mean)}")
        super().build(input_shape)

    def call(self, inputs):
        known = tf.math.is_finite(inputs)
        values = tf.where(known, inputs, 0.0)
        squashed = tf.sign(values) * tf.math.log1p(tf.abs(values))
        mean, std = tf.constant(self.mean, tf.float32), tf.constant(self.std, tf.float32)
        return tf.where(known, tf.math.divide_no_nan(squashed - mean, std), 0.0)

    def get_config(self):
        return {**super().get_config(), "mean": list(self.mean), "std": list(self.std)}
