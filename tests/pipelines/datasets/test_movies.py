"""The importer of films: a hand-made folder whose every record is known, and the public data."""

import bisect
import csv
import gzip
import json
from collections import Counter, defaultdict

import pytest
from support import films
from support.films import DAY, stream
from support.raw_logs import run

from kdcn_tf import manifest, text
from pipelines.datasets import movies

MUMMY, HEAT, AMELIE, OWN = "mummy (1999)", "heat", "amelie (2001)", "own mention (2010)"
HEAT86, HEAT95, ONLY, UNSEEN = "heat (1986)", "heat (1995)", "only here (2000)", "unseen film (1950)"


def imported(folders, output, *arguments) -> int:
    named = (f"--{name}={folder}" for name, folder in folders.items())
    return run(movies.main, *named, "--output", output, *arguments)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    assert imported(films.write(root / "in"), root / "out") == 0
    return root / "out"


def test_manifest(made):
    found = manifest.read(str(made), manifest.RAW, check_digests=True)
    # Of ten ratings the ninth begins validation and the tenth the test period.
    assert found.info["config"] == {
        "time.train_end": 3 * DAY, "time.valid_end": 4 * DAY, "logs.behaviors": ["like", "dislike", "mention", "tag"],
    }  # fmt: skip
    assert found.info["join"] == {
        "films": 8, "films_of_movielens": 5, "films_of_redial": 5, "films_of_both": 2,
        "movielens_ratings_of_unknown_films": 0, "movielens_tags_of_unknown_films": 0,
        "redial_no_answer": 1, "redial_not_mentioned": 1,
    }  # fmt: skip
    assert found.counts == {
        "users": 5, "items": 8, "sessions": 11, "behaviors": 22, "impressions": 14,
        "extra/item_item": 1, "extra/item_dbpedia": 1, "extra/dbpedia_item": 1, "extra/dbpedia_dbpedia": 1,
    }  # fmt: skip


def test_users_have_the_tags_of_the_training_period(made):
    assert stream(made, "users") == [
        {"user_id": "movielens:1", "tags": []},
        {"user_id": "movielens:2", "tags": ["very scary", "twist"]},
        {"user_id": "movielens:3", "tags": []},  # "late" is from after it
        {"user_id": "redial:7"},
        {"user_id": "redial:8"},
    ]


def test_items(made):
    """Statistics by hand, of ratings before 3 DAY; a mean leans to five ratings of 3.5, of sum 17.5.

    Mummy 4, 5, 2: 28.5 / 8. Heat (1995) 3.5, 1: 22 / 7. Amélie 4.5: 22 / 6. Heat (1986) 0.5: 18 / 6.
    Only Here 4: 21.5 / 6.
    """

    def item(key, title, category, properties, count, mean):
        stats = {"film_ratings": count, "film_mean_stars": mean}
        return {"item_id": key, "title": title, "category": category, "properties": properties, "stats": stats}

    assert stream(made, "items") == [
        item(AMELIE, films.MOVIES[3].split(",")[1], ["film", "Comedy"],
             {"genre": ["Comedy", "Romance"], "decade": "2000s"}, 1, 3.6667),
        item(HEAT, "Heat", ["film"], {}, 0, 3.5),
        item(HEAT86, "Heat (1986)", ["film"], {"decade": "1980s"}, 1, 3.0),
        item(HEAT95, "Heat (1995)", ["film", "Crime"], {"genre": ["Crime"], "tag": ["twist"], "decade": "1990s"},
             2, 3.1429),
        item(MUMMY, "Mummy, The (1999)", ["film", "Action"],
             {"genre": ["Action", "Horror"], "tag": ["very scary"], "decade": "1990s"}, 3, 3.5625),
        item(ONLY, "Only Here (2000)", ["film", "Drama"], {"genre": ["Drama"], "decade": "2000s"}, 1, 3.5833),
        item(OWN, "Own Mention (2010)", ["film"], {"decade": "2010s"}, 0, 3.5),
        item(UNSEEN, "Unseen Film (1950)", ["film"], {"decade": "1950s"}, 0, 3.5),
    ]  # fmt: skip


def test_sessions(made):
    """Dialogues 10, 11, 20 start at ratings 0, 4 and 8 of the ten: 1/3 * 0.8 / 0.6, 0.8 + (2/3 - 0.6) * 0.1 / 0.15."""
    found = stream(made, "sessions")
    assert [(s["session_id"], s["timestamp"]) for s in found] == [
        ("movielens:1:0", 1000), ("movielens:2:0", 2000), ("movielens:1:1", DAY + 500), ("movielens:2:1", DAY + 600),
        ("movielens:1:2", 2 * DAY), ("movielens:2:2", 2 * DAY + 1), ("movielens:1:3", 3 * DAY),
        ("movielens:1:4", 4 * DAY), ("redial:10", 1000), ("redial:11", DAY + 500), ("redial:20", 3 * DAY),
    ]  # fmt: skip
    assert found[-1] == {
        "session_id": "redial:20", "user_id": "redial:8", "timestamp": 3 * DAY, "keywords": ["anything", "tense"],
        "utterances": [
            {"speaker": "user", "text": "Anything like Heat? It was tense"},
            {"speaker": "assistant", "text": "See Own Mention (2010)"},
        ],
    }  # fmt: skip


def test_behaviors(made):
    def told(user, *events):
        names = ("item_id", "behavior", "timestamp")
        return [{"user_id": user, **dict(zip(names, event, strict=True))} for event in events]

    expected = told(
        "movielens:1", (MUMMY, "like", 1000), (HEAT95, "dislike", 1000), (MUMMY, "dislike", DAY + 500),
        (HEAT86, "dislike", 2 * DAY), (AMELIE, "like", 3 * DAY), (ONLY, "like", 4 * DAY),
    )  # fmt: skip
    expected += told(
        "movielens:2", (MUMMY, "like", 2000), (HEAT95, "dislike", 2000), (AMELIE, "like", DAY + 600),
        (ONLY, "like", 2 * DAY + 1), (MUMMY, "tag", 1500), (MUMMY, "tag", DAY), (HEAT95, "tag", DAY),
    )  # fmt: skip
    expected += told("movielens:3", (HEAT95, "tag", 4 * DAY))
    # Dialogue 10 begins at 1000 and lasts 40 s: what was liked is told at 1041.
    expected += told(
        "redial:7", (MUMMY, "mention", 1020), (AMELIE, "mention", 1040), (MUMMY, "dislike", 1041),
        (AMELIE, "like", 1041),
    )  # fmt: skip
    after = 3 * DAY + 7 + 1
    expected += told(
        "redial:8", (HEAT, "mention", 3 * DAY), (HEAT, "like", after), (OWN, "dislike", after), (AMELIE, "like", after)
    )
    assert Counter(map(json.dumps, stream(made, "behaviors"))) == Counter(map(json.dumps, expected))


def test_movielens_impressions(made):
    """Film's and user's ratings before; means by hand as (sum + 17.5) / (number + 5)."""
    found = [i for i in stream(made, "impressions") if i["source"] == "movielens"]
    names = ("film_ratings", "film_mean_stars", "user_ratings", "user_mean_stars")
    assert [(i["session_id"], i["item_id"], i["label"], *(i["stats"][name] for name in names)) for i in found] == [
        ("movielens:1:0", MUMMY, 1, 0, 3.5, 0, 3.5),
        ("movielens:1:0", HEAT95, 0, 0, 3.5, 0, 3.5),  # the user's other rating is of the same second
        ("movielens:2:0", MUMMY, 1, 1, 3.5833, 0, 3.5),
        ("movielens:2:0", HEAT95, 0, 1, 3.5, 0, 3.5),
        ("movielens:1:1", MUMMY, 0, 2, 3.7857, 2, 3.5714),
        ("movielens:2:1", AMELIE, 1, 0, 3.5, 2, 3.3571),
        ("movielens:1:2", HEAT86, 0, 0, 3.5, 3, 3.375),
        ("movielens:2:2", ONLY, 1, 0, 3.5, 3, 3.5),
        ("movielens:1:3", AMELIE, 1, 1, 3.6667, 4, 3.0556),
        ("movielens:1:4", ONLY, 1, 1, 3.5833, 5, 3.15),
    ]
    assert {i["query"] for i in found} == {""}


def test_redial_impressions(made):
    """At 1010 one rating of the Mummy (4 stars, 21.5 / 6) has been made, and none of the other films."""

    def shown(number, user, when, query, item, label, count=0.0, mean=3.5):
        return {
            "session_id": f"redial:{number}", "user_id": f"redial:{user}", "timestamp": when, "query": query,
            "item_id": item, "label": label, "stats": {"film_ratings": count, "film_mean_stars": mean},
            "source": "redial",
        }  # fmt: skip

    words = ["want", "scary", "mummies"]
    assert [i for i in stream(made, "impressions") if i["source"] == "redial"] == [
        shown(10, 7, 1010, words, MUMMY, 0, 1.0, 3.5833),
        shown(10, 7, 1020, ["know", "funny", "films", "instead", *words], AMELIE, 1),
        shown(20, 8, 3 * DAY, [], HEAT, 1),
        shown(20, 8, 3 * DAY + 7, ["anything", "tense"], OWN, 0),
    ]


def test_triples_are_split_by_the_types_of_their_ends(made):
    found = manifest.read(str(made), manifest.RAW)
    split = {
        name: gzip.decompress((made / f"extra_{name}.tsv.gz").read_bytes()).decode()
        for name in found.info["extra_triples"]
    }
    assert split == {
        "item_dbpedia": f"{MUMMY}\tdirector\tStephen_Sommers\n",
        "dbpedia_dbpedia": "Stephen_Sommers\tborn_in\tUSA\n",
        "dbpedia_item": f"USA\tshown\t{UNSEEN}\n",
        "item_item": f"{UNSEEN}\tsequel\t{MUMMY}\n",
    }
    assert found.info["extra_triples"]["dbpedia_item"] == {"head_type": "dbpedia", "tail_type": "item"}


def test_until_imports_an_earlier_period_and_divides_it(tmp_path):
    """The ninth of ten ratings and what is later stays out: of the eight the seventh and eighth end the parts."""
    output = tmp_path / "out"
    assert imported(films.write(tmp_path / "in"), output, "--until=0.8") == 0
    found = manifest.read(str(output), manifest.RAW)
    assert found.info["until"] == 0.8
    assert (found.info["config"]["time.train_end"], found.info["config"]["time.valid_end"]) == (2 * DAY, 2 * DAY + 1)
    timed = ("sessions", "behaviors", "impressions")
    assert max(row["timestamp"] for name in timed for row in stream(output, name)) < 3 * DAY
    # Dialogue 20 begins with the ninth; 10 and 11 with the first and, as 8 * 1/2 * 0.8 / 0.6 = 5.3, the sixth.
    dialogues = [s for s in stream(output, "sessions") if s["session_id"].startswith("redial")]
    assert [(s["session_id"], s["timestamp"]) for s in dialogues] == [("redial:10", 1000), ("redial:11", DAY + 600)]
    assert [user["user_id"] for user in stream(output, "users")] == ["movielens:1", "movielens:2", "redial:7"]
    # Of ratings before 2 DAY, so there is none of Heat (1986) and Only Here.
    counts = {item["item_id"]: item["stats"]["film_ratings"] for item in stream(output, "items")}
    assert counts == {AMELIE: 1, HEAT: 0, HEAT86: 0, HEAT95: 2, MUMMY: 3, ONLY: 0, OWN: 0, UNSEEN: 0}


@pytest.mark.parametrize(("share", "code", "message"), [
    ("0", 2, "--until=0.0 isn't in (0, 1]"),
    ("nan", 2, "--until=nan isn't in (0, 1]"),
    ("0.05", 65, "--until=0.05: no ratings or no dialogues before it"),
])  # fmt: skip
def test_a_share_that_leaves_nothing_is_an_error(tmp_path, capsys, share, code, message):
    assert imported(films.write(tmp_path / "in"), tmp_path / "out", f"--until={share}") == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"RATINGS": [*films.RATINGS, "1,1,9,5"]}, "movielens/ratings.csv:12: rating: 9.0 isn't in (0, 5]"),
        ({"MOVIES": ["movieId,title", "1,x"]}, "movielens/movies.csv:1: no column 'genres'"),
        ({"RATINGS": [*films.RATINGS, "1,77,4,5"]}, "ratings.csv:12: movieId: isn't in movies.csv; 1 such lines"),
        ({"TAGS": ["userId,movieId,tag"]}, "movielens/tags.csv:1: no column 'timestamp'"),
        ({"DIALOGUES": {"test": ["[]"]}}, "redial/test_data.jsonl:1: not a JSON object"),
        ({"FILMS": [*films.FILMS, "107,,1"]}, "redial/movies_with_mentions.csv:7: movieName: is empty"),
        ({"TRIPLES": ["a\tb"]}, "redial/dbpedia_triples.tsv.gz:1: 2 columns, expected head, relation, tail"),
        ({"RATINGS": films.RATINGS[:1]}, "no ratings or no dialogues"),
    ],
)
def test_malformed_input_is_named_and_leaves_nothing(tmp_path, capsys, changed, message):
    output = tmp_path / "out"
    assert imported(films.write(tmp_path / "in", **changed), output) == 65
    assert message in capsys.readouterr().err
    assert not output.exists() or list(output.iterdir()) == []


def test_a_share_of_ratings_of_unknown_films_may_be_left_out(tmp_path):
    folders = films.write(tmp_path / "in", RATINGS=[*films.RATINGS, "1,77,4,5"])
    assert imported(folders, tmp_path / "out", "--set=logs.max_bad_share=0.1") == 0
    found = manifest.read(str(tmp_path / "out"), manifest.RAW)
    assert found.info["join"]["movielens_ratings_of_unknown_films"] == 1
    assert found.counts["impressions"] == 14


@pytest.fixture(scope="module")
def public(public_data, tmp_path_factory):
    """Output folder, manifest and data folder of the public data's import."""
    output = tmp_path_factory.mktemp("public") / "raw"
    folders = {"redial": public_data / "redial", "movielens": public_data / "ml-latest-small"}
    assert imported(folders, output) == 0
    return output, manifest.read(str(output), manifest.RAW), public_data


@pytest.mark.data
def test_counts_of_the_public_data(public):
    output, found, _ = public
    assert found.info["join"]["films_of_both"] >= 3719
    assert found.info["join"]["movielens_ratings_of_unknown_films"] == 21
    labels = Counter((i["source"], i["label"]) for i in stream(output, "impressions"))
    assert labels["movielens", 0] + labels["movielens", 1] == 100_836 - 21
    # 9522 liked and 533 disliked answers, less those about films that no message mentions.
    assert labels["redial", 1] + labels["redial", 0] + found.info["join"]["redial_not_mentioned"] == 9522 + 533


@pytest.mark.data
def test_nothing_of_an_impression_is_from_its_own_time_or_later(public):
    output, found, folder = public
    train_end = found.info["config"]["time.train_end"]
    per_film, per_user, told = defaultdict(list), defaultdict(list), defaultdict(list)
    for event in stream(output, "behaviors"):
        if event["behavior"] in ("like", "dislike"):
            told[event["user_id"], event["item_id"]].append(event["timestamp"])
            if event["user_id"].startswith("movielens:"):
                per_film[event["item_id"]].append(event["timestamp"])
                per_user[event["user_id"]].append(event["timestamp"])
    for times in (*per_film.values(), *per_user.values()):
        times.sort()
    starts = {s["session_id"]: s["timestamp"] for s in stream(output, "sessions")}
    ends = {f"redial:{d['conversationId']}": d["messages"] for d in dialogues(folder)}
    for shown in stream(output, "impressions"):
        when, stats = shown["timestamp"], shown["stats"]
        assert stats["film_ratings"] == bisect.bisect_left(per_film[shown["item_id"]], when)
        assert starts[shown["session_id"]] <= when
        assert any(time >= when for time in told[shown["user_id"], shown["item_id"]])
        if shown["source"] == "movielens":
            assert stats["user_ratings"] == bisect.bisect_left(per_user[shown["user_id"]], when)
        else:
            said = [m for m in ends[shown["session_id"]] if starts[shown["session_id"]] + m["timeOffset"] <= when]
            assert set(shown["query"]) <= set(text.keywords("\n".join(m["text"] for m in said), 10_000))
    for item in stream(output, "items"):
        assert item["stats"]["film_ratings"] == bisect.bisect_left(per_film[item["item_id"]], train_end)


@pytest.mark.data
def test_tags_of_the_public_data_are_from_the_training_period(public):
    output, found, folder = public
    with open(folder / "ml-latest-small" / "tags.csv", encoding="utf-8", newline="") as lines:
        early = [row for row in csv.DictReader(lines) if int(row["timestamp"]) < found.info["config"]["time.train_end"]]
    given = {(f"movielens:{row['userId']}", " ".join(row["tag"].lower().split())) for row in early}
    assert {(user["user_id"], tag) for user in stream(output, "users") for tag in user.get("tags", ())} == given


def dialogues(folder) -> list[dict]:
    found = []
    for path in sorted((folder / "redial").glob("*_data.jsonl")):
        found += map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return found
