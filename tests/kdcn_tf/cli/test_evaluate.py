import dataclasses
import json

import numpy as np
import pytest
from support.ctr_data import key_of, write_ctr, write_keys
from support.raw_logs import run, streams, write_raw
from support.served import write_model

from kdcn_tf import manifest, records
from kdcn_tf.cli import evaluate
from kdcn_tf.data import ctr as ctr_data
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
    more = ("--baseline=lr", "--baseline=gbdt", "--set=gbdt.rounds=5", f"--raw={root}/raw", f"--output={tmp_path}/out")
    assert run(evaluate.main, *arguments(root, *more)) == 0
    written = json.loads((tmp_path / "out" / evaluate.METRICS_FILE).read_text())
    assert (written["split"], written["best_possible"]) == ("test", {"auc": 0.8125})
    assert list(written["sources"]) == ["all", "app", "shop"]
    assert all(list(rows) == ["first", "second", "lr", "gbdt"] for rows in written["sources"].values())
    examples = ctr_data.read_all(str(root / "ctr"), manifest.read(str(root / "ctr"), manifest.CTR), "test")
    inputs = {key: value for key, value in examples.items() if value.dtype != object}
    for name, (model, _) in zip(("first", "second"), models.values(), strict=True):
        scores = model(inputs, training=False).numpy()
        expected = metrics.summarize(examples[records.LABEL], scores, examples[records.SESSION])
        assert written["sources"]["all"][name] == pytest.approx(expected, abs=1e-5)
    made = manifest.read(str(tmp_path / "out"), manifest.EVALUATION, check_digests=True)
    assert made.inputs[f"{manifest.KDCN_MODEL}/second"] == models["two"][1].fingerprint()

    table = capsys.readouterr().out.splitlines()
    clicked = examples[records.LABEL].mean()
    assert table[0] == f"test impressions, all: 60, of which {clicked:.1%} clicked"
    assert table[1].split() == list(evaluate.SHOWN)
    first = written["sources"]["all"]["first"]
    assert table[2].split() == ["first", *(f"{first[name]:.4f}" for name in evaluate.SHOWN)]
    assert table[6].split() == ["best", "possible", "0.8125"]


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
    scorers = iter([lambda _: scores["first"], lambda _: scores["second"]])
    monkeypatch.setattr(evaluation, "kdcn_scorer", lambda *_: next(scorers))
    assert run(evaluate.main, *arguments(root, f"--output={tmp_path}/out")) == 65
    assert "model 'second': 3 of 60 logits are NaN or infinite" in capsys.readouterr().err
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_slices(chain, tmp_path, capsys):
    root, _ = chain
    write_keys(root / "ckg")
    more = ("--slices=category,item_frequency", f"--ckg={root}/ckg", f"--output={tmp_path}/out")
    assert run(evaluate.main, *arguments(root, *more)) == 0
    written = json.loads((tmp_path / "out" / evaluate.METRICS_FILE).read_text())
    assert list(written["slices"]) == ["category", "item_frequency"]
    for judged in written["slices"].values():
        assert sum(rows["first"]["impressions"] for rows in judged.values()) == 60
    examples = ctr_data.read_all(str(root / "ctr"), manifest.read(str(root / "ctr"), manifest.CTR), "test")
    first = int(examples[records.CATEGORIES][examples[records.CATEGORIES][:, 0] > 0][0, 0])
    category = written["slices"]["category"][key_of("category", first)]["second"]
    assert category["impressions"] == np.sum(examples[records.CATEGORIES][:, 0] == first)

    table = capsys.readouterr().out.split("\n\n")[-1].splitlines()
    assert table[0] == "by item_frequency: how often training showed the candidate"
    assert table[1].split() == ["item_frequency", "model", "impressions", "clicked", *evaluate.SHOWN]
    first = written["slices"]["item_frequency"]["3-9"]["first"]
    row = next(line for line in table if line.split()[:2] == ["3-9", "first"])
    assert row.split()[2:5] == [f"{first['impressions']:.0f}", f"{first['click_rate']:.1%}", f"{first['auc']:.4f}"]


def test_positions_in_order(chain, tmp_path, capsys):
    root, _ = chain
    assert run(evaluate.main, *arguments(root, "--slices=position", f"--output={tmp_path}/out")) == 0
    written = json.loads((tmp_path / "out" / evaluate.METRICS_FILE).read_text())
    judged = written["slices"]["position"]
    # Fifteen sessions of four, one of which doesn't say.
    assert [(name, rows["second"]["impressions"]) for name, rows in judged.items()] == [
        ("unknown", 4), ("0", 14), ("1", 14), ("2", 14), ("3", 14)]  # fmt: skip
    table = capsys.readouterr().out.split("\n\n")[-1].splitlines()
    assert table[0] == "by position: place at which the candidate was shown, as the log counts"
    assert [line.split()[:3] for line in table[2::2]] == [
        [name, "first", str(size)] for name, size in (("unknown", 4), *((str(place), 14) for place in range(4)))
    ]


def test_a_slice_of_one_class_is_undefined(chain, tmp_path, capsys):
    root, _ = chain
    # So few impressions a query length, of 12, that some hold a single class.
    write_ctr(tmp_path / "ctr", per_file=12)
    more = ("--slices=day,query_keywords", f"--output={tmp_path}/out", f"--model=first={root}/one")
    assert run(evaluate.main, f"--ctr={tmp_path}/ctr", *more) == 0
    judged = json.loads((tmp_path / "out" / evaluate.METRICS_FILE).read_text())["slices"]["query_keywords"]
    single = [name for name, rows in judged.items() if rows["first"]["click_rate"] in (0.0, 1.0)]
    assert single
    assert all(judged[name]["first"]["auc"] is None for name in single)
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(f"{single[0]} ")]
    assert rows[0][4] == "undefined"


def test_a_dataset_of_other_ids_is_refused_with_both_fingerprints(chain, tmp_path, capsys):
    root, _ = chain
    described = write_ctr(tmp_path / "ctr", per_file=12)
    foreign = dataclasses.replace(described, id_map=dataclasses.replace(described.id_map, fingerprint="other-ids"))
    manifest.write(str(tmp_path / "ctr"), foreign)
    assert run(evaluate.main, *arguments(root)[1:], f"--ctr={tmp_path}/ctr", f"--output={tmp_path}/out") == 65
    err = capsys.readouterr().err
    assert "has id map tiny-ids, the ctr dataset has id map other-ids" in err
    assert not (tmp_path / "out" / "manifest.json").exists()
    write_keys(tmp_path / "ckg")
    more = (f"--ckg={tmp_path}/ckg", f"--ctr={tmp_path}/ctr", f"--output={tmp_path}/two")
    assert run(evaluate.main, *arguments(root)[1:], *more) == 65
    assert "has id map other-ids, the ckg dataset has id map tiny-ids" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--ctr={root}/ctr"], 2, "--output: is required"),
        (["--ctr={root}/ctr", "--output={out}"], 2, "--model: is required, or --baseline"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a"], 2, "--model a: expected NAME=DIR"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a=x", "--model=a=y"], 2, "the name occurs twice"),
        (["--ctr={root}/ctr", "--output={out}", "--model=lr=x", "--baseline=lr"], 2, "a baseline has this name"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a=x", "--slices=colour"], 2, "unknown slice 'colour'; known"),
        (["--ctr={root}/ctr", "--output={out}", "--model=a={root}/ctr"], 65, "kind 'ctr', expected"),
        (["--ctr={root}/ctr", "--output={root}/ctr", "--model=a={root}/one"], 2, "ctr too; name another"),
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
