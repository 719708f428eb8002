"""Simulates the raw logs of a shopping assistant, at any size, from a seed.

Clicks follow a known probability, so the best AUC that any model can reach is known: it is printed at
the end and kept in the manifest. What decides a click (pipelines.datasets.world) shows in the knowledge
graph and hardly in the click examples, which is what pretraining is for.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, options
from kdcn_tf.config import SimulateConfig
from pipelines.datasets.ceiling import ScoreHistogram
from pipelines.datasets.raw import RawWriter
from pipelines.datasets.world import QUERY_KEYWORDS, World

NAME = "simulate"
log = logging.getLogger(__name__)

START = 1_700_000_000  # seconds since 1970, an arbitrary day
DAY = 86_400
SOURCE = "simulated"
TRAIN_SHARE, VALID_SHARE = 0.8, 0.9
"""Places in the period where training and validation end."""


def users(world: World) -> Iterator[dict[str, Any]]:
    for number in range(world.config.users):
        yield {"user_id": f"u{number}", "tags": [world.lexicon.tags[t] for t in world.user(number).tags]}


def items(world: World) -> Iterator[dict[str, Any]]:
    names = world.lexicon.properties
    for number in range(world.config.items):
        item = world.item(number)
        yield {
            "item_id": f"i{number}",
            "title": world.title(item),
            "category": world.category(item),
            "seller_id": f"s{number % world.config.sellers}",
            "properties": {name: names[name][value] for name, value in zip(names, item.values, strict=True)},
            "stats": {"price": item.price, "sales": item.sales, "rating": item.rating},
        }


def sessions(world: World) -> Iterator[dict[str, Any]]:
    for number in range(world.config.sessions):
        session = world.session(number)
        words = [world.keyword(session, index) for index in range(len(session.keywords))]
        random = world.random("words", number)
        said = ", ".join(words)
        shown = world.title(world.item(session.candidates[int(random.integers(len(session.candidates)))]))
        yield {
            "session_id": f"c{number}",
            "user_id": f"u{session.user}",
            "timestamp": instant(world.config, session.place),
            "seller_id": f"s{session.seller}",
            "intention": world.lexicon.occasions[session.intention.number],
            "keywords": words,
            "utterances": [
                {"speaker": "user", "text": str(random.choice(world.lexicon.ask)).format(words=said)},
                {"speaker": "assistant", "text": str(random.choice(world.lexicon.offer)).format(item=shown)},
            ],
        }


def behaviors(world: World) -> Iterator[dict[str, Any]]:
    for number in range(world.config.users):
        for item, kind, place in world.history(number):
            when = instant(world.config, place)
            yield {"user_id": f"u{number}", "item_id": f"i{item}", "behavior": kind, "timestamp": when}


class Impressions:
    """Streams the impressions and keeps count of what the best model would reach."""

    def __init__(self, world: World):
        self._world = world
        self._best = {"all": ScoreHistogram(), "test": ScoreHistogram()}
        self._drawn = {"all": ScoreHistogram(), "test": ScoreHistogram()}
        self._clicks = self._count = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in range(self._world.config.sessions):
            session = self._world.session(number)
            periods = ["all"] + (["test"] if session.place >= VALID_SHARE else [])
            query = [self._world.keyword(session, index) for index in range(QUERY_KEYWORDS)]
            for position, (item, probability, clicked) in enumerate(self._world.clicks(session)):
                for period in periods:
                    self._best[period].add(probability, probability)
                    self._drawn[period].add(probability, float(clicked))
                self._clicks += clicked
                self._count += 1
                yield {
                    "session_id": f"c{number}",
                    "user_id": f"u{session.user}",
                    "timestamp": instant(self._world.config, session.place),
                    "query": query,
                    "item_id": f"i{item.number}",
                    "label": int(clicked),
                    "position": position,
                    "source": SOURCE,
                }

    def figures(self) -> dict[str, float | None]:
        """AUC ceilings, of the draw of labels expected and made, and the click rate."""
        found: dict[str, float | None] = {}
        for period in ("all", "test"):
            found[f"bayes_auc_{period}"] = self._best[period].auc
            found[f"drawn_auc_{period}"] = self._drawn[period].auc
        return {**found, "click_rate": self._clicks / self._count}


def instant(config: SimulateConfig, place: float) -> int:
    """Seconds since 1970 of a place in [0, 1) of the period."""
    return START + int(place * config.days * DAY)


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    command.output_flags(values, "the raw logs")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "output")
    config = command.resolve_config(values)
    writer = RawWriter(values.output, values.overwrite)
    world = World(config.simulate)
    impressions = Impressions(world)
    streams = {"users": users(world), "items": items(world), "sessions": sessions(world),
               "behaviors": behaviors(world), "impressions": iter(impressions)}  # fmt: skip
    for name, records in streams.items():
        log.info("%s: %s records", name, f"{writer.stream(name, records):,}")
    figures = impressions.figures()
    suggested = {
        "time.train_end": float(instant(config.simulate, TRAIN_SHARE)),
        "time.valid_end": float(instant(config.simulate, VALID_SHARE)),
    }
    writer.finish(config, suggested, {"simulation": figures})
    print(f"best possible AUC: {options.readable(figures)}")


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
