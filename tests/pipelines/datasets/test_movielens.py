import random

import pytest
from support import films

from kdcn_tf.errors import DataError
from pipelines.datasets import movielens


def read(root, share=0.0, **changed):
    return movielens.read(str(films.write(root, **changed)["movielens"]), share)


def test_films_ratings_and_tags(tmp_path):
    found = read(tmp_path)
    assert found.titles["1"] == "Mummy, The (1999)"
    assert found.genres == {
        "1": ("Action", "Horror"), "2": ("Crime",), "3": ("Comedy", "Romance"), "4": (), "5": ("Drama",),
    }  # fmt: skip
    assert found.ratings[:3] == [("1", "1", 4.0, 1000), ("1", "2", 3.5, 1000), ("2", "1", 5.0, 2000)]
    assert found.taggings[0] == ("2", "1", "very scary", 1500)
    assert found.unknown == {"ratings": 0, "tags": 0}


def test_files_in_another_order_give_the_same(tmp_path):
    ratings, tags = (
        [lines[0], *random.Random(1).sample(lines[1:], len(lines) - 1)] for lines in (films.RATINGS, films.TAGS)
    )
    assert ratings != films.RATINGS
    assert read(tmp_path / "a", RATINGS=ratings, TAGS=tags) == read(tmp_path / "b")


def test_ratings_of_unknown_films_are_left_out_and_counted(tmp_path):
    # One of 11 ratings, 0.0909 of them, and one of five tags.
    found = read(tmp_path, 0.2, RATINGS=[*films.RATINGS, "3,77,4.0,5"], TAGS=[*films.TAGS, "3,77,odd,5"])
    assert (len(found.ratings), len(found.taggings)) == (10, 4)
    assert found.unknown == {"ratings": 1, "tags": 1}


def test_too_many_ratings_of_unknown_films_are_an_error(tmp_path):
    message = r"ratings\.csv:12: movieId: isn't in movies\.csv; 1 such lines are more than logs\.max_bad_share=0\.09"
    with pytest.raises(DataError, match=message):
        read(tmp_path, 0.09, RATINGS=[*films.RATINGS, "3,77,4.0,5"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,1,5.5,7", r"rating: 5\.5 isn't in \(0, 5\]"),
        ("1,1,nan,7", r"rating: nan isn't in \(0, 5\]"),
        ("1,1,good,7", "rating: not a number: 'good'"),
        ("1,1,4,noon", "timestamp: not a number: 'noon'"),
        (",1,4,7", "userId: is empty"),
        ("1,,4,7", "movieId: is empty"),
        ("1,1,4", "3 values, the header has 4"),
    ],
)
def test_a_malformed_rating_is_named(tmp_path, line, message):
    with pytest.raises(DataError, match=rf"ratings\.csv:12: {message}"):
        read(tmp_path, RATINGS=[*films.RATINGS, line])
