"""Reading of a ReDial folder: dialogues, film titles, and DBpedia triples about the films."""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kdcn_tf import files
from kdcn_tf.errors import DataError
from kdcn_tf.jsonl import json_rows
from pipelines.datasets import tables

LINKS, TRIPLES = "movie_to_dbpedia.tsv", "dbpedia_triples.tsv.gz"
MENTION = re.compile(r"@(\d+)")
log = logging.getLogger(__name__)
DISLIKED, LIKED, DID_NOT_SAY = 0, 1, 2


class Message(NamedTuple):
    """Seconds count from the dialogue's first message; films are mentioned as @<movie id>."""

    seconds: int
    by_seeker: bool
    text: str


@dataclass(frozen=True)
class Dialogue:
    """Attributes:
    number: dialogues are numbered in the order in which they took place.
    seeker: who asks for recommendations.
    messages: in order.
    liked: movie id -> the seeker's own word at the end: DISLIKED, LIKED or DID_NOT_SAY.
    """

    number: int
    seeker: str
    messages: tuple[Message, ...]
    liked: dict[str, int]

    @property
    def length(self) -> int:
        """Seconds from the first to the last message."""
        return self.messages[-1].seconds if self.messages else 0


@dataclass(frozen=True)
class Redial:
    """Attributes:
    titles: movie id -> title.
    dialogues: in order.
    dbpedia: movie id -> DBpedia entity; empty for a folder without the DBpedia files.
    """

    titles: dict[str, str]
    dialogues: list[Dialogue]
    dbpedia: dict[str, str]


def read(directory: str) -> Redial:
    """Reads every *_data.jsonl of the folder, and the film tables.

    Raises:
        DataError: naming the file and line that is missing or wrong.
    """
    titles = {
        row.id("movieId"): row.id("movieName")
        for row in tables.csv_rows(files.join(directory, "movies_with_mentions.csv"), ("movieId", "movieName"))
    }
    paths = files.listed(directory, "*_data.jsonl")
    if not paths:
        raise DataError(f"{directory}: no file matches *_data.jsonl")
    dialogues: dict[int, Dialogue] = {}
    for path in paths:
        for line, row in json_rows(path):
            dialogue = _dialogue(row, titles, f"{path}:{line}")
            if dialogue.number in dialogues:
                raise DataError(f"{path}:{line}: conversationId: {dialogue.number} occurs twice")
            dialogues[dialogue.number] = dialogue
    return Redial(titles, [dialogues[number] for number in sorted(dialogues)], _links(directory))


def _links(directory: str) -> dict[str, str]:
    """The links to DBpedia, which ReDial itself doesn't publish."""
    paths = [files.join(directory, name) for name in (LINKS, TRIPLES)]
    if not any(map(files.exists, paths)):
        log.warning("%s: neither %s nor %s: no DBpedia knowledge", directory, LINKS, TRIPLES)
        return {}
    return {row.id("movie"): row.id("entity") for row in tables.tsv_rows(paths[0], ("movie", "entity"))}


def dbpedia_triples(directory: str) -> Iterator[tuple[str, str, str]]:
    """Head, relation, tail, each a DBpedia name."""
    columns = ("head", "relation", "tail")
    for row in tables.tsv_rows(files.join(directory, TRIPLES), columns):
        yield row.id("head"), row.id("relation"), row.id("tail")


def _dialogue(row: Mapping[str, Any], titles: dict[str, str], place: str) -> Dialogue:
    try:
        seeker = str(int(row["initiatorWorkerId"]))
        dialogue = Dialogue(
            number=int(row["conversationId"]),
            seeker=seeker,
            messages=tuple(sorted((_message(m, seeker) for m in row["messages"]), key=lambda m: m.seconds)),
            # Where nobody answered, the field is an empty list.
            liked={movie: int(answer["liked"]) for movie, answer in (row["initiatorQuestions"] or {}).items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{place}: not a ReDial dialogue: {error!r}") from None
    _check(dialogue, row.get("movieMentions") or {}, titles, place)
    return dialogue


def _message(message: Mapping[str, Any], seeker: str) -> Message:
    text = message["text"]
    if not isinstance(text, str):
        raise TypeError("text: not a text")
    return Message(int(message["timeOffset"]), str(int(message["senderWorkerId"])) == seeker, text)


def _check(dialogue: Dialogue, mentioned: Mapping[str, str], titles: dict[str, str], place: str) -> None:
    for movie, liked in dialogue.liked.items():
        if liked not in (DISLIKED, LIKED, DID_NOT_SAY):
            raise DataError(f"{place}: initiatorQuestions.{movie}.liked: {liked} isn't 0, 1 or 2")
        if movie not in titles and not mentioned.get(movie):
            raise DataError(f"{place}: initiatorQuestions.{movie}: a film without a title")
        titles.setdefault(movie, mentioned.get(movie) or "")
