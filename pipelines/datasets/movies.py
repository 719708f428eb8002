"""Turns ReDial conversations, DBpedia triples and MovieLens ratings into raw logs.

    kdcn import movies --redial=DIR --movielens=DIR --output=RAW

Films of the two sources are joined by normalised title and year. A rating of four stars or more is a
click; so is a film that a ReDial seeker liked. ReDial has an order and no dates, so its dialogues are
spread over the period of the ratings, with more of them in validation and testing, as they are few. Whatever an
impression carries is from before it.

With --until only what was before that share of the ratings is imported, and divided in the same way: a period with a
test of its own, to choose settings by. At 0.8 it ends where training on the whole ends.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from absl import flags

from kdcn_tf import command, options
from kdcn_tf.errors import ConfigError, DataError
from pipelines.datasets import film_catalogue, film_events, movielens, redial
from pipelines.datasets.film_catalogue import Catalogue
from pipelines.datasets.movielens import MovieLens, Tagging
from pipelines.datasets.raw import RawWriter
from pipelines.datasets.redial import Redial

NAME = "import movies"
TRAIN_SHARE, VALID_SHARE = 0.8, 0.9
"""Quantiles of the ratings' times at which training and validation end."""

TRAIN_DIALOGUES, VALID_DIALOGUES = 0.6, 0.75
"""Shares of the dialogues before these moments: 533 of their films are disliked, and testing needs a part of them."""

ITEM, DBPEDIA = "item", "dbpedia"
log = logging.getLogger(__name__)


def extra_triples(
    directory: str, items_of: dict[str, list[str]], head_type: str, tail_type: str
) -> Iterator[tuple[str, str, str]]:
    """DBpedia triples whose ends have these types; the name of a film is replaced by its item."""
    for head, relation, tail in redial.dbpedia_triples(directory):
        if _type(head, items_of) == head_type and _type(tail, items_of) == tail_type:
            for head_key in items_of.get(head, [head]):
                for tail_key in items_of.get(tail, [tail]):
                    yield head_key, relation, tail_key


def _type(entity: str, items_of: dict[str, list[str]]) -> str:
    return ITEM if entity in items_of else DBPEDIA


def users(source: MovieLens, training: Iterable[Tagging], seekers: Iterable[str]) -> Iterator[dict[str, Any]]:
    """MovieLens users with the tags that they gave in the training period, then ReDial's seekers."""
    tags: dict[str, dict[str, None]] = defaultdict(dict)
    for tagging in training:
        if tagging.tag:
            tags[tagging.user].setdefault(tagging.tag)
    for user in sorted({rating.user for rating in source.ratings} | {t.user for t in source.taggings}):
        yield {"user_id": film_events.movielens_user(user), "tags": list(tags.get(user, ()))}
    for seeker in sorted(set(seekers)):
        yield {"user_id": film_events.redial_user(seeker)}


def _item_tags(training: Iterable[Tagging], film_of: dict[str, str]) -> dict[str, list[str]]:
    tags: dict[str, dict[str, None]] = defaultdict(dict)
    for tagging in training:
        if tagging.tag:
            tags[film_of[tagging.movie]].setdefault(tagging.tag)
    return {film: list(found) for film, found in tags.items()}


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    flags.DEFINE_string("redial", None, "folder with *_data.jsonl and the film tables", flag_values=values)
    flags.DEFINE_string("movielens", None, "folder with movies.csv, ratings.csv and tags.csv", flag_values=values)
    flags.DEFINE_float(
        "until", 1.0, "share of the ratings, by time, after which nothing is imported", flag_values=values
    )
    command.output_flags(values, "the raw logs")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "redial", "movielens", "output")
    command.output_apart(values, "redial", "movielens")
    if not 0 < values.until <= 1:
        raise ConfigError(f"--until={values.until} isn't in (0, 1]")
    config = command.resolve_config(values)
    ratings, dialogues = movielens.read(values.movielens, config.logs.max_bad_share), redial.read(values.redial)
    if not ratings.ratings or not dialogues.dialogues:
        raise DataError(f"{values.movielens}, {values.redial}: no ratings or no dialogues")
    catalogue = film_catalogue.build(ratings, dialogues)
    if values.until < 1:
        ratings, dialogues = _earlier(ratings, dialogues, values.until)
    writer = RawWriter(values.output, values.overwrite)
    train_end, valid_end = film_events.split_times(ratings.times, TRAIN_SHARE, VALID_SHARE)
    _write(writer, values.redial, ratings, dialogues, catalogue, train_end)
    suggested = {
        "time.train_end": train_end,
        "time.valid_end": valid_end,
        "logs.behaviors": list(film_events.BEHAVIORS),
    }
    joined = {
        "films": len(catalogue.films),
        "films_of_movielens": len(set(catalogue.of_movielens.values())),
        "films_of_redial": len(set(catalogue.of_redial.values())),
        "films_of_both": catalogue.shared(),
        **{f"movielens_{file}_of_unknown_films": n for file, n in ratings.unknown.items()},
        **{f"redial_{reason}": n for reason, n in film_events.unjudged(dialogues.dialogues).items()},
    }
    writer.finish(config, suggested, {"join": joined, "until": values.until})
    print(options.readable(joined))


def _place(ratings: MovieLens, dialogues: Redial) -> list[film_events.Placed]:
    shares = [(TRAIN_DIALOGUES, TRAIN_SHARE), (VALID_DIALOGUES, VALID_SHARE)]
    return film_events.place(dialogues.dialogues, ratings.times, shares)


def _earlier(ratings: MovieLens, dialogues: Redial, share: float) -> tuple[MovieLens, Redial]:
    """What was over before a share of the ratings; a dialogue ends where it does among all of them."""
    end = ratings.times[int(share * len(ratings.times))]
    rated, tagged = film_events.before(ratings.ratings, end), film_events.before(ratings.taggings, end)
    over = [one.dialogue for one in _place(ratings, dialogues) if one.judged < end]
    if not rated or not over:
        raise DataError(f"--until={share}: no ratings or no dialogues before it")
    return replace(ratings, ratings=rated, taggings=tagged), replace(dialogues, dialogues=over)


def _write(
    writer: RawWriter, folder: str, ratings: MovieLens, dialogues: Redial, catalogue: Catalogue, end: float
) -> None:
    placed = _place(ratings, dialogues)
    tagged = film_events.before(ratings.taggings, end)
    past = film_events.PastRatings(ratings.ratings, catalogue.of_movielens)
    past.advance(end)
    stats = {film: past.of_film(film) for film in catalogue.films}
    seekers = [dialogue.seeker for dialogue in dialogues.dialogues]
    fresh = film_events.PastRatings(ratings.ratings, catalogue.of_movielens)
    streams: dict[str, list[Iterator[dict[str, Any]]]] = {
        "users": [users(ratings, tagged, seekers)],
        "items": [film_catalogue.items(catalogue, _item_tags(tagged, catalogue.of_movielens), stats)],
        "sessions": [film_events.movielens_sessions(ratings), film_events.redial_sessions(dialogues, placed)],
        "behaviors": [
            film_events.movielens_behaviors(ratings, catalogue.of_movielens),
            film_events.redial_behaviors(placed, catalogue.of_redial),
        ],
        "impressions": [
            film_events.movielens_impressions(ratings, catalogue.of_movielens),
            film_events.redial_impressions(placed, catalogue.of_redial, fresh),
        ],
    }
    for name, parts in streams.items():
        count = writer.stream(name, (record for part in parts for record in part))
        log.info("%s: %s records", name, f"{count:,}")
    if not dialogues.dbpedia:
        return
    items_of = catalogue.items_of_entity()
    for head in (ITEM, DBPEDIA):
        for tail in (ITEM, DBPEDIA):
            count = writer.extra(f"{head}_{tail}", head, tail, extra_triples(folder, items_of, head, tail))
            log.info("extra triples %s -> %s: %s", head, tail, f"{count:,}")


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
