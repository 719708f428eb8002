import numpy as np
import pytest
import tensorflow as tf
from support.ckg_data import write_blocks

from kdcn_tf import records
from kdcn_tf.data.triples import padded_batch, read_triples, shuffled
from pipelines.writing import tfrecord

TRIPLES = [(1, 0, 2), (2, 1, 3), (3, 0, 1), (4, 1, 4), (2, 0, 2)]


def test_reads_all_blocks_in_order(tmp_path):
    write_blocks(tmp_path / "f", TRIPLES, block_size=2)
    np.testing.assert_array_equal(read_triples(tf.constant(str(tmp_path / "f")), 5, 2), TRIPLES)


@pytest.mark.parametrize(
    ("num_ids", "num_relations", "what"), [(4, 2, "head"), (5, 1, "relation")], ids=["head", "relation"]
)
def test_an_id_out_of_range_names_the_file(tmp_path, num_ids, num_relations, what):
    write_blocks(tmp_path / "bad.tfrecord", TRIPLES)
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"(?s)bad\.tfrecord.*{what} id outside"):
        read_triples(tf.constant(str(tmp_path / "bad.tfrecord")), num_ids, num_relations)


def test_a_truncated_file_is_an_error(tmp_path):
    path = tmp_path / "cut.tfrecord"
    write_blocks(path, TRIPLES, block_size=1)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(tf.errors.DataLossError):
        read_triples(tf.constant(str(path)), 5, 2)


def test_a_corrupt_record_is_found_where_it_is(tmp_path):
    path = tmp_path / "bad.tfrecord"
    write_blocks(path, TRIPLES, block_size=1)
    data = bytearray(path.read_bytes())
    start = 2 * len(data) // 5  # five records of one size
    data[start + 20] ^= 1
    path.write_bytes(data)
    # 12 bytes of length and checksum stand before the data.
    with pytest.raises(tf.errors.DataLossError, match=rf"corrupted record at {start + 12}\b"):
        read_triples(tf.constant(str(path)), 5, 2)


@pytest.mark.parametrize("lengths", [[(2, 1, 1)], [(2, 1, 2), (1, 2, 1)]], ids=["total", "block"])
def test_lists_of_different_lengths_are_refused(tmp_path, lengths):
    """Also where a later block makes up for what one lacks: triples would mix."""
    blocks = [{k: [1] * n for k, n in zip(("head", "relation", "tail"), block, strict=True)} for block in lengths]
    (tmp_path / "f").write_bytes(tfrecord(map(records.encode, blocks)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="head, relation and tail differ in length"):
        read_triples(tf.constant(str(tmp_path / "f")), 5, 2)


def test_shuffle_is_a_permutation_that_the_seed_decides():
    triples = tf.reshape(tf.range(300, dtype=tf.int64), [100, 3])
    first, again, other = (shuffled(triples, tf.constant(seed)).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(np.sort(first[:, 0]), triples[:, 0])


def test_last_batch_is_filled_with_weight_zero():
    triples = tf.constant(TRIPLES, tf.int64)
    batch, weights = padded_batch(triples, tf.constant(4), 3)
    np.testing.assert_array_equal(batch, [TRIPLES[4]] * 3)
    np.testing.assert_array_equal(weights, [1.0, 0.0, 0.0])
