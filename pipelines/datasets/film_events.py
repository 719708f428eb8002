"""What MovieLens ratings and ReDial dialogues tell about films, as timed events, strictly from the past."""

import bisect
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdcn_tf import text
from pipelines.datasets.movielens import MovieLens, Rating
from pipelines.datasets.redial import DID_NOT_SAY, LIKED, MENTION, Dialogue, Redial

LIKE, DISLIKE, MENTIONED, TAGGED = "like", "dislike", "mention", "tag"
BEHAVIORS = (LIKE, DISLIKE, MENTIONED, TAGGED)
MOVIELENS, REDIAL = "movielens", "redial"
"""Names of the sources, and prefixes of their users' and sessions' ids."""

LIKED_STARS = 4.0
DAY = 86_400
QUERY_KEYWORDS = 16

_PRIOR_STARS, _PRIOR_WEIGHT = 3.5, 5.0  # a mean over few ratings leans to this

Record = dict[str, Any]


@dataclass
class _Tally:
    count: int = 0
    total: float = 0.0

    def mean(self) -> float:
        return (self.total + _PRIOR_STARS * _PRIOR_WEIGHT) / (self.count + _PRIOR_WEIGHT)

    def add(self, stars: float) -> None:
        self.count += 1
        self.total += stars


@dataclass
class PastRatings:
    """Statistics of all ratings strictly before a moment, which may only go forward."""

    ratings: list[Rating]
    film_of: dict[str, str]
    _films: dict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    _users: dict[str, _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    _next: int = 0

    def advance(self, timestamp: float) -> None:
        while self._next < len(self.ratings) and self.ratings[self._next].timestamp < timestamp:
            rating = self.ratings[self._next]
            self._films[self.film_of[rating.movie]].add(rating.stars)
            self._users[rating.user].add(rating.stars)
            self._next += 1

    def of_film(self, film: str) -> dict[str, float]:
        tally = self._films.get(film, _Tally())
        return {"film_ratings": float(tally.count), "film_mean_stars": round(tally.mean(), 4)}

    def of_user(self, user: str) -> dict[str, float]:
        tally = self._users.get(user, _Tally())
        return {"user_ratings": float(tally.count), "user_mean_stars": round(tally.mean(), 4)}


@dataclass(frozen=True)
class Placed:
    """A dialogue and the second of its first message."""

    dialogue: Dialogue
    start: int

    @property
    def judged(self) -> int:
        """Second of the seeker's own word on the films, after the last message."""
        return self.start + self.dialogue.length + 1


def place(
    dialogues: Iterable[Dialogue], timestamps: list[int], shares: Sequence[tuple[float, float]] = ()
) -> list[Placed]:
    """Gives dialogues, which have an order and no date, a place in the period of other events.

    The i-th of n starts at the i/n quantile of `timestamps` (sorted), or just after the one before.

    Args:
        dialogues: in order.
        timestamps: of the other events.
        shares: pairs of a share of the dialogues and the quantile at which it ends, ascending; evenly between them.
    """
    listed = list(dialogues)
    placed, free = [], timestamps[0]
    ends, quantiles = zip((0.0, 0.0), *shares, (1.0, 1.0), strict=True)
    for index, dialogue in enumerate(listed):
        quantile = np.interp(index / len(listed), ends, quantiles)
        start = max(free, timestamps[int(quantile * len(timestamps))])
        placed.append(Placed(dialogue, start))
        free = placed[-1].judged + 1
    return placed


def redial_user(seeker: str) -> str:
    return f"{REDIAL}:{seeker}"


def movielens_user(user: str) -> str:
    return f"{MOVIELENS}:{user}"


def redial_sessions(redial: Redial, placed: Iterable[Placed]) -> Iterator[Record]:
    for one in placed:
        yield {
            "session_id": f"{REDIAL}:{one.dialogue.number}",
            "user_id": redial_user(one.dialogue.seeker),
            "timestamp": one.start,
            "keywords": text.keywords("\n".join(spoken(one.dialogue)), QUERY_KEYWORDS),
            "utterances": [
                {"speaker": "user" if m.by_seeker else "assistant", "text": _titles_in(m.text, redial.titles)}
                for m in one.dialogue.messages
            ],
        }


def _titles_in(message: str, titles: dict[str, str]) -> str:
    return MENTION.sub(lambda found: titles.get(found[1], found[0]), message)


def spoken(dialogue: Dialogue, before: int | None = None) -> list[str]:
    """What the seeker said, mentions of films left out, newest first; with `before`, up to that message."""
    messages = dialogue.messages[:before]
    return [MENTION.sub(" ", m.text) for m in reversed(messages) if m.by_seeker]


def first_mentions(dialogue: Dialogue, by_seeker: bool = False) -> dict[str, int]:
    """Movie id -> index of the first message (of the seeker) that mentions it."""
    found: dict[str, int] = {}
    for index, message in enumerate(dialogue.messages):
        if message.by_seeker or not by_seeker:
            for movie in MENTION.findall(message.text):
                found.setdefault(movie, index)
    return found


def redial_behaviors(placed: Iterable[Placed], film_of: dict[str, str]) -> Iterator[Record]:
    """Mentions by the seeker when they are made; likes and dislikes, told after the dialogue, just after it."""
    for one in placed:
        dialogue, user = one.dialogue, redial_user(one.dialogue.seeker)
        for movie, index in first_mentions(dialogue, by_seeker=True).items():
            if movie in film_of:
                when = one.start + dialogue.messages[index].seconds
                yield behavior(user, film_of[movie], MENTIONED, when)
        for movie, liked in dialogue.liked.items():
            if liked != DID_NOT_SAY:
                kind = LIKE if liked == LIKED else DISLIKE
                yield behavior(user, film_of[movie], kind, one.judged)


def movielens_behaviors(movielens: MovieLens, film_of: dict[str, str]) -> Iterator[Record]:
    for rating in movielens.ratings:
        kind = LIKE if rating.stars >= LIKED_STARS else DISLIKE
        yield behavior(movielens_user(rating.user), film_of[rating.movie], kind, rating.timestamp)
    for tagging in movielens.taggings:
        yield behavior(movielens_user(tagging.user), film_of[tagging.movie], TAGGED, tagging.timestamp)


def behavior(user: str, item: str, kind: str, timestamp: int) -> Record:
    return {"user_id": user, "item_id": item, "behavior": kind, "timestamp": timestamp}


def movielens_session(rating: Rating) -> str:
    """A user's day."""
    return f"{MOVIELENS}:{rating.user}:{rating.timestamp // DAY}"


def movielens_sessions(movielens: MovieLens) -> Iterator[Record]:
    seen = set()
    for rating in movielens.ratings:
        name = movielens_session(rating)
        if name not in seen:
            seen.add(name)
            yield {"session_id": name, "user_id": movielens_user(rating.user), "timestamp": rating.timestamp}


def movielens_impressions(movielens: MovieLens, film_of: dict[str, str]) -> Iterator[Record]:
    """Every rating as an impression; a click is a rating of `LIKED_STARS` or more."""
    past = PastRatings(movielens.ratings, film_of)
    for rating in movielens.ratings:
        past.advance(rating.timestamp)
        film = film_of[rating.movie]
        yield {
            "session_id": movielens_session(rating),
            "user_id": movielens_user(rating.user),
            "timestamp": rating.timestamp,
            "query": "",
            "item_id": film,
            "label": int(rating.stars >= LIKED_STARS),
            "stats": {**past.of_film(film), **past.of_user(rating.user)},
            "source": MOVIELENS,
        }


def redial_impressions(placed: Iterable[Placed], film_of: dict[str, str], past: PastRatings) -> Iterator[Record]:
    """Every film that the seeker judged, when it is first mentioned; the query is what the seeker said before.

    Films that the seeker did not judge, or that no message mentions, are left out; see `unjudged`.
    """
    for one in placed:
        dialogue = one.dialogue
        mentioned = first_mentions(dialogue)
        judged = [m for m in mentioned if dialogue.liked.get(m, DID_NOT_SAY) != DID_NOT_SAY]
        for movie in sorted(judged, key=lambda m: (mentioned[m], m)):
            index = mentioned[movie]
            when = one.start + dialogue.messages[index].seconds
            past.advance(when)
            yield {
                "session_id": f"{REDIAL}:{dialogue.number}",
                "user_id": redial_user(dialogue.seeker),
                "timestamp": when,
                "query": text.keywords("\n".join(spoken(dialogue, index)), QUERY_KEYWORDS),
                "item_id": film_of[movie],
                "label": int(dialogue.liked[movie] == LIKED),
                "stats": past.of_film(film_of[movie]),
                "source": REDIAL,
            }


def unjudged(dialogues: Iterable[Dialogue]) -> dict[str, int]:
    """How many films of the dialogues become no impression, by reason."""
    counts = {"no_answer": 0, "not_mentioned": 0}
    for dialogue in dialogues:
        mentioned = first_mentions(dialogue)
        for movie, liked in dialogue.liked.items():
            if liked == DID_NOT_SAY:
                counts["no_answer"] += 1
            elif movie not in mentioned:
                counts["not_mentioned"] += 1
    return counts


def split_times(timestamps: list[int], train_share: float, valid_share: float) -> tuple[float, float]:
    """Moments at which training and validation end, at these quantiles of sorted `timestamps`."""
    train, valid = (timestamps[int(len(timestamps) * share)] for share in (train_share, valid_share))
    return float(train), float(max(valid, train))


def before(events: list, moment: float) -> list:
    """The part of time-ordered events strictly before a moment."""
    return events[: bisect.bisect_left(events, moment, key=lambda e: e.timestamp)]
