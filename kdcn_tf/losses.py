"""Losses: of triples (equation 3 and its alternatives) and of clicks (equation 13)."""

from collections.abc import Callable

import tensorflow as tf

TripleLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Distances of positives [..., b] and of their negatives [..., b, N] -> loss of each positive [..., b]."""


def margin_loss(positive: tf.Tensor, negative: tf.Tensor, *, margin: float) -> tf.Tensor:
    r"""Equation 3, averaged over a positive's negatives (a sum would tie the learning rate to N).

    $$ [f(h, r, t) + \gamma - f(h', r, t')]_+ $$ The paper writes r', but only entities are replaced.
    """
    return tf.reduce_mean(tf.nn.relu(positive[..., None] + margin - negative), axis=-1)


def logistic_loss(positive: tf.Tensor, negative: tf.Tensor, *, margin: float) -> tf.Tensor:
    """Negative log likelihood of telling positives from negatives with the score margin - distance."""
    return tf.nn.softplus(positive - margin) + tf.reduce_mean(tf.nn.softplus(margin - negative), axis=-1)


def self_adversarial_loss(positive: tf.Tensor, negative: tf.Tensor, *, margin: float, temperature: float) -> tf.Tensor:
    """RotatE's loss (Sun et al., 2019, equation 5): negatives weighted by how plausible they look."""
    weights = tf.stop_gradient(tf.nn.softmax(-temperature * negative, axis=-1))
    return tf.nn.softplus(positive - margin) + tf.reduce_sum(weights * tf.nn.softplus(margin - negative), axis=-1)


def softmax_loss(positive: tf.Tensor, negative: tf.Tensor, *, margin: float) -> tf.Tensor:
    r"""Cross entropy of picking the positive out of itself and its negatives, by minus the distance.

    $$ f(h, r, t) + \log(e^{-f(h, r, t)} + \sum_{t'} e^{\gamma - f(h, r, t')}) $$

    With N of E entities drawn uniformly, a margin of log(E / N) makes it an estimate of the cross entropy over all
    entities (sampled softmax, Bengio and Senecal, 2003).
    """
    logits = tf.concat([-positive[..., None], margin - negative], axis=-1)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros(tf.shape(positive), tf.int32), logits)


def triple_loss(name: str, *, margin: float, temperature: float) -> TripleLoss:
    """The loss of that name in `pretrain.loss`."""
    losses: dict[str, TripleLoss] = {
        "margin": lambda p, n: margin_loss(p, n, margin=margin),
        "logistic": lambda p, n: logistic_loss(p, n, margin=margin),
        "softmax": lambda p, n: softmax_loss(p, n, margin=margin),
        "self_adversarial": lambda p, n: self_adversarial_loss(p, n, margin=margin, temperature=temperature),
    }
    return losses[name]


def violations(name: str, *, margin: float) -> TripleLoss:
    """The share of its negatives that each positive [..., b] has on the wrong side, for the loss of that name.

    For "margin" a negative is wrong if it is less than the margin farther than its positive, so that equation 3 still
    pulls at it. For "softmax" it is wrong if it is nearer than its positive. For the losses that judge each triple
    alone, it is wrong if its own distance is below the margin, so that it is taken for a true one (probability above
    one half).
    """
    if name == "margin":
        return lambda p, n: tf.reduce_mean(tf.cast(n < p[..., None] + margin, tf.float32), axis=-1)
    if name == "softmax":
        return lambda p, n: tf.reduce_mean(tf.cast(n < p[..., None], tf.float32), axis=-1)
    return lambda p, n: tf.reduce_mean(tf.cast(n < margin, tf.float32), axis=-1)


def log_loss(labels: tf.Tensor, logits: tf.Tensor, weights: tf.Tensor | None = None) -> tf.Tensor:
    """Equation 13: mean negative log likelihood of clicks, computed from logits.

    Args:
        labels: float [B], 0 or 1.
        logits: float [B].
        weights: float [B], or None for 1 each.

    Returns:
        Scalar; 0 where the weights sum to 0.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    if weights is None:
        return tf.reduce_mean(losses)
    return tf.math.divide_no_nan(tf.reduce_sum(weights * losses), tf.reduce_sum(weights))
