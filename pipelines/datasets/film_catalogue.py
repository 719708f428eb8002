"""The films of MovieLens and ReDial as one catalogue of items."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pipelines.datasets import titles
from pipelines.datasets.movielens import MovieLens
from pipelines.datasets.redial import Redial

TOP_CATEGORY = "film"


@dataclass
class Film:
    """Attributes:
    title: as MovieLens writes it, else as ReDial does.
    genres: of MovieLens; none for a film that only ReDial has.
    year: of release, or empty.
    entities: DBpedia names.
    """

    title: str
    year: str
    genres: tuple[str, ...] = ()
    entities: list[str] = field(default_factory=list)


@dataclass
class Catalogue:
    """Attributes:
    films: key (normalised title and year) -> film, sorted by key.
    of_movielens: MovieLens movie id -> key.
    of_redial: ReDial movie id -> key.
    """

    films: dict[str, Film]
    of_movielens: dict[str, str]
    of_redial: dict[str, str]

    def shared(self) -> int:
        """Films that both sources have."""
        return len(set(self.of_movielens.values()) & set(self.of_redial.values()))

    def items_of_entity(self) -> dict[str, list[str]]:
        """DBpedia name -> keys of its films."""
        found: dict[str, list[str]] = defaultdict(list)
        for key, film in self.films.items():
            for entity in film.entities:
                found[entity].append(key)
        return dict(found)


def build(movielens: MovieLens, redial: Redial) -> Catalogue:
    """Joins the films of both sources by normalised title and year."""
    parsed = {text: titles.parse(text) for text in (*movielens.titles.values(), *redial.titles.values())}
    keys = titles.join_keys(parsed.values())
    of_movielens = {movie: keys[parsed[text]] for movie, text in movielens.titles.items()}
    of_redial = {movie: keys[parsed[text]] for movie, text in redial.titles.items()}
    films: dict[str, Film] = {}
    for movie, key in of_movielens.items():
        text = movielens.titles[movie]
        film = films.setdefault(key, Film(_shown(text), parsed[text].year))
        film.genres = tuple(dict.fromkeys((*film.genres, *movielens.genres[movie])))
    for movie, key in of_redial.items():
        text = redial.titles[movie]
        film = films.setdefault(key, Film(_shown(text), parsed[text].year))
        entity = redial.dbpedia.get(movie)
        if entity and entity not in film.entities:
            film.entities.append(entity)
    return Catalogue({key: films[key] for key in sorted(films)}, of_movielens, of_redial)


def _shown(text: str) -> str:
    return " ".join(text.split())


def items(
    catalogue: Catalogue, tags: dict[str, list[str]], stats: dict[str, dict[str, float]]
) -> Iterator[dict[str, Any]]:
    """Raw records of the films.

    Args:
        catalogue: the films.
        tags: key -> what users called the film in the training period.
        stats: key -> statistics of the training period.
    """
    for key, film in catalogue.films.items():
        properties: dict[str, Any] = {"genre": list(film.genres), "tag": tags.get(key, [])}
        if film.year:
            properties["decade"] = f"{film.year[:3]}0s"
        yield {
            "item_id": key,
            "title": film.title,
            "category": [TOP_CATEGORY, *film.genres[:1]],
            "properties": {name: value for name, value in properties.items() if value},
            "stats": stats.get(key, {}),
        }
