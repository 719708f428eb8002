"""Reading of files, by content and not by name."""

import gzip
import json
from datetime import datetime, timezone

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from apache_beam.testing.util import assert_that, equal_to

from kdcn_tf.config import LogsConfig
from kdcn_tf.errors import DataError
from pipelines import logs, reading
from pipelines.counting import COUNTS, DEAD, GOOD

LINES = b'{"user_id": "u1"}\nnonsense\n\n{"user_id": "u2", "tags": ["a"], "age": 3}'


def test_plain_and_gzip_lines_have_numbers(tmp_path):
    (tmp_path / "plain").write_bytes(b"a\r\nb\n\nc")
    (tmp_path / "zipped").write_bytes(gzip.compress(b"\xef\xbb\xbfa\nb\n\nc\n"))  # a byte order mark is no content
    expected = [(1, b"a"), (2, b"b"), (3, b""), (4, b"c")]
    assert list(reading.read_lines(str(tmp_path / "plain"))) == expected
    assert list(reading.read_lines(str(tmp_path / "zipped"))) == expected


def test_parquet_rows_parse_like_lines(tmp_path):
    path = str(tmp_path / "items")
    rows = [
        {
            "session_id": "q", "user_id": "u", "timestamp": datetime(1970, 1, 1, 0, 1, tzinfo=timezone.utc),
            "keywords": ["shoe"], "intention": None,
        }
    ]  # fmt: skip
    parquet.write_table(pa.Table.from_pylist(rows), path)
    ((number, row),) = reading.read_lines(path)
    record, unknown = logs.parse("sessions", row, LogsConfig())
    assert (number, unknown) == (1, 0)
    assert record == logs.Session("q", "u", 60.0, None, None, ("shoe",))


def test_parquet_maps(tmp_path):
    path = str(tmp_path / "items.parquet")
    kind = pa.schema([
        ("item_id", pa.int64()), ("title", pa.string()), ("category", pa.list_(pa.string())),
        ("stats", pa.map_(pa.string(), pa.float32())),
    ])  # fmt: skip
    rows = [{"item_id": 3, "title": "shoe", "category": ["c"], "stats": [("price", 1.5)]}]
    parquet.write_table(pa.Table.from_pylist(rows, kind), path)
    ((_, row),) = reading.read_lines(path)
    item, _ = logs.parse("items", row, LogsConfig())
    assert (item.item_id, item.stats) == ("3", (("price", 1.5),))


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint64(), pa.float64()])
def test_a_parquet_column_of_positions_may_have_gaps(tmp_path, kind):
    shown = {"session_id": ["q"] * 3, "user_id": ["u"] * 3, "timestamp": [1] * 3, "query": ["shoe"] * 3}
    shown |= {"item_id": ["i"] * 3, "label": [0] * 3, "position": pa.array([3, None, 0], kind)}
    parquet.write_table(pa.table(shown), str(tmp_path / "f"))
    found = [logs.parse("impressions", row, LogsConfig())[0] for _, row in reading.read_lines(str(tmp_path / "f"))]
    assert [impression.position for impression in found] == [3, -1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b""), "the file is empty"),
        (gzip.compress(b"x" * 9999)[:-9], "broken after line 0"),
        (b"PAR1 and no more", "broken after line 0"),
    ],
    ids=["empty", "empty gzip", "cut gzip", "cut Parquet"],
)
def test_a_broken_file_is_an_error_that_names_it(tmp_path, content, message):
    path = tmp_path / "logs"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{path}: {message}"):
        list(reading.read_lines(str(path)))


def test_bad_lines_become_dead_letters_and_all_are_counted(tmp_path):
    path = str(tmp_path / "users")
    (tmp_path / "users").write_bytes(LINES)
    with beam.Pipeline("FnApiRunner") as pipeline:
        read = pipeline | reading.ReadFiles((path,), reading.ParseRecords("users", LogsConfig()))
        expected = [(logs.User("u1", ()), path, 1), (logs.User("u2", ("a",)), path, 4)]
        assert_that(read[GOOD], equal_to(expected), "good")
        assert_that(read[DEAD], equal_to([("users", path, 2, "", "malformed JSON", "parse", None)]), "dead")
        counts = [("read.users", 4), ("filtered.users.blank_line", 1), ("unknown_fields.users", 1)]
        assert_that(read[COUNTS], equal_to(counts), "counts")


def test_dead_letters_say_where_and_why():
    from pipelines.dead_letters import DeadLetter

    body = json.loads(DeadLetter("users", "f", 2, "tags", "is empty", "parse").to_json())
    assert body == {"file": "f", "line": 2, "field": "tags", "reason": "is empty", "stage": "parse"}
