import pytest
from support.films import DAY

from pipelines.datasets import film_events
from pipelines.datasets.film_events import PastRatings, Placed
from pipelines.datasets.movielens import MovieLens, Rating, Tagging
from pipelines.datasets.redial import Dialogue, Message

FILM_OF = {"1": "one", "2": "two", "3": "one"}


def dialogue(number: int, *messages: tuple, liked=()) -> Dialogue:
    return Dialogue(number, "7", tuple(Message(*message) for message in messages), dict(liked))


def test_statistics_are_strictly_before():
    # Films 1 and 3 are one. A mean leans to five ratings of 3.5: (2 + 17.5) / 6 = 3.25, (6 + 17.5) / 7 = 3.3571.
    past = PastRatings([Rating("u", "1", 2.0, 10), Rating("v", "3", 4.0, 20), Rating("u", "2", 5.0, 20)], FILM_OF)
    seen = []
    for moment in (10, 11, 20, 21):
        past.advance(moment)
        seen.append((past.of_film("one"), past.of_user("u")["user_ratings"]))
    assert seen == [
        ({"film_ratings": 0.0, "film_mean_stars": 3.5}, 0.0),
        ({"film_ratings": 1.0, "film_mean_stars": 3.25}, 1.0),
        ({"film_ratings": 1.0, "film_mean_stars": 3.25}, 1.0),
        ({"film_ratings": 2.0, "film_mean_stars": 3.3571}, 2.0),
    ]


def test_dialogues_are_placed_in_order_and_never_overlap():
    # Quantiles 0, 1/3 and 2/3 of the six times: 100, 101 and 500. The first lasts 30 s, answers come a second after
    # it, so the next may start at 100 + 30 + 2.
    parts = [dialogue(1, (0, True, "a"), (30, True, "b")), dialogue(2, (0, True, "a")), dialogue(3, (0, True, "a"))]
    placed = film_events.place(parts, [100, 100, 101, 101, 500, 900])
    assert [(one.dialogue.number, one.start) for one in placed] == [(1, 100), (2, 132), (3, 500)]
    assert film_events.place([], [100]) == []
    # With a third of them in five sixths of the times: quantiles 0, 5/6 and 11/12, the latter behind the second's end.
    placed = film_events.place(parts, [100, 100, 101, 101, 500, 900], [(1 / 3, 5 / 6)])
    assert [one.start for one in placed] == [100, 900, 902]


def test_likes_are_told_after_the_dialogue():
    # The film is mentioned at 5; the seeker's own first mention is at 9, the last message at 12.
    one = dialogue(1, (5, False, "@1?"), (9, True, "@1 and @2 and @8"), (12, True, "@1"), liked=[("1", 1), ("2", 0)])
    found = list(film_events.redial_behaviors([Placed(one, 1000)], FILM_OF))
    assert [(b["item_id"], b["behavior"], b["timestamp"]) for b in found] == [
        ("one", "mention", 1009), ("two", "mention", 1009), ("one", "like", 1013), ("two", "dislike", 1013),
    ]  # fmt: skip
    assert {b["user_id"] for b in found} == {"redial:7"}


def test_the_query_ends_before_the_first_mention():
    # All in one second: only the order tells what came before. Newest first, films left out.
    one = dialogue(
        1, (3, True, "scary films"), (3, False, "clowns"), (3, True, "older @1"), (3, True, "@2 vampires @1"),
        liked=[("1", 1), ("2", 0)],
    )  # fmt: skip
    found = list(film_events.redial_impressions([Placed(one, 50)], FILM_OF, PastRatings([], FILM_OF)))
    assert [(i["item_id"], i["query"], i["label"], i["timestamp"]) for i in found] == [
        ("one", ["scary", "films"], 1, 53), ("two", ["older", "scary", "films"], 0, 53),
    ]  # fmt: skip


def test_films_without_answer_or_mention_are_counted():
    parts = [dialogue(1, (0, True, "@1 @2"), liked=[("1", 1), ("2", 2), ("3", 1)]), dialogue(2, liked=[("3", 2)])]
    assert film_events.unjudged(parts) == {"no_answer": 2, "not_mentioned": 1}
    found = film_events.redial_impressions([Placed(parts[0], 0)], FILM_OF, PastRatings([], FILM_OF))
    assert [i["item_id"] for i in found] == ["one"]


def test_a_movielens_session_is_a_day_and_four_stars_a_click():
    ratings = [Rating("u", "1", 3.5, 5), Rating("u", "2", 4.0, DAY - 1), Rating("u", "3", 0.5, DAY)]
    source = MovieLens({}, {}, ratings, [Tagging("u", "2", "odd", 9)], {})
    assert [(s["session_id"], s["timestamp"]) for s in film_events.movielens_sessions(source)] == [
        ("movielens:u:0", 5), ("movielens:u:1", DAY),
    ]  # fmt: skip
    shown = list(film_events.movielens_impressions(source, FILM_OF))
    assert [(i["session_id"], i["label"]) for i in shown] == [
        ("movielens:u:0", 0), ("movielens:u:0", 1), ("movielens:u:1", 0),
    ]  # fmt: skip
    behaviors = list(film_events.movielens_behaviors(source, FILM_OF))
    assert [(b["item_id"], b["behavior"], b["timestamp"]) for b in behaviors] == [
        ("one", "dislike", 5), ("two", "like", DAY - 1), ("one", "dislike", DAY), ("two", "tag", 9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("times", "expected"), [(list(range(10)), (8.0, 9.0)), ([5, 5, 5], (5.0, 5.0)), ([1], (1.0, 1.0))]
)
def test_split_times_are_quantiles(times, expected):
    assert film_events.split_times(times, 0.8, 0.9) == expected


def test_before_is_strict():
    events = [Tagging("u", "1", name, when) for name, when in (("a", 1), ("b", 2), ("c", 2), ("d", 3))]
    assert [[e.tag for e in film_events.before(events, moment)] for moment in (1, 2, 2.5)] == [
        [],
        ["a"],
        ["a", "b", "c"],
    ]
