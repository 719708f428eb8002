"""Entity keys: how a name in the logs becomes a key in the graph, and its stable hash."""

import hashlib
import re

from kdcn_tf import ckg

PRIVATE_TYPES = (ckg.USER, ckg.SESSION)
"""Types whose raw ids name people: the graph holds a pseudonym instead."""

MAX_KEY_BYTES = 1024
_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]")


def entity_key(entity_type: str, raw: str) -> str:
    """Key of an entity in the id map: the raw id, or its pseudonym for users and sessions.

    Raises:
        ValueError: empty, longer than `MAX_KEY_BYTES`, or with a control character (keys are lines
            of text files).
    """
    if not raw:
        raise ValueError("is empty")
    if len(raw.encode()) > MAX_KEY_BYTES:
        raise ValueError(f"is longer than {MAX_KEY_BYTES} bytes")
    if _CONTROL.search(raw):
        raise ValueError("has a control character")
    if entity_type in PRIVATE_TYPES:
        return hashlib.blake2b(raw.encode(), digest_size=12, person=entity_type.encode()).hexdigest()
    return raw


def entity(entity_type: str, raw: str) -> str:
    """An entity as one text, `type<TAB>key`, of its raw id or name.

    Raises:
        ValueError: as `entity_key`.
    """
    return f"{entity_type}\t{entity_key(entity_type, raw)}"


def value_key(property_name: str, value: str) -> str:
    """Key of a property value: values of different properties are different entities."""
    return f"{property_name}={value}"


def category_key(path: list[str] | tuple[str, ...]) -> str:
    """Key of a category: its whole path, so that "Other" under two parents stays two."""
    return "/".join(level.replace("/", "|") for level in path)


def category_levels(path: list[str] | tuple[str, ...]) -> list[str]:
    """Keys of the categories of a path, from the top down: each prefix is a category of its own."""
    return [category_key(path[:level]) for level in range(1, len(path) + 1)]


def session_number(raw: str) -> int:
    """What CTR examples hold of a session, to group by: a hash of its pseudonym.

    Raises:
        ValueError: as `entity_key`.
    """
    return stable_hash(entity(ckg.SESSION, raw))


def stable_hash(*parts: str) -> int:
    """Signed 64-bit hash, equal on every machine and run (Python's `hash` is not)."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)
