"""Input that is broken, strange or made to do harm: what is refused, with which words, and what is legal."""

import bz2
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from support.raw_logs import ITEMS, SESSIONS, USERS, ids_of, run, streams, write_lines, write_raw

from kdcn_tf import manifest
from kdcn_tf.config import LogsConfig
from kdcn_tf.errors import DataError
from pipelines import build_ckg, reading
from pipelines.columns import Chunk, parse_chunk, parse_extra_chunk
from pipelines.dead_letters import DeadLetter
from pipelines.parsing import chunks

CONFIG = LogsConfig()
ITEM, SESSION = ITEMS[0], SESSIONS[0]
BEHAVIOR = {"user_id": "u", "item_id": "i", "behavior": "click", "timestamp": 1.5}
ROWS = {"users": USERS[0], "items": ITEM, "sessions": SESSION, "behaviors": BEHAVIOR}
HUGE = "x" * 10_000_000


def text_of(row):
    return row if isinstance(row, bytes) else json.dumps(row).encode()


def parsed_file(path, stream):
    """Good records and dead letters of a whole file."""
    tables, dead = [], []
    for chunk in chunks.read_chunks(str(path)):
        parsed = parse_chunk(stream, chunk, CONFIG)
        tables.append(parsed.table)
        dead += parsed.dead
    return pa.concat_tables(tables).to_pylist(), [letter[2:5] for letter in dead]


@pytest.mark.parametrize(
    ("stream", "line", "field", "reason"),
    [
        ("users", b'{"user_id": "u"', "", "malformed JSON"),
        ("users", b'{"user_id": "u"}}', "", "malformed JSON"),
        ("users", b"{'user_id': 'u'}", "", "malformed JSON"),
        ("users", b'{"user_id": "u",}', "", "malformed JSON"),
        ("users", b"[" * 100_000, "", "malformed JSON"),
        ("users", b'"u"', "", "not a JSON object"),
        ("users", b'{"user_id": "\xff"}', "", "not UTF-8"),
        ("users", b'{"user_id": "\xed\xa0\x80"}', "", "not UTF-8"),
        ("users", b'{"user_id": "\xc0\xaf"}', "", "not UTF-8"),
        ("users", b"\xef\xbb\xbf" + text_of(USERS[0]), "", "malformed JSON"),
        ("users", json.dumps(USERS[0]).encode("utf-16"), "", "not UTF-8"),
        ("users", json.dumps(USERS[0]).encode("utf-16-le"), "", "malformed JSON"),
        ("users", b'{"user_id": "a\x00b"}', "", "malformed JSON"),
        ("users", b'{"user_id": "a\\u0000b"}', "user_id", "has a control character"),
        ("users", {"user_id": "a\u2028b"}, "user_id", "has a control character"),
        ("users", "{\"user_id\": \"a\u0085b\"}".encode(), "user_id", "has a control character"),
        ("users", {"user": "u"}, "user_id", "is missing"),
        ("users", {"user_id": True}, "user_id", "not a text"),
        ("users", {"user_id": 1.0}, "user_id", "not a text"),
        ("users", {"user_id": {"$oid": "1"}}, "user_id", "not a text"),
        ("users", {"user_id": "u", "tags": {"a": 1}}, "tags", "not a list of texts"),
        ("users", {"user_id": HUGE}, "user_id", "is longer than 1024 bytes"),
        ("users", b'{"user_id": ' + b"9" * 5000 + b"}", "", "malformed JSON"),
        ("items", ITEM | {"title": HUGE}, "title", "is longer than 1024 bytes"),
        ("items", ITEM | {"keywords": [HUGE]}, "keywords", "is longer than 1024 bytes"),
        ("items", ITEM | {"properties": {"a": HUGE}}, "properties", "is longer than 1024 bytes"),
        ("items", ITEM | {"properties": {"a" * 600: "b" * 600}}, "properties", "is longer than 1024 bytes"),
        ("items", ITEM | {"category": ["a" * 600, "b" * 600]}, "category", "is longer than 1024 bytes"),
        ("items", ITEM | {"properties": {"红" * 200: "红" * 200}}, "properties", "is longer than 1024 bytes"),
        ("items", ITEM | {"properties": {"a": ["b", ""]}}, "properties", "is empty"),
        ("items", ITEM | {"category": ["红" * 200, "红" * 200]}, "category", "is longer than 1024 bytes"),
        ("items", ITEM | {"stats": {"a": 1, "b": -3.5e38}}, "stats", "is too large"),
        ("items", ITEM | {"category": {"top": "a"}}, "category", "not a list of texts"),
        ("items", text_of(ITEM).replace(b"9.0", b"NaN"), "stats", "is not finite"),
        ("items", text_of(ITEM).replace(b"9.0", b"-Infinity"), "stats", "is not finite"),
        ("items", text_of(ITEM).replace(b"9.0", b"1e999"), "stats", "is not finite"),
        ("items", text_of(ITEM).replace(b"9.0", b'"9.0"'), "stats", "not a number"),
        ("sessions", SESSION | {"timestamp": "2024-01-01T00:00:00Z"}, "timestamp", "not a number"),
        ("sessions", SESSION | {"timestamp": -(10**12)}, "timestamp", "not in seconds since 1970"),
        ("sessions", SESSION | {"keywords": None, "utterances": [{"text": HUGE}]}, "utterances",
         "is longer than 1024 bytes"),
        ("behaviors", BEHAVIOR | {"behavior": "Click"}, "behavior", "not one of logs.behaviors"),
        ("behaviors", BEHAVIOR | {"behavior": ["click"]}, "behavior", "not a text"),
    ],
)  # fmt: skip
def test_a_bad_line_is_refused_and_its_neighbours_are_kept(stream, line, field, reason):
    good = text_of(ROWS[stream])
    parsed = parse_chunk(stream, Chunk("logs", 7, b"\n".join([good, text_of(line), good])), CONFIG)
    assert parsed.dead == [(stream, "logs", 8, field, reason, "parse", None)]
    assert parsed.table["line"].to_pylist() == [7, 9]


@pytest.mark.parametrize(
    ("stream", "row", "column", "value"),
    [
        ("users", {"user_id": "../../../etc/passwd"}, "user_id", "../../../etc/passwd"),
        ("users", {"user_id": "C:\\Windows\\..", "tags": ["=cmd|' /C calc'!A0"]}, "user_id", "C:\\Windows\\.."),
        ("users", {"user_id": "; DROP TABLE users", "more": HUGE}, "user_id", "; DROP TABLE users"),
        ("users", {"user_id": 2**70}, "user_id", "1180591620717411303424"),
        ("users", b'\t{"user_id": "a", "user_id": "b"} ', "user_id", "b"),  # the last of two counts
        ("items", ITEM | {"stats": {"returns": -3, "price": -0.5}}, "item_id", "i1"),  # numbers as any other
        ("items", ITEM | {"title": "word " * 200_000, "properties": {"w": -1e300 / 1e290}}, "keywords", ["word"]),
        ("items", ITEM | {"keywords": [" ", "A ", "", "a"]}, "keywords", ["a"]),
        ("items", ITEM | {"category": ["..", "a/b"]}, "category", ["..", "a/b"]),
        ("sessions", SESSION | {"timestamp": -1}, "timestamp", -1.0),
    ],
)
def test_what_is_only_strange_is_kept(stream, row, column, value):
    parsed = parse_chunk(stream, Chunk("logs", 1, text_of(row)), CONFIG)
    assert parsed.dead == []
    assert parsed.table[column].to_pylist() == [value]


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ("\ufeff".join(["", '{"user_id": "u1"}\n']).encode("utf-16"), "not UTF-8"),
        (bz2.compress(b'{"user_id": "u1"}\n' * 99), "not UTF-8"),  # no compression that is known
        (gzip.compress(gzip.compress(b'{"user_id": "u1"}\n')), "not UTF-8"),
        (b"user_id,tags\nu1,a\n", "malformed JSON"),
    ],
    ids=["utf16", "bzip2", "gzip of gzip", "csv"],
)
def test_a_file_of_another_kind_has_no_good_record(tmp_path, content, first):
    (tmp_path / "users.jsonl.gz").write_bytes(content)
    good, dead = parsed_file(tmp_path / "users.jsonl.gz", "users")
    assert good == []
    assert dead[0] == (1, "", first)


def test_gzip_data_that_was_changed_is_an_error(tmp_path):
    packed = bytearray(gzip.compress(b"".join(b'{"user_id": "u%d"}\n' % number for number in range(9999))))
    packed[len(packed) // 2] ^= 255
    (tmp_path / "f").write_bytes(packed)
    with pytest.raises(DataError, match="f: broken after line"):
        parsed_file(tmp_path / "f", "users")


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("user", pa.array(["u"]), "is missing"),
        ("user_id", pa.array([None], pa.string()), "is missing"),
        ("user_id", pa.array([1.5]), "not a text"),
        ("user_id", pa.array([b"u"]), "not a text"),
        ("user_id", pa.array([{"id": "u"}]), "not a text"),
    ],
)
def test_parquet_columns_that_are_renamed_or_of_another_type(tmp_path, column, values, expected):
    parquet.write_table(pa.table({column: values, "extra": [1]}), str(tmp_path / "f"))
    assert parsed_file(tmp_path / "f", "users") == ([], [(1, "user_id", expected)])


def test_times_that_python_has_no_place_for_are_an_error_of_the_file(tmp_path):
    times = pa.array([2**53], pa.timestamp("ms"))  # year 287396
    parquet.write_table(pa.table({"session_id": ["q"], "user_id": ["u"], "timestamp": times}), str(tmp_path / "f"))
    with pytest.raises(DataError, match="f: broken after line 0"):
        parsed_file(tmp_path / "f", "sessions")


def test_a_parquet_file_of_extra_triples_is_refused():
    table = pa.table({"head": ["a"], "relation": ["b"], "tail": ["c"]})
    parsed = parse_extra_chunk("extra/db", Chunk("f", 1, table), "item", "person")
    assert [letter[2:5] for letter in parsed.dead] == [(1, "", "a Parquet row, expected a line of text")]


@pytest.mark.parametrize(
    ("line", "redacted"),
    [
        (b'{"user": "Ann", "age": [3, 1.5, NaN], "ok": true, "none": null, "": ""}',
         '{"user": "<3 characters>", "age": [0, 0, 0], "ok": true, "none": null, "": ""}'),
        (b"Ann, 3", "<6 bytes>"),
        (b'{"user": "\xff"}', "<13 bytes>"),
    ],
)  # fmt: skip
def test_dead_letters_show_of_the_record_what_is_asked_for(line, redacted):
    for how, expected in {"none": None, "redacted": redacted, "raw": line.decode(errors="backslashreplace")}.items():
        parsed = parse_chunk("users", Chunk("f", 1, line), LogsConfig(dead_letter_records=how))
        body = json.loads(DeadLetter(*parsed.dead[0]).to_json())
        assert body.get("record") == expected


def test_both_jobs_know_a_line_by_the_same_digest(tmp_path):
    rows = [ITEM, ITEM | {"title": "another"}]
    write_lines(tmp_path / "f", rows)
    do = reading.ParseRecords("items", CONFIG, digests=True)
    do.start_bundle()
    one_by_one = [digest for _, digest in do.process(str(tmp_path / "f"))]
    assert [row["digest"] for row in parsed_file(tmp_path / "f", "items")[0]] == one_by_one
    assert len(set(one_by_one)) == 2


def test_ids_that_look_like_paths_stay_names(tmp_path):
    items = [row | {"item_id": f"../../{row['item_id']}", "seller_id": "/etc/passwd"} for row in ITEMS]
    raw = write_raw(tmp_path / "raw", streams(items=items))
    assert run(build_ckg.main, "--raw", raw, "--output", tmp_path / "ckg") == 0
    made = manifest.read(str(tmp_path / "ckg"), manifest.CKG, check_digests=True)
    assert {("item", "../../i1"), ("item", "../../i2"), ("seller", "/etc/passwd")} <= set(
        ids_of(tmp_path / "ckg", made)
    )
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "ckg"}


def test_logs_in_utf_16_fail_the_job_and_leave_redacted_dead_letters(tmp_path, capsys):
    raw = write_raw(tmp_path / "raw", streams())
    (tmp_path / "users").write_bytes("\n".join(map(json.dumps, USERS)).encode("utf-16"))
    arguments = [f"--{name}={raw}/{name}.jsonl" for name in ("items", "sessions")]
    settings = ["--set=time.train_end=50", "--set=logs.dead_letter_records=redacted"]
    assert run(build_ckg.main, f"--users={tmp_path}/users", *arguments, *settings, "--output", tmp_path / "ckg") == 65
    assert "users: 2 of 2 records are bad" in capsys.readouterr().err
    (file,) = (tmp_path / "ckg").iterdir()
    letters = [json.loads(line) for line in file.read_text().splitlines()]
    assert {(letter["line"], letter["reason"], letter["record"][0]) for letter in letters} == {
        (1, "not UTF-8", "<"), (2, "malformed JSON", "<"),
    }  # fmt: skip
