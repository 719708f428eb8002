"""Triples from block files, as tensors, inside a `tf.function` on whichever worker runs it.

A file is bounded in size (`ckg.triples_per_file`), so it is read whole: one pass over it costs no
per-batch call into tf.data, and the shuffle inside it is exact.
"""

import tensorflow as tf

from kdcn_tf import records
from kdcn_tf.config import RECORDS_PER_FILE


def read_triples(file: tf.Tensor, num_ids: int, num_relations: int) -> tf.Tensor:
    """All triples of one file.

    Args:
        file: path, a string scalar.
        num_ids: entity ids must lie in [1, num_ids).
        num_relations: relation ids must lie in [0, num_relations).

    Returns:
        int64 [n, 3], columns head, relation, tail.

    Raises:
        tf.errors.DataLossError: the file is truncated or corrupt; the message names the byte offset of the record.
        tf.errors.InvalidArgumentError: an id is out of range, or a block's lists differ in length; the message
            names the file.
    """
    spec = {
        key: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64)
        for key in (records.HEAD, records.RELATION, records.TAIL)
    }
    blocks = tf.data.TFRecordDataset(file).batch(RECORDS_PER_FILE).get_single_element()
    parsed = tf.io.parse_example(blocks, spec)
    columns = [parsed[key] for key in (records.HEAD, records.RELATION, records.TAIL)]
    head, relation, tail = (column.flat_values for column in columns)
    ends = tf.stack([column.row_splits for column in columns])
    checks = [
        tf.debugging.Assert(tf.reduce_all(ends == ends[:1]), [file, "head, relation and tail differ in length"]),
        _in_range(head, 1, num_ids, file, "head"),
        _in_range(tail, 1, num_ids, file, "tail"),
        _in_range(relation, 0, num_relations, file, "relation"),
    ]
    with tf.control_dependencies(checks):
        return tf.stack([head, relation, tail], axis=1)


def _in_range(ids: tf.Tensor, low: int, high: int, file: tf.Tensor, what: str) -> tf.Operation:
    good = (ids >= low) & (ids < high)
    bad = tf.boolean_mask(ids, ~good)
    return tf.debugging.Assert(tf.reduce_all(good), [file, f"{what} id outside [{low}, {high}):", bad], summarize=3)


def shuffled(triples: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Rows in an order that `seed` (int [2]) decides."""
    order = tf.argsort(tf.random.stateless_uniform(tf.shape(triples)[:1], seed))
    return tf.gather(triples, order)


def padded_batch(triples: tf.Tensor, start: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows [start, start + size), the last batch filled up with its first row at weight 0.

    Returns:
        int64 [size, 3] and float [size], 1 for real rows.
    """
    rows = triples[start : start + size]
    real = tf.shape(rows)[0]
    filler = tf.repeat(rows[:1], size - real, axis=0)
    weights = tf.cast(tf.range(size) < real, tf.float32)
    return tf.ensure_shape(tf.concat([rows, filler], axis=0), [size, 3]), weights
