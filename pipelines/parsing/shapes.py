"""Ordinary lines, decoded at C speed into typed objects. What isn't ordinary is left to `pipelines.logs`.

A line is ordinary if its fields have the usual types and nothing about it could be refused; then the
values here are those that `logs.parse` finds. The names of the fields are those of the logs.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from pipelines.logs import KNOWN_FIELDS

Id = str | int | float
"""Whole numbers are legal as ids, others aren't: they must not be taken for whole ones."""
Texts = list[str] | str | None
Stats = dict[str, float | None] | None
Shown = str | int | float | bool
Properties = dict[str, Shown | list[Shown] | None] | None


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Null is absent, as it is the default of all that may be."""


class User(_Line):
    user_id: Id
    tags: Texts = None


class Item(_Line):
    item_id: Id
    title: Id
    category: list[str] | str
    seller_id: Id | None = None
    properties: Properties = None
    stats: Stats = None
    keywords: Texts = None


class Utterance(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str
    speaker: str | None = None


class Session(_Line):
    session_id: Id
    user_id: Id
    timestamp: int | float
    seller_id: Id | None = None
    intention: Id | None = None
    utterances: list[Utterance] | None = None
    keywords: Texts = None


class Behavior(_Line):
    user_id: Id
    item_id: Id
    behavior: Id
    timestamp: int | float
    session_id: Id | None = None


Line = User | Item | Session | Behavior
_T = TypeVar("_T", bound=_Line)

SHAPES: dict[str, type[_Line]] = {"users": User, "items": Item, "sessions": Session, "behaviors": Behavior}
_ANY = msgspec.json.Decoder()
_MAPPINGS = {"properties", "stats"}


def decoder(stream: str) -> msgspec.json.Decoder:
    return msgspec.json.Decoder(SHAPES[stream])


def from_row(stream: str, row: Mapping[str, Any]) -> tuple[_Line, int]:
    """A row that a reader has decoded, and how many of its fields are beyond the contract.

    Raises:
        ValueError: it isn't ordinary.
    """
    known = KNOWN_FIELDS[stream]
    kept = {name: value for name, value in row.items() if value is not None and name in known}
    for name in _MAPPINGS & kept.keys():
        kept[name] = _mapping(kept[name])
    return msgspec.convert(kept, SHAPES[stream]), sum(name not in known for name in row)


def _mapping(value: Any) -> Any:
    """Parquet readers give a map as a list of pairs, which may name a key twice."""
    if type(value) is not list or not all(
        type(one) is tuple and len(one) == 2 and type(one[0]) is str for one in value
    ):
        return value
    found = dict(value)
    if len(found) < len(value):
        raise ValueError("a key twice")
    return found


def with_unknown_fields(stream: str, line: bytes) -> tuple[_Line, int]:
    """A line that has fields beyond the contract, and how many.

    Raises:
        ValueError: it isn't ordinary for another reason.
    """
    row, known = _ANY.decode(line), KNOWN_FIELDS[stream]
    if not isinstance(row, dict):
        raise ValueError("not an object")
    kept = {name: value for name, value in row.items() if name in known}
    return msgspec.convert(kept, SHAPES[stream]), len(row) - len(kept)
