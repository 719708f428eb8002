"""CTR examples of one user: what was known before each impression. Pure functions, no Beam."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kdcn_tf import records
from kdcn_tf.config import Config
from kdcn_tf.records import OOV_ID
from pipelines.triples import TEST, TRAIN, VALID

_DAY = 86_400


class Event(NamedTuple):
    """A behaviour: ordered by time, then by kind and item, so that ties have one order."""

    timestamp: float
    kind: int
    item: int


class Shown(NamedTuple):
    """An impression with everything but the user's history; ids are those of the graph."""

    timestamp: float
    session: int
    item: int
    label: int
    weight: float
    source: str
    position: int
    query: list[int]
    title: list[int]
    categories: list[int]
    stats: list[tuple[str, float]]


def split_of(timestamp: float, train_end: float, valid_end: float) -> str:
    """Split by time: train < train_end <= valid < valid_end <= test."""
    if timestamp < train_end:
        return TRAIN
    return VALID if timestamp < valid_end else TEST


def known(ids: Iterable[int], limit: int) -> list[int]:
    """The first `limit` ids that the graph knows."""
    return [one for one in ids if one != OOV_ID][:limit]


def with_history(
    events: Iterable[Event], shown: Iterable[Shown], *, kinds: int, limit: int, window: float | None
) -> Iterator[tuple[Shown, list[list[int]]]]:
    """Each impression with the items of each behaviour kind strictly before it, latest first.

    One sweep over both in order of time: linear after sorting, also for a user with very many of both.

    Args:
        events: the user's behaviours.
        shown: the user's impressions.
        kinds: number of behaviour kinds k.
        limit: items kept per kind L.
        window: seconds before the impression that count; None for all.
    """
    recent: list[deque[Event]] = [deque(maxlen=limit) for _ in range(kinds)]
    waiting = deque(sorted(events))
    for impression in sorted(shown):
        while waiting and waiting[0].timestamp < impression.timestamp:
            event = waiting.popleft()
            recent[event.kind].append(event)
        if window is not None:
            for queue in recent:
                while queue and queue[0].timestamp < impression.timestamp - window:
                    queue.popleft()
        yield impression, [[event.item for event in reversed(queue)] for queue in recent]


def example(
    shown: Shown, *, user: int, behaviors: dict[str, list[int]], dense_names: Sequence[str]
) -> bytes:  # fmt: skip
    """Serialized CTR example (`kdcn_tf.records`); a missing statistic is NaN."""
    stats = dict(shown.stats)
    return records.encode(
        ints={
            records.TIMESTAMP: [math.floor(shown.timestamp)],
            records.SESSION: [shown.session],
            records.POSITION: [shown.position],
            records.USER: [user],
            records.ITEM: [shown.item],
            records.QUERY_KEYWORDS: shown.query,
            records.TITLE_KEYWORDS: shown.title,
            records.CATEGORIES: shown.categories,
            **{records.behavior_key(kind): items for kind, items in behaviors.items()},
        },
        floats={
            records.LABEL: [shown.label],
            records.WEIGHT: [shown.weight],
            records.DENSE: [stats.get(name, math.nan) for name in dense_names],
        },
        texts={records.SOURCE: [shown.source.encode()]},
    )


def user_examples(
    events: Iterable[Event], shown: Iterable[Shown], *, user: int, dense_names: Sequence[str], config: Config
) -> Iterator[tuple[float, bytes]]:
    """(timestamp, serialized example) of each of a user's impressions."""
    days = config.ctr.history_days
    kinds = config.logs.behaviors
    swept = with_history(
        events, shown, kinds=len(kinds), limit=config.ctr.max_behaviors, window=None if days is None else days * _DAY
    )
    for impression, histories in swept:
        behaviors = dict(zip(kinds, histories, strict=True))
        yield impression.timestamp, example(impression, user=user, behaviors=behaviors, dense_names=dense_names)
