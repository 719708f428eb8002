"""Cutting of keywords."""

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from kdcn_tf import text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("I'm looking for a Red-Hot dress, size 42!", ["looking", "red-hot", "dress", "size", "42"]),
        ("don’t you're THE and a x", []),
        ("rock'n'roll -- t-shirt-", ["rock'n'roll", "t-shirt"]),
        ("shoe Shoe SHOE boot", ["shoe", "boot"]),
        ("Amélie, Pokémon: Übermensch 3×4", ["amélie", "pokémon", "übermensch"]),
        ("我想找一件红色的连衣裙", ["找", "一件", "红色", "连衣裙"]),
        ("iPhone手机壳 for 我的iphone", ["iphone", "手机", "壳"]),
        ("", []),
        ("?! … 。", []),
    ],
)
def test_keywords(given, expected):
    assert text.keywords(given, 16) == expected


def test_the_limit_counts_distinct_keywords():
    assert text.keywords("red red shoe boot", 2) == ["red", "shoe"]
    assert text.keywords("red shoe", 0) == []


def test_no_more_than_5000_chinese_characters_are_cut_at_once():
    assert "手机" in text.keywords("红" * 4998 + "手机", 9)
    assert "手机" not in text.keywords("红" * 4999 + "手机", 9)


def test_given_keywords():
    assert text.given_keywords(" Red shoe", 8) == ["red", "shoe"]  # a text is cut
    assert text.given_keywords([" Red Shoe ", "", "red shoe", "the"], 8) == ["red shoe", "the"]  # a list is taken
    assert text.given_keywords(None, 8) == []
    assert text.given_keywords(["a", "b", "c"], 2) == ["a", "b"]


@for_any(st.text(st.sampled_from("aBs iT't-9,\n\x7f_") | st.characters(max_codepoint=127), max_size=40))
def test_plain_english_is_cut_as_any_other_text(sentence):
    """Another text after it can't change its words, but sends all of it another way."""
    assert text.keywords(sentence, 99) == text.keywords(sentence + " …", 99)
