"""Values of ordinary lines, in the order of their stream's columns; anything else is an `OddError` line.

Sure is only what needs no look at single characters: see `_plain`. All that might be refused, be it
by `pipelines.logs` or not, is odd: `pipelines.logs` decides about it, and finds the words for it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pyarrow as pa

from kdcn_tf import text
from kdcn_tf.config import LogsConfig
from kdcn_tf.keys import MAX_KEY_BYTES
from pipelines import logs
from pipelines.fields import LARGEST, Fields
from pipelines.parsing import shapes, tables
from pipelines.parsing.chunks import Row

_SHORT_LINE = MAX_KEY_BYTES * 5 // 8  # lower case can take half as many bytes again, so no part is longer than a key
_SHORT = MAX_KEY_BYTES // 4  # characters, of at most 4 bytes
_SPECIAL = (b"\\", b"\x7f", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")
_SPECIAL_BYTES = re.compile(b"|".join(map(re.escape, _SPECIAL)))


class OddError(ValueError):
    """A line that may be refused, or whose values are found another way."""


LineParser = Callable[[Row], tuple[tuple, int]]
"""Line -> its values and how many fields it has that the contract doesn't know. Raises `RecordError`."""


def line_parser(stream: str, body: bytes | pa.Table, config: LogsConfig, wants_keywords: bool) -> LineParser:
    """Parser of the lines or rows of a chunk: equal to `logs.parse`, which it asks wherever one isn't ordinary.

    Without `wants_keywords` those of ordinary lines aren't cut and are left out.
    """

    def carefully(line: Row) -> tuple[tuple, int]:
        record, unknown = logs.parse(stream, line, config)
        return tables.ROW_OF[stream](record), unknown

    values = _values(stream, config, wants_keywords)

    def parse_row(row: Any) -> tuple[tuple, int]:
        try:
            found, unknown = shapes.from_row(stream, row)
            return values(found, False), unknown
        except (ValueError, OverflowError, RecursionError):
            return carefully(row)

    if not isinstance(body, bytes):
        # Decimals are no numbers to `pipelines.logs`, but to msgspec. A type's text names those inside it.
        return carefully if any("decimal" in str(kind) for kind in body.schema.types) else parse_row
    decode, is_plain = shapes.decoder(stream).decode, _plain(body)

    def parse(line: Any) -> tuple[tuple, int]:
        try:
            try:
                return values(decode(line), is_plain(line)), 0
            except msgspec.ValidationError:
                decoded, unknown = shapes.with_unknown_fields(stream, line)
                return values(decoded, is_plain(line)), unknown
        except (ValueError, OverflowError, RecursionError):
            return carefully(line)

    return parse


def _plain(body: bytes) -> Callable[[bytes], bool]:
    """Tells of a line in `body` that no key in it can be too long or have a control character.

    JSON has control characters only as escapes, but for DEL and the line ends of Unicode.
    """
    if any(special in body for special in _SPECIAL):
        return lambda line: len(line) <= _SHORT_LINE and not _SPECIAL_BYTES.search(line)
    return lambda line: len(line) <= _SHORT_LINE


def _values(stream: str, config: LogsConfig, wants_keywords: bool) -> Callable[[Any, bool], tuple]:
    limit, kinds = config.max_keywords if wants_keywords else 0, frozenset(config.behaviors)
    found: dict[str, Callable[[Any, bool], tuple]] = {
        "users": _user,
        "items": lambda line, plain: _item(line, plain, limit),
        "sessions": lambda line, plain: _session(line, plain, limit),
        "behaviors": lambda line, plain: _behavior(line, plain, kinds),
    }
    return found[stream]


def _user(line: shapes.User, plain: bool) -> tuple:
    user, given = _id(line.user_id), line.tags
    tags = dict.fromkeys((given,) if type(given) is str else given or ())
    if "" in tags:
        raise OddError
    if not plain:
        _check((user, *tags))
    return user, tags


def _item(line: shapes.Item, plain: bool, limit: int) -> tuple:
    item, title = _id(line.item_id), _id(line.title)
    seller = None if line.seller_id is None else _id(line.seller_id)
    category = [line.category] if type(line.category) is str else line.category
    if not category or "" in category:
        raise OddError
    if line.stats:
        _check_stats(line.stats)
    names, values = _properties(line.properties) if line.properties else ((), ())
    if not plain:
        named = line.properties or {}  # those without any value, too
        _check((item, seller or "", *named, *values))
        _check(category, together=True)
        if values and max(map(len, named)) + max(map(len, values)) >= _SHORT:
            raise OddError
    keywords = _cut(title, plain, limit) if line.keywords is None else _keywords(line.keywords, plain, limit)
    return item, category, seller, names, values, keywords


def _session(line: shapes.Session, plain: bool, limit: int) -> tuple:
    session, user, timestamp = _id(line.session_id), _id(line.user_id), _timestamp(line.timestamp)
    seller = None if line.seller_id is None else _id(line.seller_id)
    intention = None if line.intention is None else _id(line.intention)
    if not plain:
        _check((session, user, seller or "", intention or ""))
    if line.keywords is not None:
        keywords = _keywords(line.keywords, plain, limit)
    elif line.utterances:
        keywords = _cut("\n".join([one.text for one in line.utterances]), plain, limit)
    else:
        keywords = ()
    return session, user, timestamp, seller, intention, keywords


def _behavior(line: shapes.Behavior, plain: bool, kinds: frozenset[str]) -> tuple:
    user, item, kind = _id(line.user_id), _id(line.item_id), line.behavior
    if kind not in kinds:
        raise OddError
    if not plain:
        _check((user, item))
    return user, item, kind, _timestamp(line.timestamp)


def _id(value: shapes.Id) -> str:
    if type(value) is str and value:
        return value
    if type(value) is int:
        return str(value)
    raise OddError


def _timestamp(value: float) -> float:
    if -logs.LAST_SECOND <= value <= logs.LAST_SECOND:
        return float(value)
    raise OddError


def _check_stats(stats: dict[str, float | None]) -> None:
    if "" in stats:
        raise OddError
    for value in stats.values():
        if value is not None and not -LARGEST <= value <= LARGEST:
            raise OddError


def _properties(given: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Names and values of distinct pairs. Raises `OddError` or `RecordError`."""
    names, values = [], []
    if "" in given:
        raise OddError
    for name, value in given.items():
        if type(value) is str:
            names.append(name)
            values.append(value)
        elif type(value) is list:
            distinct = dict.fromkeys([Fields.as_text("properties", one) for one in value])
            names += [name] * len(distinct)
            values += distinct
        elif value is not None:
            names.append(name)
            values.append(Fields.as_text("properties", value))
    if "" in values:
        raise OddError
    return names, values


def _keywords(given: list[str] | str, plain: bool, limit: int) -> Iterable[str]:
    if type(given) is str:
        return _cut(given, plain, limit)
    if not plain:
        _check(given)
    if not limit:
        return ()
    # As `text.given_keywords` does, with fewer calls.
    found = dict.fromkeys([word.strip().lower() for word in given])
    found.pop("", None)
    return found if len(found) <= limit else list(found)[:limit]


def _cut(spoken: str, plain: bool, limit: int) -> Iterable[str]:
    """Keywords of a text, if any are wanted; none may be too long for a key in any case."""
    if not plain and max(map(len, spoken.split()), default=0) > _SHORT:
        raise OddError
    return text.keywords(spoken, limit) if limit else ()


def _check(parts: Iterable[str], together: bool = False) -> None:
    """Control characters, which aren't printable, and lengths: each part's, or that of all and what parts them."""
    joined = "".join(parts)
    if not joined.isprintable():
        raise OddError
    if len(joined) >= _SHORT // 2 and (together or max(map(len, parts)) > _SHORT):
        raise OddError
