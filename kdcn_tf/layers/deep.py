"""Deep layers, equation 11, and the head that runs them beside cross layers, equations 10 to 12."""

from collections.abc import Sequence

import tensorflow as tf

from kdcn_tf.layers.cross import LOW_RANK, make_crosses


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class Deep(tf.keras.layers.Layer):
    r"""Dense layers with ReLU and dropout.

    $$ h^{(l+1)} = \max(0, W_l h^{(l)} + b_l) $$ (equation 11)

    Args:
        units: sizes of the layers; none returns the input.
        dropout: share of each layer's outputs zeroed in training.

    Input shape:
        [B, n].

    Output shape:
        [B, size of the last layer].
    """

    def __init__(self, units: Sequence[int], dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.units, self._rate = list(units), dropout
        self.layers = [tf.keras.layers.Dense(size, "relu", name=f"deep_{i}") for i, size in enumerate(self.units)]
        self.dropout = tf.keras.layers.Dropout(dropout)

    def build(self, input_shape):
        width = int(input_shape[-1])
        for layer in self.layers:
            layer.build([None, width])
            width = layer.units
        self.output_size = width
        super().build(input_shape)

    def call(self, inputs, training=None):
        for layer in self.layers:
            inputs = self.dropout(layer(inputs), training=training)
        return inputs

    def get_config(self):
        return {**super().get_config(), "units": list(self.units), "dropout": self._rate}


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class DeepCross(tf.keras.layers.Layer):
    r"""Cross layers and deep layers on the same features, in parallel, then one logit (DCN, Wang et al., 2017).

    $$ z = w^T [x^{(L)}, h^{(L')}] + b $$ (equation 12)

    Args:
        cross: kind of the cross layers, as in `make_crosses`.
        cross_layers: their number; none passes the features on.
        cross_rank: of "low_rank" ones.
        deep_units: sizes of the deep layers.
        dropout: after each deep layer, in training.

    Input shape:
        [B, n], the features f.

    Output shape:
        Logits [B].
    """

    def __init__(
        self,
        cross: str = LOW_RANK,
        cross_layers: int = 4,
        cross_rank: int = 64,
        deep_units: Sequence[int] = (128, 64),
        dropout: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._cross, self._cross_rank = cross, cross_rank
        self.crosses = make_crosses(cross, cross_layers, cross_rank)
        self.deep = Deep(deep_units, dropout, name="deep")
        self.logit = tf.keras.layers.Dense(1, name="logit")

    def build(self, input_shape):
        width = int(input_shape[-1])
        self.crosses.build([None, width])
        self.deep.build([None, width])
        self.logit.build([None, width + self.deep.output_size])
        super().build(input_shape)

    def call(self, inputs, training=None):
        both = [self.crosses(inputs), self.deep(inputs, training=training)]
        return tf.squeeze(self.logit(tf.concat(both, axis=1)), axis=1)

    def get_config(self):
        deep = self.deep.get_config()
        own = {"cross": self._cross, "cross_layers": self.crosses.count, "cross_rank": self._cross_rank}
        return {**super().get_config(), **own, "deep_units": deep["units"], "dropout": deep["dropout"]}
