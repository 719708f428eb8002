"""Keys and hashes: datasets of an earlier version stay readable only if they never change."""

import pytest

from kdcn_tf import ckg, keys


def test_pseudonyms_stay_the_same():
    """blake2b of 12 bytes, personalised by the type."""
    assert keys.entity_key(ckg.USER, "u1") == "ec1e5ecf57ae384e8a12ce9c"
    assert keys.entity_key(ckg.SESSION, "u1") == "24abcef27bc50989436bcbc5"


def test_other_keys_are_the_raw_ids():
    assert keys.entity_key(ckg.ITEM, "连衣裙 / 1") == "连衣裙 / 1"


def test_stable_hash_stays_the_same():
    """The first 8 bytes, little endian and signed, of parts joined by 0x1f."""
    assert keys.stable_hash("a", "b") == 1212841174890269944
    assert keys.stable_hash("ab") == -8642163009466838514


@pytest.mark.parametrize("entity_type", [ckg.USER, ckg.ITEM])
def test_keys_are_lines(entity_type):
    """Refused: tab and zero, and of all characters those that Python or a text tool takes for a line's end."""
    ends = [chr(code) for code in range(0x110000) if len(f"a{chr(code)}b".splitlines()) > 1]
    for character in ["\t", "\x00", "\x7f", *ends]:
        with pytest.raises(ValueError, match="control character"):
            keys.entity_key(entity_type, f"a{character}b")


def test_length_is_counted_in_bytes():
    """A Chinese character has 3 bytes: 341 of them 1023, 342 more than 1024."""
    assert keys.entity_key(ckg.ITEM, "衣" * 341) == "衣" * 341
    with pytest.raises(ValueError, match="longer than 1024 bytes"):
        keys.entity_key(ckg.ITEM, "衣" * 342)
    with pytest.raises(ValueError, match="is empty"):
        keys.entity_key(ckg.ITEM, "")


def test_keys_of_values_and_categories():
    assert keys.value_key("color", "red") == "color=red"
    assert keys.category_key(["Home", "Bed/Bath"]) == "Home/Bed|Bath"
    assert keys.category_key(("A", "Other")) != keys.category_key(("B", "Other"))
