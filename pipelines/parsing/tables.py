"""Good records as Arrow columns: which columns each stream has, and what stands in them."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.logs import Behavior, Item, Session, User
from pipelines.parsing.chunks import Row, digest

_TEXT, _TEXTS, _NUMBER, _WHOLE = pa.string(), pa.list_(pa.string()), pa.float64(), pa.int64()

LINE, DIGEST, KEYWORDS = "line", "digest", "keywords"
SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    "users": {"user_id": _TEXT, "tags": _TEXTS},
    "items": {
        "item_id": _TEXT, "category": _TEXTS, "seller_id": _TEXT, "property_names": _TEXTS, "property_values": _TEXTS,
        KEYWORDS: _TEXTS,
    },
    "sessions": {
        "session_id": _TEXT, "user_id": _TEXT, "timestamp": _NUMBER, "seller_id": _TEXT, "intention": _TEXT,
        KEYWORDS: _TEXTS,
    },
    "behaviors": {"user_id": _TEXT, "item_id": _TEXT, "kind": _TEXT, "timestamp": _NUMBER},
    "extra": {"head": _TEXT, "relation": _TEXT, "tail": _TEXT},
}  # fmt: skip
"""Stream -> its columns; each table also has `line` and `digest`, int64."""


class Parsed(NamedTuple):
    """A chunk's good records as columns in line order, its dead letters and its counts."""

    table: pa.Table
    dead: list[tuple]
    counts: Counter[str]


def _user(record: User) -> tuple:
    return record.user_id, record.tags


def _item(record: Item) -> tuple:
    names, values = zip(*record.properties, strict=True) if record.properties else ((), ())
    return record.item_id, record.category, record.seller_id, names, values, record.keywords


def _session(record: Session) -> tuple:
    return (
        record.session_id, record.user_id, record.timestamp, record.seller_id, record.intention, record.keywords,
    )  # fmt: skip


def _behavior(record: Behavior) -> tuple:
    return record.user_id, record.item_id, record.kind, record.timestamp


ROW_OF: dict[str, Callable[[Any], tuple]] = {
    "users": _user, "items": _item, "sessions": _session, "behaviors": _behavior,
}  # fmt: skip
"""Stream -> values of a record, in the order of the stream's columns."""


def table(
    stream: str, numbers: Sequence[int], lines: Sequence[Row], rows: Sequence[tuple], wanted: frozenset[str] | None
) -> pa.Table:
    """Columns of a stream's good records, those that are wanted (all by default).

    Args:
        stream: key of `SCHEMAS`.
        numbers: where the records stand in their file.
        lines: as they stand there.
        rows: values of the columns, in their order.
        wanted: names of columns; None: all.
    """
    found = {}
    if wanted is None or LINE in wanted:
        found[LINE] = pa.array(numbers, _WHOLE)
    if wanted is None or DIGEST in wanted:
        found[DIGEST] = pa.array(np.frombuffer(b"".join(map(digest, lines)), "<i8"), _WHOLE)
    for place, (name, kind) in enumerate(SCHEMAS[stream].items()):
        if wanted is None or name in wanted:
            values = [row[place] for row in rows]
            found[name] = _texts(values) if kind == _TEXTS else pa.array(values, kind)
    return pa.table(found)


def _texts(values: Sequence[Sequence[str]]) -> pa.ListArray:
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, values), np.int32, len(values)), out=offsets[1:])
    return pa.ListArray.from_arrays(offsets, pa.array(list(chain.from_iterable(values)), _TEXT))
