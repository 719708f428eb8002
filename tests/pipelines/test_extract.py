"""Triples of single records."""

from kdcn_tf import ckg, keys
from kdcn_tf.config import CkgConfig
from pipelines import extract
from pipelines.logs import Behavior, Item, Session, User

PAPER = CkgConfig(item_keywords=False, session_keywords=False)
U, Q = keys.entity_key("user", "u"), keys.entity_key("session", "q")


def shown(triples):
    return [triple.split("\t") for triple in triples]


def test_user_tags():
    assert shown(extract.triples(User("u", ("a", "b")), PAPER)) == [
        ["user", U, "has", "user_tag", "a"],
        ["user", U, "has", "user_tag", "b"],
    ]


def test_item_belongs_to_every_level_and_values_carry_their_property():
    item = Item("i", ("Sport", "A/B"), "s", (("color", "red"),), (), ("shoe",))
    found = shown(extract.triples(item, CkgConfig()))
    assert found == [
        ["item", "i", "belong_to", "category", "Sport"],
        ["item", "i", "belong_to", "category", "Sport/A|B"],
        ["seller", "s", "has", "item", "i"],
        ["item", "i", "has", "value", "color=red"],
        ["property", "color", "has", "value", "color=red"],
        ["item", "i", "has", "keyword", "shoe"],
    ]
    assert shown(extract.triples(item, PAPER)) == found[:-1]


def test_session_with_intention():
    session = Session("q", "u", 1.0, "s", "buy", ("shoe",))
    assert shown(extract.triples(session, PAPER)) == [
        ["user", U, "created", "session", Q],
        ["session", Q, "relate_to", "seller", "s"],
        ["session", Q, "has", "intention", "buy"],
        ["intention", "buy", "has", "keyword", "shoe"],
    ]


def test_keywords_of_a_session_without_intention_need_session_keywords():
    session = Session("q", "u", 1.0, None, None, ("shoe",))
    assert len(extract.triples(session, PAPER)) == 1
    assert shown(extract.triples(session, CkgConfig()))[1:] == [["session", Q, "has", "keyword", "shoe"]]


def test_behaviours_only_with_interactions():
    behavior = Behavior("u", "i", "click", 1.0)
    assert extract.triples(behavior, PAPER) == []
    assert shown(extract.triples(behavior, CkgConfig(interactions=True))) == [["user", U, "interacted", "item", "i"]]


def test_every_pattern_of_the_schema_is_yielded():
    records = [
        User("u", ("a",)),
        Item("i", ("c",), "s", (("p", "v"),), (), ("k",)),
        Session("q", "u", 1.0, "s", "n", ("k",)),
        Behavior("u", "i", "click", 1.0),
    ]
    config = CkgConfig(interactions=True)
    found = {extract.split_triple(triple)[1] for record in records for triple in extract.triples(record, config)}
    assert found == set(extract.ALL_PATTERNS)
    assert set(ckg.PAPER_PATTERNS) < found


def test_user_and_session_ids_become_pseudonyms():
    session = Session("private-session", "private-user", 1.0, None, None, ())
    assert "private" not in "".join(extract.triples(session, CkgConfig()))
