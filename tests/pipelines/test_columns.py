"""Chunks and their columns, against `logs.parse` line by line."""

import datetime
import gzip
import json
from collections import Counter
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kdcn_tf.config import LogsConfig
from kdcn_tf.errors import DataError
from pipelines import columns, logs
from pipelines.columns import Chunk, parse_chunk, parse_extra_chunk
from pipelines.fields import RecordError
from pipelines.parsing import chunks, ordinary, tables

CONFIG = LogsConfig(max_keywords=3)


def one_by_one(stream, chunk, config=CONFIG):
    """What `parse_chunk` must find: (line, digest, values) of good records, dead letters, counts."""
    good, dead, counts = [], [], Counter()
    for number, line in chunks.rows_of(chunk):
        counts[f"read.{stream}"] += 1
        if not line:
            counts[f"filtered.{stream}.blank_line"] += 1
            continue
        try:
            record, unknown = logs.parse(stream, line, config)
        except RecordError as error:
            dead.append((number, error.field, error.reason))
            continue
        counts[f"unknown_fields.{stream}"] += unknown
        good.append((number, chunks.digest_number(line), *tables.ROW_OF[stream](record)))
    return good, dead, +counts


def found(stream, chunk, config=CONFIG):
    parsed = parse_chunk(stream, chunk, config)
    as_tuples = [
        tuple(tuple(value) if isinstance(value, list) else value for value in row.values())
        for row in parsed.table.to_pylist()
    ]
    return as_tuples, [(letter[2], letter[3], letter[4]) for letter in parsed.dead], parsed.counts


ORDINARY = st.text(st.sampled_from("aB7 -'é红/=😀’"), max_size=6) | st.sampled_from(
    ["i1", "red shoe", "red shoe", "商品"]
)
SPECIAL = st.text(st.sampled_from('aİ\t\x7f\x85\u2028\ud800\udc00"\\'), max_size=4) | st.sampled_from(
    ["x" * 300, "İ" * 700, "红" * 200, "红" * 342, "a b " * 200]
)
TEXT = st.integers(0, 11).flatmap(lambda n: SPECIAL if n == 7 else ORDINARY)
NUMBER = st.integers(-9, 9) | st.sampled_from(
    [0, -0.0, 7, 1.0, 1.5, 1e5, -3, 4006381333931, 2**70, 1e11, 1e11 + 1, 3.5e38, 10**400, float("nan"), float("inf")]
)
ODD = st.none() | st.booleans() | NUMBER | TEXT | st.just([]) | st.just({}) | st.just([["a"]]) | st.just([None])
TEXTS = st.lists(TEXT, max_size=4)
PATH = st.lists(TEXT.filter(bool), min_size=1, max_size=3)
MAPPING = st.dictionaries(
    TEXT, TEXT | NUMBER | st.none() | st.booleans() | st.lists(TEXT | NUMBER, max_size=3), max_size=3
)
UTTERANCES = st.lists(st.fixed_dictionaries({"text": TEXT}, optional={"speaker": ODD, "at": ODD}), max_size=2)


def usually(ordinary):
    """One field in sixteen is anything."""
    return st.integers(0, 15).flatmap(lambda n: ODD if n == 11 else ordinary)


ID, TIME = usually(st.sampled_from(["i1", "u2", "商品", 7]) | TEXT), usually(st.sampled_from([5, 1.5, 1_700_000_000]))
FIELDS = {
    "users": ({"user_id": ID}, {"tags": usually(TEXTS | TEXT)}),
    "items": (
        {"item_id": ID, "title": usually(TEXT), "category": usually(PATH)},
        {
            "seller_id": ID, "properties": usually(MAPPING), "keywords": usually(TEXTS | TEXT),
            "stats": usually(st.dictionaries(TEXT, NUMBER | st.none(), max_size=2)),
        },
    ),
    "sessions": (
        {"session_id": ID, "user_id": ID, "timestamp": TIME},
        {"seller_id": ID, "intention": ID, "utterances": usually(UTTERANCES), "keywords": usually(TEXTS | TEXT)},
    ),
    "behaviors": (
        {"user_id": ID, "item_id": ID, "behavior": usually(st.sampled_from(CONFIG.behaviors)), "timestamp": TIME},
        {"session_id": ID},
    ),
}  # fmt: skip


@st.composite
def lines(draw, stream):
    required, optional = FIELDS[stream]
    row = draw(st.fixed_dictionaries(required, optional=optional | {"another": ODD}))
    if draw(st.integers(0, 19)) == 7:
        row.pop(draw(st.sampled_from(sorted(row))))
    body = json.dumps(row, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    cut = draw(st.integers(0, len(body))) if draw(st.integers(0, 19)) == 7 else len(body)
    return body[:cut] + draw(st.sampled_from([b"", b"", b"", b"", b"\r", b" \t", b"\x00"]))


@pytest.mark.parametrize("stream", sorted(FIELDS))
def test_a_chunk_holds_what_its_lines_hold_one_by_one(stream):
    @settings(max_examples=150, deadline=None)
    @given(st.lists(lines(stream), min_size=1, max_size=4))
    @example([b'{"user_id": "a", "user_id": 3, "item_id": "b", "item_id": null, "zz": 1, "zz": 2}', b""])
    def check(body):
        chunk = Chunk("logs", 11, b"\n".join(body))
        assert found(stream, chunk) == one_by_one(stream, chunk)

    check()


def test_left_out_columns_are_checked_all_the_same():
    rows = [{"title": "a"}, {"title": "a", "keywords": ["\u0001"]}, {"title": "x" * 1025}]
    body = "\n".join(json.dumps({"item_id": n, "category": "c", **row}) for n, row in enumerate(rows, 1)).encode()
    parsed = parse_chunk("items", Chunk("f", 1, body), CONFIG, frozenset({"item_id", "line"}))
    assert parsed.table.to_pydict() == {"line": [1], "item_id": ["1"]}
    assert [letter[2:5] for letter in parsed.dead] == [
        (2, "keywords", "has a control character"), (3, "title", "is longer than 1024 bytes"),
    ]  # fmt: skip


def test_types_of_columns_do_not_depend_on_the_records():
    empty, full = (parse_chunk("sessions", Chunk("f", 1, body), CONFIG).table for body in (
        b"x", b'{"session_id": 1, "user_id": "u", "timestamp": 1, "keywords": ["a"]}'
    ))  # fmt: skip
    assert empty.schema == full.schema
    assert full.schema.field("keywords").type == pa.list_(pa.string())


def test_extra_triples():
    parsed = parse_extra_chunk("extra/db", Chunk("f", 4, b"i1\tby\tAnn\n\ni2\tby\r\n"), "item", "person")
    assert parsed.table.drop_columns(["digest"]).to_pylist() == [
        {"line": 4, "head": "i1", "relation": "by", "tail": "Ann"}
    ]
    assert parsed.dead == [("extra/db", "f", 6, "", "2 columns, expected head, relation, tail", "parse", None)]
    assert parsed.counts == {"read.extra/db": 3, "filtered.extra/db.blank_line": 1}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_chunks_end_where_lines_end(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 64)
    whole = [b"%d" % number * (50 * (number % 7 == 0) + 1) for number in range(100)]
    (tmp_path / "f").write_bytes(pack(b"\xef\xbb\xbf" + b"\n".join(whole)))
    read = list(columns.ReadChunks().process(str(tmp_path / "f")))
    assert len(read) > 5
    assert [line for chunk in read for line in chunks.lines_of(chunk.body)] == whole
    assert [chunk.first_line for chunk in read] == [
        1 + sum(len(chunks.lines_of(chunk.body)) for chunk in read[:place]) for place in range(len(read))
    ]


def test_a_broken_file_still_yields_its_whole_lines(tmp_path):
    (tmp_path / "f").write_bytes(gzip.compress(b"".join(b"%d\n" % number for number in range(99999)))[:-1000])
    read = chunks.read_chunks(str(tmp_path / "f"))
    good = chunks.lines_of(next(read).body)
    assert good == [b"%d" % number for number in range(len(good))]
    assert 0 < len(good) < 99999
    with pytest.raises(DataError, match=f"{tmp_path}/f: broken after line {len(good)}: "):
        next(read)


def test_parquet_rows_are_parsed_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 2)
    path = str(tmp_path / "f")
    parquet.write_table(pa.table({"user_id": [1, None, 3], "tags": [["a", "a"], [], None]}), path)
    read = list(chunks.read_chunks(path))
    assert [chunk.first_line for chunk in read] == [1, 3]
    assert [found("users", chunk) for chunk in read] == [one_by_one("users", chunk) for chunk in read]
    assert found("users", read[0])[1] == [(2, "user_id", "is missing")]


DECODED = st.sampled_from([b"u1", datetime.datetime(2024, 1, 1), datetime.date(2024, 1, 1), {"a": 1}])
"""What Parquet has beside JSON's values."""


@st.composite
def decoded_rows(draw, stream):
    """Rows as a Parquet reader gives them: all fields that there are, null where absent, maps as pairs."""
    required, optional = FIELDS[stream]
    row = draw(st.fixed_dictionaries(required | optional, optional={"another": ODD}))
    for name in row:
        if draw(st.integers(0, 7)) == 7:
            row[name] = draw(st.none() | DECODED)
        elif isinstance(row[name], dict) and draw(st.booleans()):
            row[name] = list(row[name].items()) * draw(st.sampled_from([1, 1, 1, 2]))
    assume("\\ud" not in json.dumps(row, default=repr))  # Arrow's texts are UTF-8, which has no halves of pairs
    return row


def outcome(parse, row):
    try:
        values, unknown = parse(row)
    except RecordError as error:
        return error.field, error.reason
    return [value if value is None or isinstance(value, (str, float)) else tuple(value) for value in values], unknown


@pytest.mark.parametrize("stream", sorted(FIELDS))
def test_decoded_rows_hold_what_they_hold_one_by_one(stream):
    parse = ordinary.line_parser(stream, pa.table({}), CONFIG, wants_keywords=True)

    def carefully(row):
        record, unknown = logs.parse(stream, row, CONFIG)
        return tables.ROW_OF[stream](record), unknown

    @settings(max_examples=300, deadline=None)
    @given(decoded_rows(stream))
    def check(row):
        assert outcome(parse, row) == outcome(carefully, row)

    check()


@pytest.mark.parametrize("stats", [[(1, 2.0)], [(["a"], 2.0)], [("a", 2.0, 3.0)], [["a", 2.0]], []])
def test_odd_maps_of_decoded_rows(stats):
    row = {"item_id": "i", "title": "shoe", "category": "c", "stats": stats}
    found = outcome(ordinary.line_parser("items", pa.table({}), CONFIG, wants_keywords=True), row)
    if stats:
        assert found[0] == "stats"
    else:
        assert found == (["i", ("c",), None, (), (), ("shoe",)], 0)


@pytest.mark.parametrize("name", ["\t", "n" * 3000], ids=["control character", "too long"])
@pytest.mark.parametrize("values", [[], [None], None, ["red"]], ids=repr)
def test_names_of_properties_are_checked_whatever_their_values(name, values):
    row = {"item_id": "i", "title": "shoe", "category": "c", "properties": {name: values}}
    line = json.dumps(row).encode()
    found = [
        outcome(ordinary.line_parser("items", pa.table({}), CONFIG, wants_keywords=True), row),
        outcome(ordinary.line_parser("items", line, CONFIG, wants_keywords=True), line),
    ]
    if values is None:  # as if the property weren't there
        assert found == [(["i", ("c",), None, (), (), ("shoe",)], 0)] * 2
    else:
        assert [field for field, _ in found] == ["properties"] * 2


def test_ordinary_rows_are_decoded_at_once(monkeypatch):
    monkeypatch.setattr(logs, "parse", None)  # the careful way is not gone
    row = {"item_id": 7, "title": "Red shoe", "category": ["a", "b"], "seller_id": None, "another": 1,
           "properties": [("color", ["red"])], "stats": [("price", 2.0)], "keywords": None}  # fmt: skip
    values, unknown = ordinary.line_parser("items", pa.table({}), CONFIG, wants_keywords=True)(row)
    assert (values[0], values[3:5], list(values[5]), unknown) == ("7", (["color"], ["red"]), ["red", "shoe"], 1)


@pytest.mark.parametrize("stats", [{"price": Decimal("1.5")}, [("price", Decimal("1.5"))]])
def test_decimals_of_parquet_are_refused_as_ever(stats):
    kind = pa.map_(pa.string(), pa.decimal128(5, 2)) if isinstance(stats, list) else None
    body = pa.table({"item_id": [1], "title": ["a"], "category": ["c"], "stats": pa.array([stats], kind)})
    chunk = Chunk("f", 1, body)
    assert found("items", chunk) == one_by_one("items", chunk)
    assert found("items", chunk)[1] == [(1, "stats", "not a number")]
