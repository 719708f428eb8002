"""Tiny MovieLens and ReDial folders in the published layout, and readers of what the importer makes of them."""

import gzip
import json
from pathlib import Path

DAY = 86_400

MOVIES = [
    "movieId,title,genres",
    '1,"Mummy, The (1999)",Action|Horror',
    "2,Heat (1995),Crime",
    "3,Amélie (Le fabuleux destin) (2001),Comedy|Romance",
    "4,Heat (1986),(no genres listed)",
    "5,  Only   Here  (2000),Drama",
]
RATINGS = [
    "userId,movieId,rating,timestamp",
    "1,1,4.0,1000",
    "1,2,3.5,1000",
    "2,1,5.0,2000",
    "2,2,1.0,2000",
    f"1,1,2.0,{DAY + 500}",
    f"2,3,4.5,{DAY + 600}",
    f"1,4,0.5,{2 * DAY}",
    f"2,5,4.0,{2 * DAY + 1}",
    f"1,3,4.0,{3 * DAY}",
    f"1,5,4.0,{4 * DAY}",
]
TAGS = [
    "userId,movieId,tag,timestamp",
    "2,1,Very\tScary ,1500",
    f"2,1,very scary,{DAY}",
    f"2,2,twist,{DAY}",
    f"3,2,late,{4 * DAY}",
]
FILMS = [
    "movieId,movieName,nbMentions",
    "101,The Mummy  (1999),3",
    "102,Heat,2",
    "103,Amelie (2001),1",
    "104,Mummy,1",
    "105,Unseen Film (1950),0",
]
LINKS = ["101\tThe_Mummy_(1999_film)", "104\tThe_Mummy_(1999_film)", "105\tUnseen_Film"]
TRIPLES = [
    "The_Mummy_(1999_film)\tdirector\tStephen_Sommers",
    "Stephen_Sommers\tborn_in\tUSA",
    "USA\tshown\tUnseen_Film",
    "Unseen_Film\tsequel\tThe_Mummy_(1999_film)",
]


def message(seconds: int, worker: int, text: str) -> dict:
    return {"timeOffset": seconds, "text": text, "senderWorkerId": worker, "messageId": 1}


def dialogue(number: int, seeker: int, messages: list[dict], liked: dict[str, int] | list, **more) -> dict:
    answers = {m: {"suggested": 1, "seen": 1, "liked": v} for m, v in liked.items()} if liked else []
    return {
        "conversationId": number, "initiatorWorkerId": seeker, "messages": messages, "initiatorQuestions": answers,
        "movieMentions": {}, **more,
    }  # fmt: skip


# Dialogue 20 takes place after 10, though its file comes first. 102 is Heat of an unknown year: two films have the
# name, so it is one of its own. 106 stands only in the dialogue's own mentions.
DIALOGUES = {
    "test": [
        dialogue(
            20, 8, [message(0, 8, "Anything like @102? It was tense"), message(7, 9, "See @106")],
            {"102": 1, "106": 0, "103": 1}, movieMentions={"106": "Own Mention (2010)"},
        ),
    ],
    "valid": [
        dialogue(
            10, 7,
            [
                message(0, 7, "Hello, I want scary mummies"),
                message(10, 9, "Try @101"),
                message(20, 7, "I know @101. Funny films instead?"),
                message(20, 9, "Then @103 or @104"),
                message(40, 7, "@103 is great, thanks"),
            ],
            {"101": 0, "103": 1, "104": 2},
        ),
        dialogue(11, 7, [message(0, 7, "Hi")], []),
    ],
}  # fmt: skip


def write(root: Path, **changed) -> dict[str, Path]:
    """Folders `movielens` and `redial`; a changed file, by its constant's name, has other lines."""
    text = {"MOVIES": MOVIES, "RATINGS": RATINGS, "TAGS": TAGS, "FILMS": FILMS, "LINKS": LINKS, "TRIPLES": TRIPLES}
    text |= {k: v for k, v in changed.items() if k in text}
    dialogues = changed.get("DIALOGUES", DIALOGUES)
    found = {name: root / name for name in ("movielens", "redial")}
    for folder in found.values():
        folder.mkdir(parents=True)
    names = {"MOVIES": "movielens/movies.csv", "RATINGS": "movielens/ratings.csv", "TAGS": "movielens/tags.csv",
             "FILMS": "redial/movies_with_mentions.csv", "LINKS": "redial/movie_to_dbpedia.tsv"}  # fmt: skip
    for name, path in names.items():
        (root / path).write_text("".join(f"{line}\n" for line in text[name]), encoding="utf-8")
    with gzip.open(root / "redial/dbpedia_triples.tsv.gz", "wt", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in text["TRIPLES"])
    for part, rows in dialogues.items():
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        (root / f"redial/{part}_data.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return found


def stream(output: Path, name: str) -> list[dict]:
    with gzip.open(output / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
