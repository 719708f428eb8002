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
