"""Drift: nothing between equals, hand-computed between others, and refusals."""

import json
import math
import re

import pytest
from support import described
from support.raw_logs import run

from kdcn_tf import ckg
from pipelines import compare_data, describe_data
from pipelines.quality import drift

TRIPLES = {"train": [(1, 0, 3), (1, 0, 4), (2, 0, 3), (1, 1, 2)], "valid": [(2, 0, 4)], "test": []}


def entropy(*shares):
    return -sum(share * math.log2(share) for share in shares)


@pytest.mark.parametrize(
    ("a", "b", "js", "infinity", "stability"),
    [
        ({}, {}, 0, 0, 0),
        ({"x": 2}, {"x": 7}, 0, 0, 0),
        ({"x": 1, "y": 1}, {"x": 3, "y": 1}, entropy(5 / 8, 3 / 8) - (1 + entropy(3 / 4, 1 / 4)) / 2,
         0.25, 0.25 * math.log(3)),
        ({"x": 1}, {"y": 1}, 1, 1, 2 * (1 - 1e-4) * math.log(1e4)),
        ({"x": 1}, {}, 1, 1, (1 - 1e-4) * math.log(1e4)),
    ],
)  # fmt: skip
def test_measures(a, b, js, infinity, stability):
    for first, second in ((a, b), (b, a)):
        found = drift.compare(first, second)
        assert [found[m] for m in drift.MEASURES] == pytest.approx([js, infinity, stability])


def test_names_of_one_side():
    found = drift.compare({"x": 1, "y": 3}, {"y": 2, "z": 2, "v": 0})
    assert (found["only_a"], found["only_b"]) == ({"number": 1, "first": ["x"]}, {"number": 1, "first": ["z"]})
    assert found["largest"] == [["z", 0, 0.5], ["x", 0.25, 0], ["y", 0.75, 0.5]]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("drift")
    described.write_graph(directory / "ckg")
    described.write_graph(directory / "other", TRIPLES)
    described.write_examples(directory / "ctr")
    for name in ("ckg", "other", "ctr"):
        assert run(describe_data.main, directory / name, "--output", directory / f"of_{name}") == 0
    return directory


def compared(directory, *arguments, code=0):
    assert run(compare_data.main, *arguments, "--output", directory) == code
    return json.loads((directory / "drift.json").read_text())


@pytest.mark.parametrize(("a", "b"), [("ckg", "of_ckg"), ("of_ctr", "of_ctr")])
def test_nothing_drifts_between_equals(data, tmp_path, a, b):
    found = compared(tmp_path / "out", data / a, data / b, "--fail_over=0")
    assert found["distributions"]
    assert {row[0] for row in drift.worst(found)} == {0}
    assert not any(listed for side in ("new", "gone") for listed in found[side].values())


def test_two_graphs(data, tmp_path, capsys):
    """Patterns of A: 3 of 5 and 2 of 5; of B: 3 of 4 and another 1 of 4."""
    found = compared(tmp_path / "out", data / "of_ckg", data / "of_other")
    assert found["new"]["patterns"] == ["user likes user"]
    assert found["gone"] == {"types": [], "relations": [], "patterns": ["item likes item"]}
    patterns = found["distributions"]["train: triples by pattern"]
    expected = entropy(27 / 40, 8 / 40, 5 / 40) - (entropy(3 / 5, 2 / 5) + entropy(3 / 4, 1 / 4)) / 2
    assert patterns["jensen_shannon"] == pytest.approx(expected)
    assert patterns["l_infinity"] == pytest.approx(0.4)
    assert patterns["largest"][0] == ["item likes item", 0.4, 0.0]
    assert found["rates"]["train: self-loops"] == {"a": 0.2, "b": 0.0, "change": -0.2}
    lines = [re.split("  +", line.strip()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == [f"{expected:.4f}", "0.4000", f"{patterns['stability_index']:.4f}", "train: triples by pattern"]
    assert ["0.2000", "0.0000", "-0.2000", "train: self-loops"] in lines
    page = (tmp_path / "out" / "report.html").read_text()
    assert "item likes item" in page
    assert "user &lt;b&gt; item" in page
    assert "<b>" not in page


def test_a_limit(data, tmp_path, capsys):
    compared(tmp_path / "out", data / "of_ckg", data / "of_other", "--fail_over=10")
    compared(tmp_path / "over", data / "of_ckg", data / "of_other", "--fail_over=0.3", code=65)
    told = capsys.readouterr().err
    assert "exceed --fail_over=0.3; the largest: stability_index" in told
    assert "'train: triples by pattern'" in told


def test_label_rates_of_examples(data, tmp_path):
    """B has one day, with 5 clicks of 8: half-way between 0.60 and 0.65."""
    changed = [described.example(9, 1, 3, int(place < 5), price=2.0) for place in range(8)]
    described.write_examples(tmp_path / "b", {**described.EXAMPLES, "train": changed})
    found = compared(tmp_path / "out", data / "of_ctr", tmp_path / "b")
    assert found["rates"]["train: label rate"] == pytest.approx({"a": 1 / 3, "b": 5 / 8, "change": 7 / 24})
    assert found["rates"]["train: missing dense price"]["change"] == pytest.approx(-1 / 3)
    by_rate = found["distributions"]["train: label rate of the day"]["largest"]
    assert by_rate == [["0.50", 2 / 3, 0], ["0.60", 0, 0.5], ["0.65", 0, 0.5], ["0.00", 1 / 3, 0]]
    assert found["gone"]["sources"] == ["<i>"]


def test_ids_of_other_id_maps_are_not_compared(data, tmp_path):
    described.write_examples(tmp_path / "b", id_map=ckg.IdMap(described.RANGES, described.RELATIONS, "other"))
    found = compared(tmp_path / "out", data / "of_ctr", tmp_path / "b")
    assert "train: examples by category" in found["not_compared"]
    assert "train: examples by source" in found["distributions"]


def test_wrong_arguments(data, tmp_path, capsys):
    (tmp_path / "unfinished").mkdir()
    for arguments, code, told in (
        ([data / "of_ckg", data / "of_ctr"], 65, "a ckg dataset can't be compared with a ctr dataset"),
        ([data / "of_ckg", tmp_path / "unfinished"], 65, "not a finished dataset"),
        ([data / "of_ckg"], 2, "B: is required"),
        ([data / "of_ckg", data / "of_ckg", "--fail_over=-1"], 2, "fail_over"),
        ([data / "of_ckg", data / "of_other", "--fail_over=nan"], 2, "--fail_over: must be a finite number, got nan"),
        ([data / "of_ckg", data / "of_other", "--fail_over=inf"], 2, "--fail_over: must be a finite number, got inf"),
    ):
        assert run(compare_data.main, *arguments, "--output", tmp_path / "out") == code
        assert told in capsys.readouterr().err
        assert not list((tmp_path / "out").iterdir() if (tmp_path / "out").exists() else [])
