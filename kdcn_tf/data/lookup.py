"""Rows of a table that may be sharded over parameter servers."""

from collections.abc import Callable, Sequence

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
    shards = _shards_of(table)
    if len(shards) == 1:
        return tf.gather(shards[0], ids)
    found = _gather(shards, ids, lambda number, places: tf.cast(tf.gather(shards[number], places), wire))
    return tf.cast(found, tf.float32)


def gather_beside(
    table: tf.Variable, column: tf.Variable, ids: tf.Tensor, wire: tf.DType = tf.float32
) -> tuple[tf.Tensor, tf.Tensor]:
    """`gather_rows` of a table, and exact numbers of a column beside it: one transfer for both where they are sharded.

    Args:
        table: float32 [rows, d], plain or sharded.
        column: float32 [rows, 1], plain or sharded, that has no gradient.
        ids: int64 [n].
        wire: of the table's rows; the column's numbers are never rounded.

    Returns:
        float32 [n, d] and float32 [n].
    """
    shards, columns = _shards_of(table), _shards_of(column)
    if len(shards) == 1 or len(shards) != len(columns):
        return gather_rows(table, ids, wire), gather_rows(column, ids)[:, 0]
    width = tf.float32.size // wire.size

    def both(number: int, places: tf.Tensor) -> tf.Tensor:
        # A number travels as the bits of as many of the wire's as it is long.
        exact = tf.bitcast(tf.gather(columns[number], places), wire)
        rows = tf.cast(tf.gather(shards[number], places), wire)
        return _side_by_side(rows, tf.reshape(exact, [-1, width]))

    rows, exact = tf.split(_gather(shards, ids, both), [table.shape[1], width], axis=1)
    return tf.cast(rows, tf.float32), tf.reshape(tf.stop_gradient(tf.bitcast(exact, tf.float32)), [-1])


@tf.custom_gradient
def _side_by_side(rows: tf.Tensor, exact: tf.Tensor) -> tuple:
    """A row of both in one; the gradient of `tf.concat` would fetch both once more, for their shapes."""
    return tf.concat([rows, exact], axis=1), lambda upstream: (upstream[:, : rows.shape[1]], None)


def _shards_of(table: tf.Variable) -> Sequence[tf.Variable]:
    """The shards of a table, or the table itself."""
    return getattr(table, "variables", [table])


def _gather(shards: Sequence[tf.Variable], ids: tf.Tensor, pull: Callable[[int, tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Rows [n, ...] in the order of ids; `pull` gets the number of a shard and places in it, on that shard's server."""
    starts = [0]
    for shard in shards[:-1]:
        starts.append(starts[-1] + int(shard.shape[0]))
    owner = tf.searchsorted(tf.constant(starts, ids.dtype), ids, side="right") - 1
    places = tf.dynamic_partition(tf.range(tf.size(ids)), owner, len(shards))
    rows = []
    for number, (start, place) in enumerate(zip(starts, places, strict=True)):
        local = tf.gather(ids, place) - start
        with tf.device(shards[number].device):
            rows.append(pull(number, local))
    return tf.dynamic_stitch(places, rows)
