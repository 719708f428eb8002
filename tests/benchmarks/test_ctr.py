"""The benchmark of click models: its arguments, its inputs, its report, without any peer."""

import json

import numpy as np
import pytest
from support import ctr_data

from benchmarks import ctr, ctr_inputs, ctr_programs
from kdcn_tf import ckg, manifest, records

DESCRIBED = manifest.Manifest(manifest.CTR, id_map=ctr_data.ID_MAP, info=ctr_data.INFO)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only=dcn_memory,dlrm"], "--only: unknown dlrm; known: dcn_memory"),
        (["--only="], "--only: unknown nothing"),
        (["--budget=0"], "--budget"),
        (["--seeds=0"], "--seeds"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        ctr.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_rows_of_a_peers_table():
    # Ids 5, 6 and 9 have rows 2, 3 and 4; padding stays 0, all others are 1.
    ids = np.array([[0, 5, 6], [9, 7, -1], [8, 10, 0]])
    expected = [[0, 2, 3], [4, 1, 1], [1, 1, 0]]
    np.testing.assert_array_equal(ctr_inputs.table_rows(ids, [[5, 7], [9, 10]]), expected)


def test_a_peer_gets_the_same_examples(tmp_path):
    ctr_inputs.write_arrays(tmp_path / "a.npz", ctr_inputs.sized_examples(DESCRIBED), DESCRIBED)
    examples, arrays = ctr_inputs.sized_examples(DESCRIBED), np.load(tmp_path / "a.npz")
    firsts = {"user": 1, "item": 31, "category": 71, "keyword": 80}  # as in ctr_data.RANGES
    for key in (records.USER, records.QUERY_KEYWORDS, records.CATEGORIES, "behavior_cart"):
        ids, first = examples[key], firsts[ctr_inputs.table_of(key)]
        np.testing.assert_array_equal(arrays[key], np.where(ids == ckg.PAD_ID, 0, ids - first + 2))
    np.testing.assert_array_equal(arrays["label"], examples[records.LABEL])
    squashed = (np.log1p(examples[records.DENSE]) - [2.0, 1.0]) / [1.0, 0.5]
    np.testing.assert_allclose(arrays["dense"], squashed, atol=1e-5)


@pytest.mark.parametrize("entities", [1_000, 100_000])
def test_tables_of_all_sizes_are_asked_by_one_law(entities):
    described = ctr_inputs.sized(DESCRIBED, entities)
    id_map = described.require_id_map()
    assert sum(id_map.size(name) for name in ("user", "item", "keyword")) == entities
    examples = ctr_inputs.sized_examples(described)
    for key, name in ((records.USER, "user"), ("behavior_click", "item"), (records.CATEGORIES, "category")):
        first, last = id_map.range_of(name)
        ids = examples[key][examples[key] != ckg.PAD_ID]
        assert first <= ids.min() < ids.max() < last
    # Drawn with u ** 2 of u uniform: half of all draws come from a quarter of the entities.
    counts = np.sort(np.bincount(examples[records.ITEM] - id_map.range_of("item")[0], minlength=id_map.size("item")))
    if entities == 1_000:
        assert counts[-id_map.size("item") // 4 :].sum() / counts.sum() == pytest.approx(0.5, abs=0.02)


def test_the_report_without_peers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ctr_programs, "SLICE_S", 0.2)
    ctr_data.write_ctr(tmp_path / "ctr", per_file=600)
    monkeypatch.setattr(ctr_inputs, "simulated", lambda work: tmp_path / "ctr")
    report = tmp_path / "report.json"
    with pytest.raises(SystemExit) as ended:
        ctr.main(["--only=dcn_memory", "--budget=1", f"--work={tmp_path / 'work'}", f"--json={report}"])
    assert ended.value.code == 0, capsys.readouterr()
    body = json.loads(report.read_text())
    found = body["details"]["comparison"]["programs"]["dcn_memory"]
    assert body["figures"] == {"dcn_examples_per_s": found["examples_per_s"]}  # ratios need more programs
    assert found["training_seconds"] >= 1
