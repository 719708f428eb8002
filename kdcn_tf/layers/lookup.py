"""Rows of a table that may be sharded over parameter servers."""

import tensorflow as tf


def gather_rows(table: tf.Variable, ids: tf.Tensor, wire: tf.DType = tf.float32) -> tf.Tensor:
    """Rows of a plain or sharded table; the gradient is `IndexedSlices` per shard, with distinct ids if `ids` are.

    Args:
        table: float32 [rows, d], plain or sharded.
        ids: int64 [n].
        wire: what rows of a sharded table are rounded to on their server, to travel as that; bfloat16 halves the
            bytes.

    Returns:
        float32 [n, d].
    """
    shards = getattr(table, "variables", [table])
    if len(shards) == 1:
        return tf.gather(shards[0], ids)
    if wire == tf.float32:
        return tf.nn.embedding_lookup(table, ids)
    starts = [0]
    for shard in shards[:-1]:
        starts.append(starts[-1] + int(shard.shape[0]))
    owner = tf.searchsorted(tf.constant(starts, ids.dtype), ids, side="right") - 1
    places = tf.dynamic_partition(tf.range(tf.size(ids)), owner, len(shards))
    rows = []
    for shard, start, place in zip(shards, starts, places, strict=True):
        local = tf.gather(ids, place) - start
        with tf.device(shard.device):
            rows.append(tf.cast(tf.gather(shard, local), wire))
    return tf.cast(tf.dynamic_stitch(places, rows), tf.float32)
