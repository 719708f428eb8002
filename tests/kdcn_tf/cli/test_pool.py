import json
import shutil

import pytest
from support.ctr_data import write_ctr
from support.raw_logs import run

from kdcn_tf import manifest
from kdcn_tf.cli import compare, pool

SETS = [f"--set={text}" for text in (
    "kdcn.dim=8", "kdcn.heads=2", "kdcn.filters=4", "kdcn.match_dim=8", "kdcn.deep_units=[16]",
    "kdcn.pretrained=false", "finetune.batch_size=64", "finetune.epochs=1", "trial.least_steps=6",
    "trial.least_steps_between=3",
)]  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Two comparisons in folders of one name; the second has another first seed."""
    root = tmp_path_factory.mktemp("pool")
    write_ctr(root / "ctr", per_file=80)
    for seed in (1, 2):
        given = [f"--ctr={root / 'ctr'}", "--models=kdcn,lr", "--seeds=1", "--fractions=1", "--processes=1", *SETS]
        assert run(compare.main, *given, f"--set=finetune.seed={seed}", f"--output={root / str(seed) / 'found'}") == 0
    return root


def test_two_comparisons_become_one(compared, tmp_path, capsys):
    one, two, out = compared / "1" / "found", compared / "2" / "found", tmp_path / "out"
    assert run(pool.main, one, two, f"--output={out}") == 0
    assert "gain_over_lr" in capsys.readouterr().out
    made = manifest.read(str(out), manifest.POOL, check_digests=True)
    assert made.counts == {"comparisons": 2}
    assert made.inputs["comparison/1/found"] == manifest.read(str(one), manifest.COMPARISON).fingerprint()
    found, parts = (json.loads((folder / "report.json").read_text()) for folder in (out, one))
    name = "all_gain_over_lr"
    other = json.loads((two / "report.json").read_text())["figures"][name]
    assert found["figures"][name] == pytest.approx((parts["figures"][name] + other) / 2)
    assert str(compared) not in (out / "report.html").read_text()
    assert run(pool.main, one, two, f"--output={out}") == 2  # never overwritten without being told
    assert run(pool.main, two, one, f"--output={out}", "--overwrite") == 0


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["1/found"], 2, "two comparisons are needed at the least, got 1"),
        (["1/found", "2/found", "1/found"], 2, "1/found: the same comparison as "),
        (["1/found", "ctr"], 65, "a dataset of kind 'ctr', expected 'comparison'"),
        (["1/found", "3"], 65, "3/manifest.json: no such file"),
        (["1/found", "2/found", "--fast"], 2, "--fast"),
    ],
)
def test_what_is_refused(compared, tmp_path, capsys, given, code, message):
    named = [argument if argument.startswith("-") else compared / argument for argument in given]
    assert run(pool.main, *named, f"--output={tmp_path / 'out'}") == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_changed_report_is_refused(compared, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(compared / "1" / "found", copy)
    text = (copy / "report.json").read_text()
    (copy / "report.json").write_text(text.replace('"seeds"', '"seedy"', 1))
    assert run(pool.main, copy, compared / "2" / "found", f"--output={tmp_path / 'out'}") == 65
    assert "report.json: its content is not what manifest.json describes" in capsys.readouterr().err
