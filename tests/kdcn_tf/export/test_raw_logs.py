import math
import re

import pytest
from support import raw_logs as written

from kdcn_tf import manifest
from kdcn_tf.errors import DataError
from kdcn_tf.export import raw_logs

KINDS = ("click", "cart")
ITEMS = [*written.ITEMS, *(written.ITEMS[0] | {"item_id": name} for name in "abcdx4")]


def open_raw(tmp_path, **changed):
    folder = written.write_raw(tmp_path / "raw", written.streams(**{"items": ITEMS, **changed}))
    return str(folder), manifest.read(str(folder), manifest.RAW)


def event(when, item, user="u1", kind="click") -> dict:
    return {"user_id": user, "item_id": item, "behavior": kind, "timestamp": when}


def shown(session, item, label=0, query="red", when=5, user="u1") -> dict:
    return {
        "session_id": session, "user_id": user, "timestamp": when, "query": query, "item_id": item, "label": label,
    }  # fmt: skip


def history(raw, before=100.0, limit=9, days=None, user="u1"):
    return raw_logs.find_history(*raw, user, before, KINDS, limit, days)


def test_items_by_id_and_unknown_ones_are_absent(tmp_path):
    raw = open_raw(tmp_path, items=[*written.ITEMS, written.ITEMS[0] | {"item_id": 7}, written.ITEMS[0], "{"])
    found = raw_logs.find_items(*raw, ["i2", "7"])
    assert {key: item["title"] for key, item in found.items()} == {"i2": "Red running jacket", "7": "red running shoe"}
    with pytest.raises(DataError, match=r"items\.jsonl:5: malformed JSON"):
        raw_logs.find_items(*raw, ["gone"])
    assert raw_logs.find_items(*raw, []) == {}


def test_an_item_without_title_is_named_only_if_it_is_wanted(tmp_path):
    raw = open_raw(tmp_path, items=[{"item_id": "bare"}, written.ITEMS[0]])
    assert list(raw_logs.find_items(*raw, ["i1"])) == ["i1"]
    with pytest.raises(DataError, match=r"items\.jsonl:1: title: is missing"):
        raw_logs.find_items(*raw, ["bare"])


def test_history_is_strictly_before_and_latest_first(tmp_path):
    raw = open_raw(
        tmp_path, behaviors=[event(3, "b"), event(1, "a"), event(9, "d"), event(5, "c"), event(4, "x", "u2")]
    )
    assert history(raw, 9) == {"click": ["c", "b", "a"], "cart": []}
    assert history(raw, 9, limit=2) == {"click": ["c", "b"], "cart": []}
    assert history(raw, math.inf, limit=1) == {"click": ["d"], "cart": []}


def test_history_of_the_kinds_and_user_asked_for(tmp_path):
    rows = [event(1, 4, user=7), event(2, "b", user=7, kind="cart"), event(3, "c", user=7, kind="view")]
    assert history(open_raw(tmp_path, behaviors=rows), user="7") == {"click": ["4"], "cart": ["b"]}


def test_history_counts_as_build_ctr_does(tmp_path):
    gone = [event(when, "gone") for when in (6, 7, 8)]
    raw = open_raw(tmp_path, behaviors=[event(1, "a"), event(2, "b"), event(2, "b"), event(3, "b"), *gone])
    assert history(raw, limit=3)["click"] == ["b", "b", "a"]


def test_history_goes_back_some_days(tmp_path):
    day = raw_logs.DAY
    raw = open_raw(tmp_path, behaviors=[event(day - 1, "a"), event(day, "b"), event(2 * day, "c")])
    # As in build-ctr, an event exactly that old still counts.
    assert history(raw, 3 * day, days=2)["click"] == ["c", "b"]
    assert history(raw, math.inf, days=2)["click"] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "malformed JSON"), ("[]", "not a JSON object"),
        (event("5", "a"), "timestamp: not a number"), (event(10**400, "a"), "timestamp: is too large"),
        (event(True, "a"), "timestamp: not a number"),
        (event(5, None), "item_id: is missing"), ({"behavior": "click"}, "user_id: is missing"),
    ],
)  # fmt: skip
def test_a_malformed_behaviour_is_named(tmp_path, row, message):
    raw = open_raw(tmp_path, behaviors=[event(1, "a"), row])
    with pytest.raises(DataError, match=rf"behaviors\.jsonl:2: {re.escape(message)}"):
        history(raw)


def test_a_session_by_id_has_the_candidates_of_its_first_query(tmp_path):
    rows = [
        shown("s1", "i9"),
        *(shown(8, item, when=6, query=["red", "shoe"]) for item in ("i1", "i2")),
        shown(8, "i3", when=7, query="blue"),
    ]
    found = raw_logs.find_session(*open_raw(tmp_path, impressions=rows), "8")
    assert (found.session_id, found.user_id, found.timestamp, found.query) == ("8", "u1", 6.0, ["red", "shoe"])
    assert [row["item_id"] for row in found.impressions] == ["i1", "i2"]


def test_the_example_is_the_last_session_with_a_click_and_three_candidates(tmp_path):
    rows = [shown("first", item, item == "b") for item in "abc"]
    rows += [shown("second", item, item == "a") for item in "abcd"]
    rows += [shown("short", item, 1) for item in "ab"] + [shown("no click", item) for item in "abc"]
    rows += [shown("three queries", item, 1, query=item) for item in "abc"]
    raw = open_raw(tmp_path, impressions=rows)
    assert raw_logs.find_session(*raw).session_id == "second"
    with pytest.raises(DataError, match="impressions: no session 'gone'"):
        raw_logs.find_session(*raw, "gone")


def test_no_session_serves_as_an_example(tmp_path):
    with pytest.raises(DataError, match="impressions: no session with a click and 3 candidates"):
        raw_logs.find_session(*open_raw(tmp_path, impressions=[shown("s", "a", 1)]))
