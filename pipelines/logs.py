"""Records of the raw logs: from a JSON line or Parquet row to a checked record. Pure functions, no Beam.

A record that breaks the contract raises `RecordError` with the field and the reason; neither holds
anything of the record's content, so both may be written to a file that people read.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from kdcn_tf import ckg, keys, records, text
from kdcn_tf.config import LogsConfig
from pipelines.fields import Fields, RecordError

LAST_SECOND = 10**11  # year 5138: a larger number is in milliseconds


@dataclass(frozen=True, slots=True)
class User:
    user_id: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """`properties` are (name, value) pairs, a name once per value; `category` is the path from the top."""

    item_id: str
    category: tuple[str, ...]
    seller_id: str | None
    properties: tuple[tuple[str, str], ...]
    stats: tuple[tuple[str, float], ...]
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Session:
    session_id: str
    user_id: str
    timestamp: float
    seller_id: str | None
    intention: str | None
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Behavior:
    user_id: str
    item_id: str
    kind: str
    timestamp: float


@dataclass(frozen=True, slots=True)
class Impression:
    session_id: str
    user_id: str
    timestamp: float
    query: tuple[str, ...]
    item_id: str
    label: int
    weight: float
    stats: tuple[tuple[str, float], ...]
    source: str
    position: int


Record = User | Item | Session | Behavior | Impression

KNOWN_FIELDS = {
    "users": {"user_id", "tags"},
    "items": {"item_id", "title", "category", "seller_id", "properties", "stats", "keywords"},
    "sessions": {"session_id", "user_id", "timestamp", "seller_id", "intention", "utterances", "keywords"},
    "behaviors": {"user_id", "item_id", "behavior", "timestamp", "session_id"},
    "impressions": {
        "session_id", "user_id", "timestamp", "query", "item_id", "label", "position", "weight", "stats", "source",
    },
}  # fmt: skip


def parse(stream: str, line: bytes | Mapping[str, Any], config: LogsConfig) -> tuple[Record, int]:
    """One checked record.

    Args:
        stream: one of `kdcn_tf.records.STREAMS`.
        line: a JSON object's text, or a row that a reader has decoded.
        config: behaviour kinds and keyword limit.

    Returns:
        The record, and how many of its fields the contract doesn't know (they are ignored).

    Raises:
        RecordError: naming the field and the reason.
    """
    row = line if isinstance(line, Mapping) else decode_json(line)
    fields = Fields(row)
    return _PARSERS[stream](fields, config), sum(name not in KNOWN_FIELDS[stream] for name in row)


def decode_json(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError:
        raise RecordError("", "not UTF-8") from None
    except (ValueError, RecursionError):
        raise RecordError("", "malformed JSON") from None
    if not isinstance(row, dict):
        raise RecordError("", "not a JSON object")
    return row


def parse_extra(line: bytes | Mapping[str, Any], head_type: str, tail_type: str) -> tuple[str, str, str]:
    """Head, relation and tail of a TSV line of extra triples.

    Raises:
        RecordError: not three columns, or one that can't be a key.
    """
    if isinstance(line, Mapping):
        raise RecordError("", "a Parquet row, expected a line of text")
    try:
        columns = line.decode().split("\t")
    except UnicodeDecodeError:
        raise RecordError("", "not UTF-8") from None
    if len(columns) != 3:
        raise RecordError("", f"{len(columns)} columns, expected head, relation, tail")
    for name, kind, column in zip(("head", "relation", "tail"), (head_type, "", tail_type), columns, strict=True):
        _check_key(name, kind, column)
    return columns[0], columns[1], columns[2]


def _check_key(field: str, entity_type: str, raw: str) -> str:
    try:
        keys.entity_key(entity_type, raw)
    except ValueError as error:
        raise RecordError(field, str(error)) from None
    return raw


def _id(fields: Fields, name: str, entity_type: str) -> str:
    return _check_key(name, entity_type, fields.text(name))


def _optional_id(fields: Fields, name: str, entity_type: str) -> str | None:
    return _id(fields, name, entity_type) if fields.has(name) else None


def _timestamp(fields: Fields) -> float:
    value = fields.value("timestamp")
    if isinstance(value, datetime):  # a Parquet column; without a zone it is UTC
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    seconds = fields.number("timestamp")
    if abs(seconds) > LAST_SECOND:
        raise RecordError("timestamp", "not in seconds since 1970")
    return seconds


def _keywords(fields: Fields, name: str, limit: int) -> tuple[str, ...]:
    """Keywords given as a list; those of a text are cut from it."""
    value = fields.value(name)
    found = text.given_keywords(value if isinstance(value, str) else fields.texts(name), limit)
    return _checked_words(name, found)


def _checked_words(field: str, words: Iterable[str]) -> tuple[str, ...]:
    return tuple(_check_key(field, ckg.KEYWORD, word) for word in words)


def _user(fields: Fields, config: LogsConfig) -> User:
    tags = dict.fromkeys(_check_key("tags", ckg.USER_TAG, tag) for tag in fields.texts("tags"))
    return User(_id(fields, "user_id", ckg.USER), tuple(tags))


def _item(fields: Fields, config: LogsConfig) -> Item:
    item_id = _id(fields, "item_id", ckg.ITEM)
    title = fields.text("title")
    return Item(
        item_id=item_id,
        category=_category(fields),
        seller_id=_optional_id(fields, "seller_id", ckg.SELLER),
        properties=_properties(fields),
        stats=fields.numbers("stats"),
        keywords=_keywords(fields, "keywords", config.max_keywords)
        if fields.has("keywords")
        else _checked_words("title", text.keywords(title, config.max_keywords)),
    )


def _category(fields: Fields) -> tuple[str, ...]:
    fields.require("category")
    path = tuple(fields.texts("category"))
    if not path or not all(path):
        raise RecordError("category", "is empty")
    _check_key("category", ckg.CATEGORY, keys.category_key(path))
    return path


def _properties(fields: Fields) -> tuple[tuple[str, str], ...]:
    pairs: dict[tuple[str, str], None] = {}
    for name, value in fields.mapping("properties"):
        _check_key("properties", ckg.PROPERTY, name)
        for one in value if isinstance(value, (list, tuple)) else [value]:
            shown = fields.as_text("properties", one)
            if not shown:
                raise RecordError("properties", "is empty")
            _check_key("properties", ckg.VALUE, keys.value_key(name, shown))
            pairs[name, shown] = None
    return tuple(pairs)


def _session(fields: Fields, config: LogsConfig) -> Session:
    return Session(
        session_id=_id(fields, "session_id", ckg.SESSION),
        user_id=_id(fields, "user_id", ckg.USER),
        timestamp=_timestamp(fields),
        seller_id=_optional_id(fields, "seller_id", ckg.SELLER),
        intention=_optional_id(fields, "intention", ckg.INTENTION),
        keywords=_keywords(fields, "keywords", config.max_keywords)
        if fields.has("keywords")
        else _checked_words("utterances", text.keywords(_spoken(fields), config.max_keywords)),
    )


def _spoken(fields: Fields) -> str:
    lines = []
    utterances = fields.value("utterances") or []
    if not isinstance(utterances, list):
        raise RecordError("utterances", "not a list")
    for utterance in utterances:
        if not isinstance(utterance, Mapping) or not isinstance(utterance.get("text"), str):
            raise RecordError("utterances", "expected objects with a text")
        lines.append(utterance["text"])
    return "\n".join(lines)


def _behavior(fields: Fields, config: LogsConfig) -> Behavior:
    kind = fields.text("behavior")
    if kind not in config.behaviors:
        raise RecordError("behavior", "not one of logs.behaviors")
    return Behavior(_id(fields, "user_id", ckg.USER), _id(fields, "item_id", ckg.ITEM), kind, _timestamp(fields))


def _impression(fields: Fields, config: LogsConfig) -> Impression:
    fields.require("query")
    label = fields.number("label")
    if label not in (0, 1):
        raise RecordError("label", "not 0 or 1")
    weight = fields.number("weight") if fields.has("weight") else 1.0
    if weight < 0 or math.isinf(weight):
        raise RecordError("weight", "is negative")
    return Impression(
        session_id=_id(fields, "session_id", ckg.SESSION),
        user_id=_id(fields, "user_id", ckg.USER),
        timestamp=_timestamp(fields),
        query=_keywords(fields, "query", config.max_keywords),
        item_id=_id(fields, "item_id", ckg.ITEM),
        label=int(label),
        weight=weight,
        stats=fields.numbers("stats"),
        source=fields.text("source") if fields.has("source") else "default",
        position=fields.whole_number("position") if fields.has("position") else records.UNKNOWN_POSITION,
    )


_PARSERS: dict[str, Callable[[Fields, LogsConfig], Record]] = {
    "users": _user,
    "items": _item,
    "sessions": _session,
    "behaviors": _behavior,
    "impressions": _impression,
}
