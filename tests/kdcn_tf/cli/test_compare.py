import dataclasses
import json
import shlex

import numpy as np
import pytest
from support.ctr_data import ID_MAP, write_ctr, write_embeddings
from support.raw_logs import run

from kdcn_tf import manifest
from kdcn_tf.cli import compare

SMALL = ["kdcn.dim=8", "kdcn.heads=2", "kdcn.filters=4", "kdcn.match_dim=8", "kdcn.deep_units=[16]",
         "finetune.batch_size=64", "finetune.epochs=1", "trial.least_steps=6",
         "trial.least_steps_between=3"]  # fmt: skip
SETS = [f"--set={text}" for text in SMALL]
MODELS = "--models=kdcn_no_pretraining,kdcn_no_dialogue"


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("compare") / "ctr"
    write_ctr(directory, per_file=80)
    return directory


def test_trains_reports_and_goes_on(ctr, tmp_path, capsys):
    settled = tmp_path / "best.yaml"
    settled.write_text("finetune: {learning_rate: 0.004}\n")
    given = [f"--ctr={ctr}", "--models=kdcn_no_pretraining", "--seeds=2", "--fractions=0.5", *SETS, "--processes=1",
             f"--tuned=kdcn_no_pretraining={settled}", f"--output={tmp_path / 'out'}"]  # fmt: skip
    assert run(compare.main, *given) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["seeds"], report["fractions"]) == ([1, 2], [0.5, 1.0])
    assert report["dataset"]["rows"] == {"train": 160, "valid": 80, "test": 80}
    assert sum(report["dataset"]["train"]["source"].values()) == 160
    told = report["settings"]["models"]["kdcn_no_pretraining"]
    assert (told["finetune.learning_rate"], told["kdcn.pretrained"], told["kdcn.filters"]) == (0.004, False, 4)
    assert str(tmp_path) not in (tmp_path / "out" / "report.json").read_text()
    made = manifest.read(str(tmp_path / "out"), manifest.COMPARISON, check_digests=True)
    assert (made.counts["runs"], len(made.group("runs")), len(made.group("report"))) == (4, 4, 3)

    assert "4 runs, 0 of them finished already" in capsys.readouterr().err
    assert run(compare.main, *given) == 0
    assert "4 runs, 4 of them finished already" in capsys.readouterr().err
    assert run(compare.main, *given, "--models=lr,kdcn_no_pretraining") == 0
    assert "8 runs, 4 of them finished already" in capsys.readouterr().err
    settled.write_text("finetune: {learning_rate: 0.005}\n")
    assert run(compare.main, *given, "--models=lr,kdcn_no_pretraining") == 2
    assert "another configuration or input (" in (err := capsys.readouterr().err)
    assert "settings of kdcn_no_pretraining" in err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--models=kdcn,svm"], "--models: unknown model 'svm'; known: kdcn, "),
        (["--models=dcn", "--scarce=svm"], "--scarce: unknown model 'svm'"),
        (["--models="], "--models: names no model"),
        ([MODELS, "--fractions=0"], "--fractions: expected numbers above 0 up to 1, got '0'"),
        ([MODELS, "--fractions=x"], "--fractions: expected numbers above 0 up to 1, got 'x'"),
        ([MODELS, "--tuned=lr=x"], "--tuned lr=x: expected MODEL=FILE, MODEL of kdcn_no_pretraining, kdcn_no_dialogue"),
        ([MODELS, "--tuned=kdcn_no_dialogue=missing.yaml"], "missing.yaml: No such file"),
        ([MODELS, "--tuned=kdcn_frozen=missing.yaml"], "MODEL of kdcn_no_pretraining, kdcn_no_dialogue"),
        ([MODELS, "--ablations", "--tuned=kdcn_frozen=missing.yaml"], "missing.yaml: No such file"),
        ([MODELS, "--ablations", "--set=kdcn.freeze_entities=true", "--tuned=kdcn_frozen=x"], "MODEL of kdcn_no_pre"),
        ([MODELS], "--embeddings: is required"),
        (["--models=kdcn", "--seeds=0"], "--seeds"),
    ],
)
def test_what_is_refused(ctr, tmp_path, capsys, given, message):
    assert run(compare.main, f"--ctr={ctr}", *given, *SETS, f"--output={tmp_path / 'out'}") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_finished_comparison_loses_nothing(ctr, tmp_path, capsys):
    output = tmp_path / "out"
    given = [f"--ctr={ctr}", "--processes=1", *SETS, "--set=gbdt.rounds=5", f"--output={output}"]
    assert run(compare.main, *given, "--models=lr,gbdt", "--seeds=2", "--fractions=0.5", "--scarce=lr") == 0
    before = (output / "report.json").read_bytes()
    for less, message in (
        (["--models=gbdt", "--seeds=1", "--fractions="], "also has model lr and fraction 0.5 and seed 2, which"),
        (["--models=lr,gbdt", "--seeds=2", "--fractions=0.5", "--scarce=gbdt"], "has runs lr-0.5-1, lr-0.5-2, which"),
        (["--models="], "--models: names no model"),
    ):
        capsys.readouterr()
        assert run(compare.main, *given, *less) == 2
        assert message in capsys.readouterr().err
        assert (output / "report.json").read_bytes() == before
        assert len(manifest.read(str(output), manifest.COMPARISON, check_digests=True).group("runs")) == 6
    assert run(compare.main, *given, "--models=gbdt", "--seeds=1", "--fractions=", "--overwrite") == 0
    assert len(manifest.read(str(output), manifest.COMPARISON).group("runs")) == 1


def test_a_model_with_embeddings_is_added_to_some_without(ctr, tmp_path, capsys):
    """And those without don't need them the next time; no other export can take the first one's place."""
    one, other = write_embeddings(tmp_path / "one"), write_embeddings(tmp_path / "other", step=1.0)
    given = [f"--ctr={ctr}", "--processes=1", "--seeds=1", "--fractions=", *SETS, f"--output={tmp_path / 'out'}"]
    for more, told in (
        (["--models=lr", f"--embeddings={one}"], "1 runs, 0 of them finished already"),
        (["--models=lr"], "1 runs, 1 of them finished already"),
        (["--models=lr,kdcn", f"--embeddings={one}"], "2 runs, 1 of them finished already"),
        (["--models=lr,kdcn", f"--embeddings={one}"], "2 runs, 2 of them finished already"),
    ):
        assert run(compare.main, *given, *more) == 0
        assert told in capsys.readouterr().err
    assert run(compare.main, *given, "--models=lr,kdcn", f"--embeddings={other}") == 2
    was, now = (manifest.read(str(path), manifest.EMBEDDINGS).fingerprint() for path in (one, other))
    assert f"('embeddings: {was}' there, 'embeddings: {now}' now)" in capsys.readouterr().err
    assert run(compare.main, *given, "--models=lr,kdcn", f"--embeddings={one}", "--set=lr.iterations=9") == 2
    assert "('settings of lr: " in capsys.readouterr().err


def test_the_directory_of_an_unfinished_run_of_another_kind(ctr, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    mark = manifest.read(str(ctr), manifest.CTR).fingerprint()
    (tmp_path / "out" / manifest.CONFIG_FILE).write_text(f"# ctr: {mark}\n")
    (tmp_path / "out" / "checkpoint").write_text("")
    assert run(compare.main, f"--ctr={ctr}", "--models=lr", *SETS, f"--output={tmp_path / 'out'}") == 2
    assert "holds an unfinished run of another configuration or input (no parts there)" in capsys.readouterr().err


def test_a_source_named_as_all_of_them_costs_no_training(tmp_path, capsys):
    write_ctr(tmp_path / "ctr", per_file=12, sources=(b"all", b"shop"))
    given = [f"--ctr={tmp_path / 'ctr'}", "--models=lr", "--seeds=1", *SETS, f"--output={tmp_path / 'out'}"]
    assert run(compare.main, *given) == 65
    assert "test split: a source is named 'all'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_report_tells_the_command_that_makes_it_again(ctr, tmp_path):
    settings, settled = tmp_path / "my settings.yaml", tmp_path / "best.yaml"
    settings.write_text("lr: {iterations: 50}\n")
    settled.write_text("lr: {strengths: [0.1]}\n")
    given = [f"--ctr={ctr}", "--models=lr", "--seeds=1", "--fractions=", f"--config={settings}",
             f"--tuned=lr={settled}", "--set=kdcn.deep_units=[16, 8]"]  # fmt: skip
    assert run(compare.main, *given, "--processes=1", f"--output={tmp_path / 'out'}") == 0
    command = json.loads((tmp_path / "out" / "report.json").read_text())["settings"]["command"]
    assert shlex.split(command)[2:] == [
        "--ctr=ctr", "--models=lr", "--seeds=1", "--fractions=", "--tuned=lr=best.yaml", "--config=my settings.yaml",
        "--set=kdcn.deep_units=[16, 8]",
    ]  # fmt: skip


def logits_of(output, seed):
    return np.load(output / "runs" / f"kdcn-1-{seed}.npz")["test"]


def test_seeds_take_turns_among_runs_of_pretraining(ctr, tmp_path):
    """Of three seeds the second starts from the other export, so it alone differs from a comparison with one export."""
    one, other = write_embeddings(tmp_path / "one"), write_embeddings(tmp_path / "other", step=1.0)
    given = [f"--ctr={ctr}", "--models=kdcn", "--fractions=1", "--processes=1", "--seeds=3", *SETS,
             "--set=kdcn.knowledge_scale=1", "--set=kdcn.standardize_entities=false",  # which makes both exports one
             f"--embeddings={one}"]  # fmt: skip
    assert run(compare.main, *given, f"--output={tmp_path / 'alone'}") == 0
    assert run(compare.main, *given, f"--more_embeddings={other}", f"--output={tmp_path / 'turns'}") == 0
    same = [np.array_equal(*(logits_of(tmp_path / name, seed) for name in ("alone", "turns"))) for seed in (1, 2, 3)]
    assert same == [True, False, True]
    made = manifest.read(str(tmp_path / "turns"), manifest.COMPARISON)
    assert made.inputs["embeddings/2"] == manifest.read(str(other), manifest.EMBEDDINGS).fingerprint()
    assert (
        "--more_embeddings=other" in json.loads((tmp_path / "turns" / "report.json").read_text())["settings"]["command"]
    )
    assert run(compare.main, *given, f"--output={tmp_path / 'turns'}") == 2  # never mixed with those of one export


def test_other_exports_that_dont_fit(ctr, tmp_path, capsys):
    one = write_embeddings(tmp_path / "one")
    longer = write_embeddings(tmp_path / "longer", dim=16)
    foreign = write_embeddings(tmp_path / "foreign", id_map=dataclasses.replace(ID_MAP, fingerprint="foreign"))
    given = [f"--ctr={ctr}", "--models=kdcn", *SETS, f"--output={tmp_path / 'out'}"]
    for more, code, message in (
        (["--models=lr", f"--more_embeddings={one}"], 2, "--more_embeddings: needs --embeddings"),
        ([f"--embeddings={longer}"], 2, f"kdcn.dim: is 8, {longer} has vectors of 16"),
        ([f"--embeddings={one}", f"--more_embeddings={longer}"], 2, "longer has dimension 16, "),
        ([f"--embeddings={one}", f"--more_embeddings={one}"], 2, "one is there twice"),
        ([f"--embeddings={one}", f"--more_embeddings={foreign}"], 65, "ids don't match"),
        ([f"--embeddings={one}", f"--more_embeddings={ctr}"], 65, "expected 'embeddings'"),
    ):
        assert run(compare.main, *given, *more) == code
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
