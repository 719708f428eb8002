"""Triples that records state, against names written by hand."""

import json

import pytest

from kdcn_tf import ckg, keys
from kdcn_tf.config import CkgConfig, LogsConfig
from pipelines import columns, statements
from pipelines.statements import HEAD, PATTERN, TAIL

PAPER = CkgConfig(item_keywords=False, session_keywords=False)
U, Q = keys.entity_key("user", "u"), keys.entity_key("session", "q")


def stated(stream, *rows, config=PAPER):
    """Each record's triples as texts."""
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    chunk = columns.Chunk("file", 1, lines)
    table = columns.parse_chunk(stream, chunk, LogsConfig(), statements.columns_of(stream, config)).table
    return shown(statements.OF_STREAM[stream](table, config))


def shown(found):
    names = {
        hashed: f"{one.entity_type}:{key}"
        for one in found.names
        for key, hashed in zip(one.keys, one.hashes.tolist(), strict=True)
    }
    relations = {int(statements.pattern_hash(pattern, 0)): pattern.relation for pattern in found.patterns}
    lists = (found.records.column(name).to_pylist() for name in (HEAD, PATTERN, TAIL))
    return [
        sorted(f"{names[h]} {relations[p]} {names[t]}" for h, p, t in zip(*record, strict=True))
        for record in zip(*lists, strict=True)
    ]


def test_user_tags():
    rows = {"user_id": "u", "tags": ["a", "b"]}, {"user_id": "v"}
    assert stated("users", *rows) == [[f"user:{U} has user_tag:a", f"user:{U} has user_tag:b"], []]


def test_item_belongs_to_every_level_and_values_carry_their_property():
    first = {
        "item_id": "i", "title": "shoe", "category": ["Sport", "A/B"], "seller_id": "s", "properties": {"color": "red"},
    }  # fmt: skip
    second = {"item_id": "j", "title": "Cup", "category": "Home"}
    expected = [
        "item:i belong_to category:Sport",
        "item:i belong_to category:Sport/A|B",
        "item:i has value:color=red",
        "property:color has value:color=red",
        "seller:s has item:i",
    ]
    assert stated("items", first, second) == [expected, ["item:j belong_to category:Home"]]
    with_words = stated("items", first, second, config=CkgConfig())
    assert with_words[0] == sorted([*expected, "item:i has keyword:shoe"])
    assert with_words[1] == ["item:j belong_to category:Home", "item:j has keyword:cup"]


SESSIONS = (
    {"session_id": "q", "user_id": "u", "timestamp": 1, "seller_id": "s", "intention": "buy", "keywords": ["shoe"]},
    {"session_id": "q", "user_id": "u", "timestamp": 1, "keywords": ["shoe"]},
)


def test_keywords_hang_on_the_intention():
    assert stated("sessions", *SESSIONS) == [
        [
            "intention:buy has keyword:shoe",
            f"session:{Q} has intention:buy",
            f"session:{Q} relate_to seller:s",
            f"user:{U} created session:{Q}",
        ],
        [f"user:{U} created session:{Q}"],
    ]


def test_keywords_of_a_session_without_intention_need_session_keywords():
    first, second = stated("sessions", *SESSIONS, config=CkgConfig())
    assert second == [f"session:{Q} has keyword:shoe", f"user:{U} created session:{Q}"]
    assert len(first) == 5


def test_a_behaviour_counts_once_per_kind_and_time():
    row = {"user_id": "u", "item_id": "i", "behavior": "click", "timestamp": 1.5}
    rows = (row, row, {**row, "behavior": "cart"}, {**row, "timestamp": 2})
    lines = b"".join(json.dumps(one).encode() + b"\n" for one in rows)
    table = columns.parse_chunk("behaviors", columns.Chunk("file", 1, lines), LogsConfig()).table
    found = statements.of_behaviors(table, PAPER)
    assert shown(found) == [[f"user:{U} interacted item:i"]] * 4
    same = list(zip(found.records.column("key").to_pylist(), found.records.column("digest").to_pylist(), strict=True))
    assert same[0] == same[1]
    assert len(set(same)) == 3
    assert len(set(found.records.column("key").to_pylist())) == 1


def test_extra_triples():
    lines = b"f\tdirector\tAnn\nf\tgenre\tNoir\nf\tdirector\tAnn\n"
    table = columns.parse_extra_chunk("extra/db", columns.Chunk("file", 1, lines), "item", "concept").table
    found = statements.of_extras(table, "item", "concept", salt=0)
    director = ["item:f director concept:Ann"]
    assert shown(found) == [director, ["item:f genre concept:Noir"], director]
    assert found.records.column("key").to_pylist()[0] == found.records.column("key").to_pylist()[2]


def test_every_pattern_of_the_schema_is_stated():
    item = {"item_id": "i", "title": "kk", "category": "c", "seller_id": "s", "properties": {"p": "v"}}
    behavior = {"user_id": "u", "item_id": "i", "behavior": "click", "timestamp": 1}
    streams = {"users": {"user_id": "u", "tags": "a"}, "items": item, "sessions": SESSIONS[0], "behaviors": behavior}
    patterns = set()
    for stream, row in streams.items():
        chunk = columns.Chunk("file", 1, json.dumps(row).encode())
        table = columns.parse_chunk(stream, chunk, LogsConfig()).table
        patterns |= set(statements.OF_STREAM[stream](table, CkgConfig()).patterns)
    assert patterns == set(ckg.LOG_PATTERNS)


@pytest.mark.parametrize("stream", ["users", "sessions"])
def test_user_and_session_ids_become_pseudonyms(stream):
    row = {"session_id": "private-session", "user_id": "private-user", "timestamp": 1, "tags": ["a"]}
    assert "private" not in repr(stated(stream, row))
