import pytest

from pipelines.datasets import titles
from pipelines.datasets.titles import Title


@pytest.mark.parametrize(
    ("text", "name", "year"),
    [
        ("Toy Story (1995)", "toy story", "1995"),
        ("Headhunter  (2009) ", "headhunter", "2009"),
        ("Mummy, The (1999)", "mummy", "1999"),
        ("The Mummy (1999)", "mummy", "1999"),
        ("Misérables, Les (1995)", "les miserables", "1995"),
        ("Les Misérables (1995)", "les miserables", "1995"),
        ("Avventura, L' (1960)", "lavventura", "1960"),
        ("L'Avventura (1960)", "lavventura", "1960"),
        ("Die Hard (1988)", "die hard", "1988"),
        ("Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "amelie", "2001"),
        ("Seven (a.k.a. Se7en) (1995)", "seven", "1995"),
        ("Twin Peaks (1989–1990)", "twin peaks", "1989"),
        ("Babylon 5 (1994- )", "babylon 5", "1994"),
        ("American Pie ", "american pie", ""),
        ("2001: A Space Odyssey (1968)", "2001 a space odyssey", "1968"),
        ("Ocean's Eleven (2001)", "oceans eleven", "2001"),
        ("Fast & Furious (2009)", "fast and furious", "2009"),
        ("48 Hrs. (1982)", "48 hrs", "1982"),
        ("(500) Days of Summer (2009)", "days of summer", "2009"),
        ("A (1965)", "a", "1965"),
        ("The The (2000)", "the", "2000"),
        ("千と千尋の神隠し (2001)", "千と千尋の神隠し", "2001"),
        ("(2012)", "(2012)", "2012"),  # nothing but a year: the text is the name
        ("?", "?", ""),
    ],
)
def test_parse(text, name, year):
    assert titles.parse(text) == Title(name, year)


def test_a_film_is_its_name_and_year():
    found = titles.join_keys(map(titles.parse, ["Mummy, The (1999)", "The Mummy (1999)", "The Mummy (2017)"]))
    assert found == {Title("mummy", "1999"): "mummy (1999)", Title("mummy", "2017"): "mummy (2017)"}


def test_a_title_without_a_year_is_the_only_film_of_its_name():
    found = titles.join_keys(map(titles.parse, ["Psycho", "Psycho (1960)", "Heat", "Heat (1986)", "Heat (1995)", "Up"]))
    assert {found[Title(name, "")] for name in ("psycho", "heat", "up")} == {"psycho (1960)", "heat", "up"}
