"""The schema of the knowledge graph."""

from collections import Counter

import pytest

from kdcn_tf import ckg
from kdcn_tf.errors import ConfigError


def test_the_papers_nine_patterns():
    """Section III-A-1; six of them are called `has`."""
    assert len(ckg.PAPER_PATTERNS) == 9
    names = Counter(ckg.relation_key(pattern, "name") for pattern in ckg.PAPER_PATTERNS)
    assert names == {"has": 6, "belong_to": 1, "created": 1, "relate_to": 1}
    assert {end for p in ckg.PAPER_PATTERNS for end in (p.head, p.tail)} == set(ckg.ENTITY_TYPES)


def test_every_pattern_has_a_relation_of_its_own():
    patterns = [*ckg.PAPER_PATTERNS, ckg.ITEM_HAS_KEYWORD, ckg.SESSION_HAS_KEYWORD, ckg.USER_INTERACTED_ITEM]
    assert len({ckg.relation_key(pattern, "pattern") for pattern in patterns}) == 12
    assert ckg.relation_key(ckg.USER_HAS_TAG, "pattern") == "user.has.user_tag"
    with pytest.raises(ConfigError, match="got 'both'"):
        ckg.relation_key(ckg.USER_HAS_TAG, "both")


def test_id_map():
    """Users 1 and 2, items 3 to 6: with row 0 for padding a table has 7 rows."""
    ids = ckg.IdMap({"user": (1, 3), "item": (3, 7)}, ("has", "likes"), "f")
    assert ids.num_ids == 7
    assert ids.range_of("item") == (3, 7)
    assert ckg.IdMap.from_json(ids.to_json()) == ids
    assert ckg.IdMap({}, (), "f").num_ids == 1
    with pytest.raises(ConfigError, match="unknown entity type 'itm'; known: user, item"):
        ids.range_of("itm")
    with pytest.raises(ConfigError, match="unknown entity type 'itm'; known: user, item"):
        ids.spans("itm")
    assert "grown" not in ids.to_json()


def test_id_map_that_grew():
    """Twice grown: items 3 and 4, 5 and 6, 9; a new type after the first time; keywords not at all."""
    ids = ckg.IdMap(
        {"item": (3, 5), "keyword": (1, 3), "seller": (7, 9)}, (), "f", {"item": ((5, 7), (9, 10)), "keyword": ()}
    )
    assert ids.spans("item") == ((3, 5), (5, 7), (9, 10))
    assert (ids.spans("seller"), ids.range_of("item")) == (((7, 9),), (3, 5))
    assert (ids.size("item"), ids.size("keyword"), ids.num_ids) == (5, 2, 10)
    assert ids.type_starts() == [(1, 1), (3, 0), (5, 0), (7, 2), (9, 0)]
    written = ids.to_json()
    assert written["grown"] == {"item": [[5, 7], [9, 10]]}
    assert ckg.IdMap.from_json(written).to_json() == written


@pytest.mark.parametrize(
    ("grown", "told"),
    [
        ({"item": [[4, 8]]}, r"not behind those before them: \[4, 8\)"),  # over the first range of another type
        ({"item": [[9, 11], [7, 9]]}, r"ids of item .*: \[7, 9\)"),
        ({"seller": [[7, 8]]}, r"ids of seller .*: \[7, 8\)"),  # its first range is behind
        ({"item": [[9, 12]], "user": [[11, 13]]}, r"ids of user .*: \[11, 13\)"),
        ({"shop": [[9, 12]]}, "shop has further ranges, but no first one"),
    ],
)  # fmt: skip
def test_ranges_that_dont_follow(grown, told):
    ranges = {"item": [1, 3], "user": [3, 7], "seller": [8, 9]}
    with pytest.raises(ValueError, match=told):
        ckg.IdMap.from_json({"ranges": ranges, "relations": [], "fingerprint": "f", "grown": grown})
