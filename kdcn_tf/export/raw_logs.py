"""What a ranking request needs from raw logs, found in one streaming pass per stream."""

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kdcn_tf import files, manifest
from kdcn_tf.errors import DataError
from kdcn_tf.jsonl import json_rows

Record = dict[str, Any]

MIN_SHOWN = 3
"""Candidates that a session needs to serve as an example."""

DAY = 86_400


@dataclass(frozen=True)
class Shown:
    """A logged session: its impressions in order, one per candidate."""

    session_id: str
    user_id: str
    timestamp: float
    query: Any
    impressions: tuple[Record, ...] = field(default=())


def records_of(directory: str, raw: manifest.Manifest, stream: str) -> Iterator[tuple[str, Record]]:
    """Records of a stream, each with its place, file:line.

    Raises:
        DataError: a file isn't JSON Lines.
    """
    for entry in raw.files.get(stream, ()):
        path = files.join(directory, entry.name)
        for line, record in json_rows(path):
            yield f"{path}:{line}", record


def _field(record: Record, name: str, place: str) -> Any:
    if record.get(name) is None:
        raise DataError(f"{place}: {name}: is missing")
    return record[name]


def _text(record: Record, name: str, place: str) -> str:
    """A required text; whole numbers are common as ids."""
    value = _field(record, name, place)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise DataError(f"{place}: {name}: not a text")
    return str(value)


def _check_optional(record: Record, place: str) -> None:
    """Refuses what the pipelines would put aside as a dead letter, where a request is made of it."""
    for name in ("category", "keywords", "query"):
        value = record.get(name) or ""
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            raise DataError(f"{place}: {name}: not a text or a list of texts")
    if not isinstance(record.get("stats") or {}, dict):
        raise DataError(f"{place}: stats: not an object")


def find_items(directory: str, raw: manifest.Manifest, wanted: Iterable[str]) -> dict[str, Record]:
    """Records of items by id; ids that the logs don't know are absent."""
    missing, found = set(wanted), {}
    for place, record in records_of(directory, raw, "items"):
        if not missing:
            break
        item = _text(record, "item_id", place)
        if item in missing:
            _text(record, "title", place)
            _field(record, "category", place)
            _check_optional(record, place)
            found[item] = record
            missing.discard(item)
    return found


def find_history(
    directory: str,
    raw: manifest.Manifest,
    user: str,
    before: float,
    kinds: Iterable[str],
    limit: int,
    days: float | None = None,
) -> dict[str, list[str]]:
    """A user's items per behaviour kind strictly before a moment, latest first; as build-ctr counts them.

    A repeated record is one, and items that the logs don't have are left out before `limit` counts.

    Args:
        directory: of the raw logs.
        raw: their manifest.
        user: id in the logs.
        before: seconds since 1970; infinite for all.
        kinds: behaviour kinds.
        limit: items kept per kind.
        days: back from `before` that count; None for all.
    """
    since = -math.inf if days is None or math.isinf(before) else before - days * DAY
    events: dict[str, set[tuple[float, str]]] = {kind: set() for kind in kinds}
    for place, record in records_of(directory, raw, "behaviors"):
        if _text(record, "user_id", place) != user or _text(record, "behavior", place) not in events:
            continue
        event = (_number(record, place), _text(record, "item_id", place))
        if since <= event[0] < before:
            events[record["behavior"]].add(event)
    known = find_items(directory, raw, {item for found in events.values() for _, item in found})
    return {
        kind: [item for _, item in sorted(found, reverse=True) if item in known][:limit]
        for kind, found in events.items()
    }


def _number(record: Record, place: str) -> float:
    value = _field(record, "timestamp", place)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(f"{place}: timestamp: not a number")
    try:
        return float(value)
    except OverflowError:
        raise DataError(f"{place}: timestamp: is too large") from None


def find_session(directory: str, raw: manifest.Manifest, session: str | None = None) -> Shown:
    """A logged session by id, or the last one in the logs that has a click and `MIN_SHOWN` candidates.

    Impressions of a session stand together in the logs.

    Raises:
        DataError: there is none.
    """
    chosen: Shown | None = None
    rows = records_of(directory, raw, "impressions")
    for name, group in itertools.groupby(rows, key=lambda row: _text(row[1], "session_id", row[0])):
        if session is not None and name != session:
            continue
        shown = _shown(name, list(group))
        if session is not None:
            return shown
        clicked = any(record.get("label") == 1 for record in shown.impressions)
        chosen = shown if clicked and len(shown.impressions) >= MIN_SHOWN else chosen
    if chosen is None:
        any_session = f"session with a click and {MIN_SHOWN} candidates"
        raise DataError(f"{directory}: impressions: no {any_session if session is None else f'session {session!r}'}")
    return chosen


def _shown(name: str, listed: list[tuple[str, Record]]) -> Shown:
    """The impressions of the session's first query."""
    place, first = listed[0]
    query = _field(first, "query", place)
    for where, record in listed:
        _check_optional(record, where)
    impressions = [r for p, r in listed if r.get("query") == query and _text(r, "item_id", p)]
    return Shown(name, _text(first, "user_id", place), _number(first, place), query, tuple(impressions))
