"""TensorFlow's errors in this system's words: what a real operation says, and of which kind it is."""

import pytest
import tensorflow as tf

from kdcn_tf.data.failures import check_rows, reason, translated
from kdcn_tf.errors import ConfigError, DataError, TryAgainError, UnavailableError


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (tf.errors.DataLossError, DataError), (tf.errors.NotFoundError, DataError), (tf.errors.UnknownError, DataError),
        (tf.errors.ResourceExhaustedError, TryAgainError), (tf.errors.PermissionDeniedError, ConfigError),
        (tf.errors.UnavailableError, UnavailableError), (tf.errors.AbortedError, UnavailableError),
    ],
)  # fmt: skip
def test_each_error_has_a_kind(error, kind):
    with pytest.raises(kind, match=r"^a file: broken$"), translated("a file"):
        raise error(None, None, "broken\n\t [[{{node Read}}]] [Op:Read]")


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function])
def test_one_line_of_a_message_tells_the_reason(tmp_path, wrap):
    """In a graph, the message begins with pages about where the node was made."""
    path = str(tmp_path / "a")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(b"abc")
    (tmp_path / "a").write_bytes((tmp_path / "a").read_bytes()[:-1])
    read = wrap(lambda: tf.data.TFRecordDataset(path).batch(9).get_single_element())
    with pytest.raises(DataError) as error, translated(path):
        read()
    assert str(error.value) == f"{path}: truncated record at 0' failed with Read less bytes than requested"


def test_a_record_that_is_no_example(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "a")) as writer:
        writer.write(b"\xff\xff")
    with pytest.raises(DataError, match=r"^a: Could not parse example input, value: '\\xff\\xff'"), translated("a"):
        tf.io.parse_example(
            tf.data.TFRecordDataset(str(tmp_path / "a")).batch(9).get_single_element(),
            {"x": tf.io.RaggedFeature(tf.int64)},
        )


def test_messages_of_several_errors():
    text = (
        "Graph execution error:\n\n2 root error(s) found.\n  (0) INVALID_ARGUMENT:  no label\n\t [[{{node a}}]]\n  (1)"
    )
    assert reason(text) == "no label"
    assert reason("[[{{node a}}]]") == "[[{{node a}}]]"  # nothing is left: as it came


def test_a_call_that_got_lost_is_no_bad_file():
    text = (
        "2 root error(s) found.\n  (0) INTERNAL: {{function_node a}} Unable to parse request\nAdditional GRPC error "
        "information from remote target /job:worker/task:0 while calling /tensorflow.eager.EagerService/Run:\n"
    )
    with pytest.raises(TryAgainError, match=r"^a file: Unable to parse request$"), translated("a file"):
        raise tf.errors.InternalError(None, None, text)
    with pytest.raises(DataError), translated("a file"):
        raise tf.errors.InternalError(None, None, "broken")


def test_rows():
    check_rows("a", 3.0, 3)
    with pytest.raises(DataError, match=r"^a: 2 rows, but the manifest says 3$"):
        check_rows("a", 2.0, 3)
