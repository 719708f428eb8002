"""Reading of a MovieLens folder in the layout of ml-latest (movies.csv, ratings.csv, tags.csv)."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kdcn_tf import files
from kdcn_tf.errors import DataError
from pipelines.datasets import tables

log = logging.getLogger(__name__)
NO_GENRE = "(no genres listed)"


class Rating(NamedTuple):
    """Half stars 0.5 to 5, at a time in seconds since 1970."""

    user: str
    movie: str
    stars: float
    timestamp: int


class Tagging(NamedTuple):
    """A user's own words for a film."""

    user: str
    movie: str
    tag: str
    timestamp: int


@dataclass(frozen=True)
class MovieLens:
    """Attributes:
    titles: movie id -> title with year.
    genres: movie id -> genres.
    ratings: in time order.
    taggings: in time order.
    unknown: file -> lines left out because movies.csv lacks their film.
    """

    titles: dict[str, str]
    genres: dict[str, tuple[str, ...]]
    ratings: list[Rating]
    taggings: list[Tagging]
    unknown: dict[str, int]

    @property
    def times(self) -> list[int]:
        """Of the ratings, in order."""
        return [rating.timestamp for rating in self.ratings]


def read(directory: str, max_bad_share: float) -> MovieLens:
    """Reads the folder.

    A few ratings of the published files are of films that movies.csv doesn't have; they are left out and
    counted.

    Args:
        directory: with the three files.
        max_bad_share: share of the lines of a file that may be left out.

    Raises:
        DataError: naming the file and line that is missing or wrong.
    """
    titles, genres = {}, {}
    for row in tables.csv_rows(files.join(directory, "movies.csv"), ("movieId", "title", "genres")):
        movie, listed = row.id("movieId"), row.text("genres")
        titles[movie] = row.id("title")
        genres[movie] = () if listed == NO_GENRE else tuple(filter(None, listed.split("|")))
    ratings, unknown_rated = _known_films(_events(directory, "ratings.csv", "rating"), titles, max_bad_share)
    taggings, unknown_tagged = _known_films(_events(directory, "tags.csv", "tag"), titles, max_bad_share)
    return MovieLens(
        titles,
        genres,
        # By content, too: files in another order give the same logs.
        sorted(map(_rating, ratings), key=lambda r: (r.timestamp, r.user, r.movie)),
        sorted(map(_tagging, taggings), key=lambda t: (t.timestamp, t.user, t.movie, t.tag)),
        {"ratings": unknown_rated, "tags": unknown_tagged},
    )


def _events(directory: str, name: str, column: str) -> Iterator[tables.Row]:
    return tables.csv_rows(files.join(directory, name), ("userId", "movieId", column, "timestamp"))


def _known_films(
    rows: Iterable[tables.Row], titles: dict[str, str], max_bad_share: float
) -> tuple[list[tables.Row], int]:
    """The rows of known films, and how many others there are."""
    known: list[tables.Row] = []
    unknown: list[tables.Row] = []
    for row in rows:
        (known if row.id("movieId") in titles else unknown).append(row)
    if unknown:
        error = unknown[0].error("movieId", "isn't in movies.csv")
        if len(unknown) > max_bad_share * (len(known) + len(unknown)):
            raise DataError(f"{error}; {len(unknown)} such lines are more than logs.max_bad_share={max_bad_share}")
        log.warning("%s; %d such lines are left out", error, len(unknown))
    return known, len(unknown)


def _rating(row: tables.Row) -> Rating:
    stars = row.number("rating", float)
    if not 0 < stars <= 5:
        raise row.error("rating", f"{stars} isn't in (0, 5]")
    return Rating(row.id("userId"), row.text("movieId"), stars, row.number("timestamp", int))


def _tagging(row: tables.Row) -> Tagging:
    # A tag may be any text: what can't be a key in the graph (control characters) becomes a space.
    tag = " ".join("".join(c if c.isprintable() else " " for c in row.text("tag")).lower().split())
    return Tagging(row.id("userId"), row.text("movieId"), tag, row.number("timestamp", int))
