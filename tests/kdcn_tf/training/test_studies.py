"""Studies, with trials whose scores are given here."""

import math

import pytest

from kdcn_tf import files, spaces
from kdcn_tf.errors import DataError, UnavailableError
from kdcn_tf.spaces import Choices, Range
from kdcn_tf.training import studies
from kdcn_tf.training.studies import DIVERGED, FINISHED, PRUNED, Study

SPACE = {
    "finetune.learning_rate": Range(1e-4, 1.0, log=True),
    "kdcn.cross_layers": Range(0, 8),
    "kdcn.deep_units": Choices(((64,), (128, 64), ())),
}
GRID = {"kdcn.deep_units": Choices(((64,), (128, 64))), "kdcn.cross_layers": Choices((2, 4, 6))}
FIRST = {"finetune.learning_rate": 0.1, "kdcn.cross_layers": 4, "kdcn.deep_units": (64,)}


def opened(directory, seed=1, first=FIRST) -> Study:
    return Study(str(directory), SPACE, None, seed, first, sure_looks=2)


def opened_grid(directory) -> Study:
    return Study(str(directory), GRID, spaces.points(GRID, 1, "grid"), 1, FIRST, sure_looks=2)


def score(values) -> float:
    """Best, 1, at a rate of 0.01, 6 layers and (128, 64)."""
    rate = abs(math.log10(values["finetune.learning_rate"]) + 2) / 4
    return 1 - rate - abs(values["kdcn.cross_layers"] - 6) / 16 - (values["kdcn.deep_units"] != (128, 64)) / 8


def do(study, count=1):
    for _ in range(count):
        number, values = study.ask()
        study.finish(number, FINISHED, score(values), {"seconds": 1.5})


def test_it_finds_the_best_setting(tmp_path):
    study = opened(tmp_path)
    do(study, 40)
    found = studies.best(study.tried)
    assert found[0].values["kdcn.deep_units"] == (128, 64)
    assert found[0].score > 0.9
    assert [t.score for t in found] == sorted((score(t.values) for t in study.tried), reverse=True)
    shares = study.importances()
    assert set(shares) == set(SPACE)
    assert sum(shares.values()) == pytest.approx(1)


def test_the_configuration_given_is_tried_first(tmp_path):
    assert opened(tmp_path).ask() == (0, FIRST)


def test_a_configuration_outside_of_the_space_is_not_tried(tmp_path):
    outside = {**FIRST, "kdcn.cross_layers": 9}
    values = opened(tmp_path, first=outside).ask()[1]
    assert spaces.contains(SPACE, values)


def test_interruptions_change_nothing_that_is_drawn(tmp_path):
    """15 trials at a stretch, and the same with the study opened anew before each, and some broken off twice."""
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = opened(tmp_path / "whole")
    do(whole, 15)
    for index in range(15):
        for _ in range(2 if index in (0, 4, 12) else 0):
            study = opened(tmp_path / "parts")
            study.look(study.ask()[0], 0, 0.5)
        do(opened(tmp_path / "parts"))
    parts = opened(tmp_path / "parts")
    assert [t.values for t in parts.tried] == [t.values for t in whole.tried]
    assert [t.found for t in parts.tried] == [{"seconds": 1.5}] * 15
    assert (parts.lost, whole.lost) == (6, 0)


def test_a_seed_decides_what_is_drawn(tmp_path):
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        study = opened(tmp_path / name, seed=seed)
        do(study, 4)
        found.append([t.values for t in study.tried])
    assert found[0] == found[1] != found[2]


def test_a_trial_whose_process_died_is_repeated(tmp_path):
    study = opened(tmp_path)
    do(study)
    number, values = study.ask()
    study.look(number, 0, 0.5)
    study.lose(number, "exit code -9")
    other, again = study.ask()
    assert again == values
    assert other != number
    study.finish(other, FINISHED, 0.5, {})
    assert [t.number for t in study.tried] == [0, other]
    assert study.lost == 1


def test_values_that_kill_every_process_end_the_search(tmp_path):
    """Interruptions, which have other causes, aren't counted among the deaths."""
    opened(tmp_path).ask()
    for _ in range(2):
        study = opened(tmp_path)
        study.lose(study.ask()[0], "exit code -9")
    study = opened(tmp_path)
    with pytest.raises(UnavailableError, match=r"trial 3: 3 processes died of .*cross_layers.* \(exit code -9\)"):
        study.lose(study.ask()[0], "exit code -9")


def test_a_grid_is_tried_once_each(tmp_path):
    """In the order of the seed, over interruptions and deaths, until nothing is left."""
    study = opened_grid(tmp_path)
    first = study.ask()
    second = study.ask()
    study.lose(first[0], "killed")
    study = opened_grid(tmp_path)  # the second was under way
    found = []
    while asked := study.ask():
        found.append(asked[1])
        study.finish(asked[0], FINISHED, 0.5, {})
    assert found[:2] == [first[1], second[1]]
    assert found == spaces.points(GRID, 1, "grid")
    assert opened_grid(tmp_path).ask() is None


def test_hopeless_trials_are_pruned(tmp_path):
    """Below the median of the others at the same look: after five of them, and two looks of its own."""
    study = opened(tmp_path)
    for index in range(6):
        number, _ = study.ask()
        stopped = [study.look(number, look, 0.5 + index / 100 + look / 1000) for look in range(4)]
        if index < 5:
            assert not any(stopped)
            study.finish(number, FINISHED, 0.6, {})
    assert not any(stopped)  # it was better
    hopeless, _ = study.ask()
    assert [study.look(hopeless, look, 0.1) for look in range(3)] == [False, False, True]
    tried = study.finish(hopeless, PRUNED, None, {})
    assert (tried.state, tried.score) == (PRUNED, 0.1)
    assert study.tried[-1] == tried
    assert tried not in studies.best(study.tried)


def test_a_trial_that_diverged_counts_without_a_score(tmp_path):
    study = opened(tmp_path)
    number, _ = study.ask()
    study.look(number, 0, 0.7)
    tried = study.finish(number, DIVERGED, None, {})
    assert (tried.state, tried.score) == (DIVERGED, None)
    assert opened(tmp_path).tried == [tried]
    assert studies.best([tried]) == []
    assert study.importances() == {}


def test_what_a_killed_process_leaves_is_mended(tmp_path):
    do(opened(tmp_path), 3)
    path = tmp_path / studies.JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code": 5, "wor')
    study = opened(tmp_path)
    assert path.read_bytes() == whole
    assert len(study.tried) == 3
    do(study)
    assert files.names_below(str(tmp_path)) == [studies.JOURNAL]


def test_a_study_that_is_looked_at_stays_as_it_is(tmp_path):
    do(opened(tmp_path), 3)
    before = (tmp_path / studies.JOURNAL).read_bytes()
    assert len(opened(tmp_path).tried) == 3
    assert (tmp_path / studies.JOURNAL).read_bytes() == before


@pytest.mark.parametrize("text", ["nothing of the kind\n", "[1]\n", '{"op_code": 0}\n'])
def test_another_file_is_no_journal(tmp_path, text):
    (tmp_path / studies.JOURNAL).write_text(text + '{"op_code": 1}\n')
    with pytest.raises(DataError, match=r"journal\.log: not a journal of a study"):
        opened(tmp_path)
