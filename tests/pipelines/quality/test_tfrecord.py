"""Reading of TFRecord files; every damage has a name and a place."""

import pytest

from kdcn_tf.errors import DataError
from pipelines import writing
from pipelines.quality import tfrecord

PAYLOADS = [b"", b"abc", b"x" * 3_000_000]
DATA = writing.tfrecord(PAYLOADS)


def test_what_was_written_is_read(tmp_path):
    (tmp_path / "f").write_bytes(DATA)
    assert list(tfrecord.read(str(tmp_path / "f"))) == [(0, b""), (16, b"abc"), (35, PAYLOADS[2])]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (DATA[:20], "ends inside the record at byte 16"),
        (DATA[:33], "ends inside the record at byte 16"),
        (DATA[:-1], "ends inside the record at byte 35"),
        (DATA[:17] + b"\x01" + DATA[18:], "record at byte 16 is corrupt (checksum of its length)"),
        (DATA[:29] + b"X" + DATA[30:], "record at byte 16 is corrupt (checksum of its content)"),
        (DATA[:13] + b"X" + DATA[14:], "record at byte 0 is corrupt (checksum of its content)"),
        (b"no TFRecord at all", "record at byte 0 is corrupt"),
    ],
)
def test_damage(tmp_path, data, told):
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(DataError, match="f: ") as caught:
        list(tfrecord.read(str(tmp_path / "f")))
    assert told in str(caught.value)


def test_no_example(tmp_path):
    (tmp_path / "f").write_bytes(writing.tfrecord([b"\xff\xff"]))
    with pytest.raises(DataError, match="record at byte 0 is no Example"):
        list(tfrecord.features(str(tmp_path / "f")))
