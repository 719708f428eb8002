"""Checks of single records."""

import json

import pytest

from kdcn_tf.config import LogsConfig
from pipelines import logs
from pipelines.fields import RecordError

CONFIG = LogsConfig()
ITEM = {"item_id": "i1", "title": "Red running shoe", "category": ["Sport", "Shoes"]}
SESSION = {"session_id": "q", "user_id": "u", "timestamp": 1}
BEHAVIOR = {"user_id": "u", "item_id": "i", "behavior": "click", "timestamp": 1.5}
IMPRESSION = {"session_id": "q", "user_id": "u", "timestamp": 1, "query": "shoe", "item_id": "i", "label": 1}


def parse(stream, row, config=CONFIG):
    return logs.parse(stream, row if isinstance(row, bytes) else json.dumps(row).encode(), config)[0]


def test_an_item_with_everything():
    item = parse("items", ITEM | {
        "seller_id": 7, "properties": {"color": ["red", "blue"], "size": 42, "none": None},
        "stats": {"sales": 3, "ctr": 0.5, "none": None},
    })  # fmt: skip
    assert item == logs.Item(
        item_id="i1", category=("Sport", "Shoes"), seller_id="7",
        properties=(("color", "red"), ("color", "blue"), ("size", "42")),
        stats=(("ctr", 0.5), ("sales", 3.0)), keywords=("red", "running", "shoe"),
    )  # fmt: skip


def test_given_keywords_win_over_the_title_and_are_normalised():
    assert parse("items", ITEM | {"keywords": [" Boot", "boot", "", "warm"]}).keywords == ("boot", "warm")


def test_a_category_of_one_level_may_be_a_text():
    assert parse("items", ITEM | {"category": "Sport"}).category == ("Sport",)


def test_session_keywords_come_from_all_utterances():
    spoken = [{"speaker": "user", "text": "A red shoe"}, {"speaker": "seller", "text": "this shoe or a boot?"}]
    assert parse("sessions", SESSION | {"utterances": spoken}).keywords == ("red", "shoe", "boot")


def test_keywords_stop_at_the_limit():
    assert parse("impressions", IMPRESSION | {"query": "one1 two2 three3"}, LogsConfig(max_keywords=2)).query == (
        "one1", "two2",
    )  # fmt: skip


def test_query_may_be_a_list_or_empty():
    assert parse("impressions", IMPRESSION | {"query": ["Warm Boot"]}).query == ("warm boot",)
    assert parse("impressions", IMPRESSION | {"query": ""}).query == ()


@pytest.mark.parametrize(
    ("given", "position"),
    [({}, -1), ({"position": None}, -1), ({"position": 0}, 0), ({"position": 1}, 1), ({"position": 12.0}, 12),
     ({"position": 2**53 - 1}, 9_007_199_254_740_991)],
)  # fmt: skip
def test_positions_may_count_from_0_or_1(given, position):
    found = parse("impressions", IMPRESSION | given).position
    assert (found, type(found)) == (position, int)


def test_null_is_absent():
    assert parse("sessions", SESSION | {"intention": None}).intention is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4006381333931, "4006381333931"), (4006381333932, "4006381333932"), (4006381333932.0, "4006381333932"),
        (-(10**20) - 1, "-100000000000000000001"), (1, "1"), (1.0, "1"), (-0.0, "0"), (0.1 + 0.2, "0.3"),
        (1e20, "1e+20"), (True, "true"),
    ],
)  # fmt: skip
def test_numbers_as_values_of_properties(value, shown):
    """Bar codes that differ stay two; a float is a whole number where no other one could be meant."""
    assert parse("items", ITEM | {"properties": {"p": value}}).properties == (("p", shown),)


def test_unknown_fields_are_counted():
    assert logs.parse("users", b'{"user_id": "u", "age": 3, "town": "x"}', CONFIG)[1] == 2


def test_parquet_rows_have_maps_as_pairs():
    item, _ = logs.parse("items", ITEM | {"stats": [("price", 2.0)], "properties": [("color", ["red"])]}, CONFIG)
    assert (item.stats, item.properties) == ((("price", 2.0),), (("color", "red"),))


@pytest.mark.parametrize(
    ("stream", "row", "field", "reason"),
    [
        ("items", b"{", "", "malformed JSON"),
        ("items", b"\xff{}", "", "not UTF-8"),
        ("items", b"[1]", "", "not a JSON object"),
        ("items", {"title": "x", "category": ["c"]}, "item_id", "is missing"),
        ("items", ITEM | {"item_id": None}, "item_id", "is missing"),
        ("items", ITEM | {"item_id": ""}, "item_id", "is empty"),
        ("items", ITEM | {"item_id": ["i"]}, "item_id", "not a text"),
        ("items", ITEM | {"item_id": "a\tb"}, "item_id", "has a control character"),
        ("items", ITEM | {"item_id": "x" * 2000}, "item_id", "is longer than 1024 bytes"),
        ("items", ITEM | {"item_id": "\ud800"}, "item_id", "not valid Unicode"),
        ("items", ITEM | {"title": 1.5}, "title", "not a text"),
        ("items", ITEM | {"category": []}, "category", "is empty"),
        ("items", ITEM | {"category": ["a", ""]}, "category", "is empty"),
        ("items", ITEM | {"category": [1]}, "category", "not a list of texts"),
        ("items", ITEM | {"stats": {"p": float("nan")}}, "stats", "is not finite"),
        ("items", ITEM | {"stats": {"p": float("inf")}}, "stats", "is not finite"),
        ("items", ITEM | {"stats": {"p": 10**400}}, "stats", "is not finite"),
        ("items", ITEM | {"stats": {"p": 1e39}}, "stats", "is too large"),
        ("items", ITEM | {"stats": {"p": "3"}}, "stats", "not a number"),
        ("items", ITEM | {"stats": [1]}, "stats", "not an object"),
        ("items", ITEM | {"stats": {"p": True}}, "stats", "not a number"),
        ("items", ITEM | {"properties": {"p": {}}}, "properties", "not a text or number"),
        ("items", ITEM | {"properties": {"": "x"}}, "properties", "has an empty name"),
        ("items", ITEM | {"properties": {"p": ""}}, "properties", "is empty"),
        ("items", ITEM | {"properties": {"p": "a\nb"}}, "properties", "has a control character"),
        ("users", {"user_id": "u", "tags": ["a", 1]}, "tags", "not a list of texts"),
        ("users", {"user_id": "u", "tags": [""]}, "tags", "is empty"),
        ("sessions", SESSION | {"timestamp": "2020-01-01"}, "timestamp", "not a number"),
        ("sessions", SESSION | {"timestamp": True}, "timestamp", "not a number"),
        ("sessions", SESSION | {"timestamp": float("nan")}, "timestamp", "is not finite"),
        ("sessions", SESSION | {"timestamp": 1_700_000_000_000}, "timestamp", "not in seconds since 1970"),
        ("sessions", SESSION | {"utterances": ["hello"]}, "utterances", "expected objects with a text"),
        ("sessions", SESSION | {"utterances": 3}, "utterances", "not a list"),
        ("behaviors", BEHAVIOR | {"behavior": "stare"}, "behavior", "not one of logs.behaviors"),
        ("impressions", IMPRESSION | {"label": 2}, "label", "not 0 or 1"),
        ("impressions", IMPRESSION | {"label": "1"}, "label", "not a number"),
        ("impressions", IMPRESSION | {"query": None}, "query", "is missing"),
        ("impressions", IMPRESSION | {"query": 3}, "query", "not a list of texts"),
        ("impressions", IMPRESSION | {"weight": -1}, "weight", "is negative"),
        ("impressions", IMPRESSION | {"position": -1}, "position", "is negative"),
        ("impressions", IMPRESSION | {"position": 1.5}, "position", "not a whole number"),
        ("impressions", IMPRESSION | {"position": "1"}, "position", "not a number"),
        ("impressions", IMPRESSION | {"position": ""}, "position", "not a number"),
        ("impressions", IMPRESSION | {"position": True}, "position", "not a number"),
        ("impressions", IMPRESSION | {"position": [1]}, "position", "not a number"),
        ("impressions", IMPRESSION | {"position": float("nan")}, "position", "is not finite"),
        ("impressions", IMPRESSION | {"position": float("inf")}, "position", "is not finite"),
        ("impressions", IMPRESSION | {"position": 2**53}, "position", "is too large"),
        ("impressions", IMPRESSION | {"position": 2**53 + 1}, "position", "is too large"),
        ("impressions", IMPRESSION | {"position": 2**64}, "position", "is too large"),
        ("impressions", IMPRESSION | {"position": 1e39}, "position", "is too large"),
        ("impressions", IMPRESSION | {"position": 10**400}, "position", "is not finite"),
    ],
)
def test_what_breaks_the_contract_is_named(stream, row, field, reason):
    with pytest.raises(RecordError) as caught:
        parse(stream, row)
    assert (caught.value.field, caught.value.reason) == (field, reason)


def test_reasons_never_hold_the_content():
    with pytest.raises(RecordError) as caught:
        parse("behaviors", BEHAVIOR | {"behavior": "secret-4711"})
    assert "secret" not in str(caught.value)


def test_an_extra_triple_has_three_columns():
    assert logs.parse_extra(b"i1\tdirector\tSome One", "item", "person") == ("i1", "director", "Some One")
    with pytest.raises(RecordError, match="2 columns, expected head, relation, tail"):
        logs.parse_extra(b"i1\tdirector", "item", "person")
    with pytest.raises(RecordError, match="relation: is empty"):
        logs.parse_extra(b"i1\t\tx", "item", "person")
