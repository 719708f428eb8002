import pytest
from support import films
from support.films import dialogue, message

from kdcn_tf.errors import DataError
from pipelines.datasets import redial

HI = [message(0, 7, "Hi")]


def read(root, *rows, **changed):
    changed |= {"DIALOGUES": {"test": rows}} if rows else {}
    return redial.read(str(films.write(root, **changed)["redial"]))


def test_dialogues_of_all_files_in_order(tmp_path):
    found = read(tmp_path)
    assert [one.number for one in found.dialogues] == [10, 11, 20]
    first, second, third = found.dialogues
    assert first.seeker == "7"
    assert first.messages[1] == redial.Message(10, False, "Try @101")
    assert first.liked == {"101": redial.DISLIKED, "103": redial.LIKED, "104": redial.DID_NOT_SAY}
    assert second.liked == {}
    assert [one.length for one in (first, second, third)] == [40, 0, 7]


def test_messages_are_put_in_order_of_time(tmp_path):
    (found,) = read(
        tmp_path, dialogue(1, 7, [message(9, 7, "c"), message(0, 8, "a"), message(9, 8, "d")], [])
    ).dialogues
    assert [one.text for one in found.messages] == ["a", "c", "d"]


def test_titles_from_the_table_or_else_from_the_dialogue(tmp_path):
    found = read(tmp_path)
    assert found.titles["102"] == "Heat"
    assert found.titles["106"] == "Own Mention (2010)"
    assert found.dbpedia["104"] == "The_Mummy_(1999_film)"


def test_triples(tmp_path):
    folder = films.write(tmp_path)["redial"]
    assert next(redial.dbpedia_triples(str(folder))) == ("The_Mummy_(1999_film)", "director", "Stephen_Sommers")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("{", "malformed JSON"),
        ({"conversationId": 1}, "not a ReDial dialogue: KeyError"),
        (dialogue("x", 7, HI, []), "not a ReDial dialogue: ValueError"),
        (dialogue(1, 7, [HI[0] | {"text": None}], []), "not a ReDial dialogue: TypeError"),
        (dialogue(1, 7, HI, []) | {"initiatorQuestions": "none"}, "not a ReDial dialogue: AttributeError"),
        (dialogue(1, 7, HI, {"101": 3}), r"initiatorQuestions\.101\.liked: 3 isn't 0, 1 or 2"),
        (dialogue(1, 7, HI, {"999": 1}), r"initiatorQuestions\.999: a film without a title"),
        (dialogue(5, 7, HI, []), "conversationId: 5 occurs twice"),
    ],
)
def test_a_malformed_dialogue_is_named(tmp_path, row, text):
    with pytest.raises(DataError, match=rf"test_data\.jsonl:2: {text}"):
        read(tmp_path, dialogue(5, 7, HI, []), row)


def test_missing_and_malformed_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"redial: no file matches \*_data\.jsonl"):
        read(tmp_path / "a", DIALOGUES={})
    with pytest.raises(DataError, match=r"movie_to_dbpedia\.tsv:4: 1 columns, expected movie, entity"):
        read(tmp_path / "b", LINKS=[*films.LINKS, "106"])
    folder = films.write(tmp_path / "c")["redial"]
    (folder / "movies_with_mentions.csv").unlink()
    with pytest.raises(DataError, match=r"movies_with_mentions\.csv: No such file"):
        redial.read(str(folder))
