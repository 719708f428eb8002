"""The simulated shop: every user, item and session follows from (seed, kind, number) alone.

Nothing is kept but a bounded cache, so a log of any size streams in constant memory, and two runs with
one seed write the same bytes.

The click model. Attribute values, user tags and intentions each belong to one of a few tastes. Which
is which shows in the knowledge graph (values of one taste meet in items, tags in users, keywords in
intentions), while the click examples hold only ids, each in a handful of impressions:

    logit p = b + a_1 <taste of the user's tags, taste of the item's values>
                + a_2 (item in the wanted category + share of its values of the wanted taste)
                + a_3 rating

with each term standardised. Clicks depend on nothing else, so p is what an ideal model would predict.
"""

import functools
from dataclasses import dataclass

import numpy as np

from kdcn_tf.config import SimulateConfig
from pipelines.datasets.lexicon import LEXICONS, TASTES, VALUES

WEIGHTS = (1.2, 1.2, 0.5)
"""a_1, a_2, a_3, in logits per standard deviation."""

TABLE_I = np.array([139_167, 57_263, 104_182, 93_180, 157_027, 87_537, 55_069, 49_455, 98_705, 58_410])
"""Training records of the paper's Table I, in the order of the lexicons' categories."""

IN_CATEGORY = 0.7  # share of candidates from the wanted top category
MAIN_TASTE = 0.65  # share of an item's values, and of a user's tags, of its main taste
TAGS, SESSION_KEYWORDS, QUERY_KEYWORDS = 3, 4, 2
_KINDS = {"user": 1, "item": 2, "session": 3, "clicks": 4, "history": 5, "words": 6}
_CACHED = 50_000
_CALIBRATION_SESSIONS = 2_000


@dataclass(frozen=True)
class User:
    number: int
    tags: tuple[int, ...]
    tastes: np.ndarray  # [TASTES], shares of the tags


@dataclass(frozen=True)
class Item:
    number: int
    top: int
    second: int
    values: tuple[int, ...]  # one per property
    tastes: np.ndarray  # [TASTES], shares of the values
    named: int  # the one property whose value stands in the title
    price: float
    sales: int
    rating: float


@dataclass(frozen=True)
class Intention:
    number: int
    top: int
    taste: int


@dataclass(frozen=True)
class Session:
    number: int
    user: int
    seller: int
    intention: Intention
    keywords: tuple[int, ...]  # numbers of nuances
    candidates: tuple[int, ...]
    place: float  # in [0, 1), of the simulated period


class World:
    """All entities of one configuration.

    Args:
        config: sizes, seed and click rate.
    """

    def __init__(self, config: SimulateConfig):
        self.config = config
        self.lexicon = LEXICONS[config.language]
        self._tops = list(self.lexicon.categories)
        self._seconds = len(next(iter(self.lexicon.categories.values())))
        self._shares = TABLE_I / TABLE_I.sum() if config.categories == "paper" else None
        self.item = functools.lru_cache(_CACHED)(self._make_item)
        self.user = functools.lru_cache(_CACHED)(self._make_user)
        self._moments, self._bias = np.tile([0.0, 1.0], (3, 1)), 0.0
        self._calibrate()

    def random(self, kind: str, number: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.config.seed, _KINDS[kind] << 48 | number]))

    def _make_user(self, number: int) -> User:
        random = self.random("user", number)
        main = random.integers(TASTES)
        tastes = np.where(random.random(TAGS) < MAIN_TASTE, main, random.integers(TASTES, size=TAGS))
        per_taste = len(self.lexicon.tags) // TASTES
        tags = tastes + TASTES * random.integers(per_taste, size=TAGS)
        return User(number, tuple(map(int, tags)), np.bincount(tastes, minlength=TASTES) / TAGS)

    def _make_item(self, number: int) -> Item:
        random = self.random("item", number)
        count = len(self.lexicon.properties)
        main = random.integers(TASTES)
        tastes = np.where(random.random(count) < MAIN_TASTE, main, random.integers(TASTES, size=count))
        values = tastes + TASTES * random.integers(VALUES // TASTES, size=count)
        # The category follows from the number, so that candidates of a category need no index.
        leaf = number % (len(self._tops) * self._seconds)
        return Item(
            number=number,
            top=leaf % len(self._tops),
            second=leaf // len(self._tops),
            values=tuple(map(int, values)),
            tastes=np.bincount(tastes, minlength=TASTES) / count,
            named=int(random.integers(count)),
            price=round(float(random.lognormal(3.5, 0.8)), 2),
            sales=int(random.lognormal(4.0, 1.5)),
            rating=round(float(np.clip(random.normal(4.2, 0.4), 1, 5)), 1),
        )

    def intention(self, number: int) -> Intention:
        random = np.random.Generator(np.random.Philox(key=[self.config.seed, number]))
        top, taste = int(random.integers(len(self._tops))), int(random.integers(TASTES))
        # Sizes are given for every category, so each must have an intention: they take them in turn.
        return Intention(number, top if self._shares is None else number % len(self._tops), taste)

    def _draw_intention(self, random: np.random.Generator) -> Intention:
        count = len(self.lexicon.occasions)
        if self._shares is None:
            return self.intention(int(random.integers(count)))
        return self.intention(int(random.choice(range(self._draw_top(random), count, len(self._tops)))))

    def _draw_top(self, random: np.random.Generator) -> int:
        return int(random.choice(len(self._tops), p=self._shares))

    def session(self, number: int) -> Session:
        random = self.random("session", number)
        config = self.config
        intention = self._draw_intention(random)
        keywords = random.permutation(len(self.lexicon.nuances))[:SESSION_KEYWORDS]
        return Session(
            number=number,
            user=int(random.integers(config.users)),
            seller=int(random.integers(config.sellers)),
            intention=intention,
            keywords=tuple(map(int, keywords)),
            candidates=tuple(self._candidates(random, intention)),
            place=(number + float(random.random())) / config.sessions,
        )

    def _candidates(self, random: np.random.Generator, intention: Intention) -> list[int]:
        count = min(self.config.impressions_per_session, self.config.items)
        found: dict[int, None] = {}
        while len(found) < count:
            number = int(random.integers(self.config.items))
            step = len(self._tops)
            if random.random() < IN_CATEGORY:
                number = number // step * step + intention.top
            elif self._shares is not None:
                number = number // step * step + self._draw_top(random)
            if number < self.config.items:
                found.setdefault(number)
        return list(found)

    def history(self, number: int) -> list[tuple[int, str, float]]:
        """A user's behaviours: (item, kind, place in the period). Of four items the one to its taste is likelier."""
        random = self.random("history", number)
        tastes = self.user(number).tastes
        found = []
        for _ in range(random.poisson(self.config.behaviors_per_user)):
            offered = random.integers(self.config.items, size=4)
            liking = np.exp([6.0 * tastes @ self.item(int(i)).tastes for i in offered])
            item = int(random.choice(offered, p=liking / liking.sum()))
            kind = str(random.choice(["click", "cart", "favorite", "purchase"], p=[0.6, 0.2, 0.12, 0.08]))
            found.append((item, kind, float(random.random())))
        return found

    def clicks(self, session: Session) -> list[tuple[Item, float, bool]]:
        """(candidate, click probability, click) of a session's impressions."""
        draws = self.random("clicks", session.number).random(len(session.candidates))
        shown = [self.item(number) for number in session.candidates]
        logits = self._bias + self._standardised(session, shown) @ np.array(WEIGHTS)
        probabilities = 1.0 / (1.0 + np.exp(-logits))
        return [(i, float(p), bool(d < p)) for i, p, d in zip(shown, probabilities, draws, strict=True)]

    def _standardised(self, session: Session, shown: list[Item]) -> np.ndarray:
        mean, deviation = self._moments.T
        return (self._terms(session, shown) - mean) / deviation

    def _terms(self, session: Session, shown: list[Item]) -> np.ndarray:
        """The three terms of the click model, [candidates, 3]."""
        tastes = self.user(session.user).tastes
        wanted = session.intention
        return np.array(
            [
                (tastes @ item.tastes, 0.5 * (item.top == wanted.top) + item.tastes[wanted.taste], item.rating)
                for item in shown
            ]
        )

    def _calibrate(self) -> None:
        """Moments of the terms, and b by bisection to the wanted click rate, from the first sessions."""
        sessions = [self.session(n) for n in range(min(_CALIBRATION_SESSIONS, self.config.sessions))]
        terms = np.concatenate([self._terms(s, [self.item(i) for i in s.candidates]) for s in sessions])
        self._moments = np.stack([terms.mean(axis=0), np.maximum(terms.std(axis=0), 1e-9)], axis=1)
        logits = ((terms - self._moments[:, 0]) / self._moments[:, 1]) @ np.array(WEIGHTS)
        low, high = -20.0, 20.0
        for _ in range(60):
            self._bias = (low + high) / 2
            rate = float(np.mean(1 / (1 + np.exp(-(logits + self._bias)))))
            low, high = (self._bias, high) if rate < self.config.click_rate else (low, self._bias)

    def title(self, item: Item) -> str:
        """Names one of the item's values, its category, and a model number."""
        values = list(self.lexicon.properties.values())
        second = self.lexicon.categories[self._tops[item.top]][item.second]
        return self.lexicon.joiner.join([values[item.named][item.values[item.named]], second, f"m{item.number}"])

    def category(self, item: Item) -> list[str]:
        top = self._tops[item.top]
        return [top, self.lexicon.categories[top][item.second]]

    def keyword(self, session: Session, index: int) -> str:
        """The index-th keyword of a session: an occasion in one of many wordings."""
        nuance = self.lexicon.nuances[session.keywords[index]]
        occasion = self.lexicon.occasions[session.intention.number]
        return f"{nuance}-{occasion}" if self.config.language == "en" else nuance + occasion
