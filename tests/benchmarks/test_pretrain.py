"""The benchmark of pretraining: its arguments, its report, the turns, without any peer."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ckg_data

from benchmarks import lockstep, pretrain, programs, reporting, sized_graphs
from kdcn_tf import records

PROGRAM = """
import sys, time
sys.path.insert(0, {folder!r})
from turns import Turns
turns = Turns(0.05)
while turns.trained(10):
    time.sleep(0.01)
print('vectors written')
{end}
"""


def program(tmp_path: Path, name: str, end: str = "") -> lockstep.Program:
    code = PROGRAM.format(folder=str(programs.SCRIPTS), end=end)
    return lockstep.Program(name, [sys.executable, "-c", code], tmp_path / f"{name}.log")


def test_programs_train_in_turns_until_their_budget_is_used_and_a_failing_one_ends_alone(tmp_path):
    good = program(tmp_path, "good")
    bad = program(tmp_path, "bad", end="sys.exit('out of luck')")
    missing = lockstep.Program("missing", [str(tmp_path / "nothing")], tmp_path / "missing.log")
    lockstep.train_in_turns([good, bad, missing], budget_s=0.12, say=lambda text: None)
    assert good.failure is None
    assert bad.failure == "bad: exit code 1: out of luck"
    assert "nothing" in (missing.failure or "")
    assert good.seconds >= 0.12 > good.seconds - good.slices[-1]["seconds"]
    assert all(part["triples"] % 10 == 0 and part["seconds"] >= 0.05 for part in good.slices)
    assert good.rate < 10 / 0.01  # ten triples take ten milliseconds at the least
    assert good.report()["triples"] == sum(part["triples"] for part in good.slices)
    assert lockstep.members(good._process.pid) == lockstep.members(bad._process.pid) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--data: is required"),
        (["--data=nowhere"], "nowhere/FB15k-237: no such folder"),
        (["--data=nowhere", "--only=inline,dgl"], "--only: unknown dgl; known: inline"),
        (["--data=nowhere", "--budget=0"], "--budget"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        pretrain.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_report_of_a_small_graph_without_peers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(programs, "SLICE_S", 0.2)
    triples, _ = ckg_data.clustered_triples(users=40, items=40)
    folder = tmp_path / "data" / pretrain.GRAPH
    folder.mkdir(parents=True)
    for split, part in (("train", triples[40:]), ("valid", triples[:20]), ("test", triples[20:40])):
        (folder / f"{split}.txt").write_text("".join(f"e{h}\tr{r}\te{t}\n" for h, r, t in part))
    report = tmp_path / "report.json"
    arguments = [f"--data={tmp_path / 'data'}", f"--work={tmp_path / 'work'}", f"--json={report}"]
    with pytest.raises(SystemExit) as ended:
        pretrain.main([*arguments, "--only=inline", "--budget=1"])
    assert ended.value.code == 0, capsys.readouterr()
    body = json.loads(report.read_text())
    assert (body["figures"], body["failures"]) == ({}, [])  # each figure needs more than one program
    found = body["details"]["comparison"]["programs"]["inline"]
    assert found["triples_per_s"] > 0
    assert found["training_seconds"] >= 1
    assert found["scored_pairs_per_s"] == pytest.approx(65 * found["triples_per_s"])
    assert 0 < found["test"]["mrr"] <= 1
    assert min(found["peak_bytes"].values()) > 100 << 20  # TensorFlow alone is more
    assert body["versions"]["tensorflow"].startswith("2.")
    assert body["machine"]["cores"] >= 1


def test_vectors_of_a_side_are_used_for_that_side(tmp_path):
    # 1 + r = 2, so the tail's rank is 1. Backwards, 2 - r' is nearest to 3, then 2 itself, then 1: rank 3.
    entities = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 5.0]])
    path = tmp_path / "vectors.npz"
    np.savez(path, entities=entities, relations=[[1.0, 0.0]], head_relations=[[0.0, -4.0]], norm=2)
    splits = {"train": np.empty((0, 3), np.int64), "test": np.array([[1, 0, 2]])}
    assert pretrain.ranked(path, splits)["mrr"] == pytest.approx((1 + 1 / 3) / 2)


def test_a_figure_is_met_missed_failed_or_was_not_measured():
    bars = {"speed": (">=", 8.0), "error": ("<=", 0.15), "ratio": (">=", 1.0), "other": (">=", 1.0)}
    lines = reporting.table({"speed": 8.0, "error": 0.2, "ratio": None}, bars).splitlines()
    assert [line.split()[-1] for line in lines] == ["met", "MISSED", "details", "measured"]


@pytest.mark.parametrize("entities", [500, 4000])
def test_graphs_of_all_sizes_have_one_law_of_degrees(entities, tmp_path, monkeypatch):
    monkeypatch.setattr(sized_graphs, "TRIPLES", 2000)
    monkeypatch.setattr(sized_graphs, "_IDS_PER_FILE", 1500)
    made = sized_graphs.write(str(tmp_path), entities=entities, stored=8)
    import tensorflow as tf

    degrees, neighbors = [], []
    for file in made.group("adjacency"):
        for record in tf.data.TFRecordDataset(str(tmp_path / file.name)):
            row = records.decode(record.numpy())
            assert row[records.FIRST_ID] == [1 + len(degrees)]
            degrees += row[records.DEGREE]
            neighbors += row[records.NEIGHBORS]
    table = np.reshape(neighbors, (entities, 8))
    assert np.mean(degrees) == pytest.approx(10.5, abs=0.6)  # 10, and half of one for rounding up
    assert min(degrees) == 5
    assert ((table > 0).sum(axis=1) == np.minimum(degrees, 8)).all()
    assert table.max() <= entities
    assert sum(file.count for file in made.group("train")) == 2000
