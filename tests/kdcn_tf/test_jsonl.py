"""Lines of files that are cut off, corrupt or empty."""

import gzip

import pytest

from kdcn_tf import jsonl
from kdcn_tf.errors import DataError

ROWS = b'{"a": 1}\n{"a": 2}\n'


def test_rows_of_plain_and_gzip_files(tmp_path):
    for name, data in [("a", ROWS), ("b", b"\xef\xbb\xbf" + ROWS), ("c.gz", gzip.compress(ROWS))]:
        (tmp_path / name).write_bytes(data)
        assert list(jsonl.json_rows(str(tmp_path / name))) == [(1, {"a": 1}), (2, {"a": 2})]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a", b"", ": the file is empty"),
        ("a", ROWS + b"{", ":3: malformed JSON"),
        ("a", ROWS + b"[]", ":3: not a JSON object"),
        ("a", ROWS + b"\xff", ": not UTF-8, after line 0"),
        ("a.gz", gzip.compress(ROWS)[:-3], ": can't be read, after line "),
        ("a.gz", gzip.compress(ROWS)[:10] + b"\xff" * 30, ": can't be read, after line 0: Error -3"),
        ("a.gz", ROWS, ": can't be read, after line 0: Not a gzipped file"),
    ],
    ids=["empty", "cut", "a list", "not UTF-8", "cut gzip", "broken gzip", "no gzip"],
)
def test_errors_name_file_and_line(tmp_path, name, data, message):
    path = str(tmp_path / name)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as error:
        list(jsonl.json_rows(path))
    assert str(error.value).startswith(path + message)
