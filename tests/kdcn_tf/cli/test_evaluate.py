import dataclasses
import json

import numpy as np
import pytest
from support.ctr_data import write_ctr
from support.raw_logs import run, streams, write_raw
from support.served import write_model

from kdcn_tf import manifest, records
from kdcn_tf.cli import evaluate
from kdcn_tf.training import evaluation, metrics


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Folders raw (as if simulated), ctr, and two models with different random weights."""
    root = tmp_path_factory.mktemp("evaluate")
    write_raw(root / "raw", streams())
    raw = manifest.read(str(root / "raw"), manifest.RAW)
    info = {**raw.info, "simulation": {"bayes_auc_test": 0.8125, "bayes_auc_all": 0.7}}
    manifest.write(str(root / "raw"), dataclasses.replace(raw, info=info))
    ctr = write_ctr(root / "ctr", per_file=60)
    marked = {manifest.RAW: manifest.read(str(root / "raw"), manifest.RAW).fingerprint()}
    manifest.write(str(root / "ctr"), dataclasses.replace(ctr, inputs=marked))
    models = {name: write_model(root / name, ctr, f"finetune.seed={seed}") for name, seed in (("one", 1), ("two", 2))}
    return root, models


def arguments(root, *more) -> list[str]:
    return [f"--ctr={root}/ctr", f"--model=first={root}/one", f"--model=second={root}/two", *more]


def test_models_and_baseline_side_by_side(chain, tmp_path, capsys):
    root, models = chain
    more = ("--baseline=lr", f"--raw={root}/raw", f"--output={tmp_path}/out")
    assert run(evaluate.main, *arguments(root, *more)) == 0
    written = json.loads((tmp_path / "out" / evaluate.METRICS_FILE).read_text())
    assert (written["split"], written["best_possible"]) == ("test", {"auc": 0.8125})
    assert list(written["sources"]) == ["all", "app", "shop"]
    assert all(list(rows) == ["first", "second", "lr"] for rows in written["sources"].values())
    data = evaluation.heldout(str(root / "ctr"), manifest.read(str(root / "ctr"), manifest.CTR), "test")
    for name, (model, described) in zip(("first", "second"), models.values(), strict=True):
        scores = evaluation.score_kdcn(model, described, data)
        expected = metrics.summarize(data.examples[records.LABEL], scores, data.examples[records.SESSION])
        assert written["sources"]["all"][name] == pytest.approx(expected, abs=1e-5)
    made = manifest.read(str(tmp_path / "out"), manifest.EVALUATION, check_digests=True)
    assert made.inputs[f"{manifest.KDCN_MODEL}/second"] == models["two"][1].fingerprint()

    table = capsys.readouterr().out.splitlines()
    clicked = data.examples[records.LABEL].mean()
    assert table[0] == f"test impressions, all: 60, of which {clicked:.1%} clicked"
    assert table[1].split() == list(evaluate.SHOWN)
    first = written["sources"]["all"]["first"]
    assert table[2].split() == ["first", *(f"{first[name]:.4f}" for name in evaluate.SHOWN)]
    assert table[5].split() == ["best", "possible", "0.8125"]


def test_another_split(chain, tmp_path, capsys):
    root, _ = chain
    more = ("--split=valid", f"--raw={root}/raw", f"--output={tmp_path}/out")
    assert run(evaluate.main, *arguments(root, *more)) == 0
    out = capsys.readouterr().out
    assert out.startswith("valid impressions, all: 60")
    assert "best possible" not in out  # the simulator knows it for the test period


def test_a_model_that_scores_no_number_is_named(chain, tmp_path, capsys, monkeypatch):
    root, _ = chain
    scores = {"first": np.zeros(60), "second": np.array([np.nan] * 3 + [0.0] * 57)}
    pending = iter(scores.values())
    monkeypatch.setattr(evaluation, "score_kdcn", lambda *_: next(pending))
    assert run(evaluate.main, *arguments(root, f"--output={tmp_path}/out")) == 65
    assert "model 'second': 3 of 60 logits are NaN or infinite" in capsys.readouterr().err
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--ctr={root}/ctr"], 2, "--output: is required"),
        (["--ctr={root}/ctr", "--output={out}"], 2, "--model: is required, or --baseline"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a"], 2, "--model a: expected NAME=DIR"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a=x", "--model=a=y"], 2, "the name occurs twice"),
        (["--ctr={root}/ctr", "--output={out}", "--model=lr=x", "--baseline=lr"], 2, "a baseline has this name"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a={root}/ctr"], 65, "kind 'ctr', expected"),
        (["--ctr={root}/ctr", "--output={root}/ctr", "--model=a={root}/one"], 2, "not empty"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a={root}/one", "--raw={other}"], 2, "built from other logs"),
    ],
)
def test_wrong_flags_have_a_message_and_leave_nothing(chain, tmp_path, capsys, flags, code, message):
    root, _ = chain
    other = write_raw(tmp_path / "other", streams(users=[]))
    filled = [flag.format(root=root, out=tmp_path / "out", other=other) for flag in flags]
    assert run(evaluate.main, *filled) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
