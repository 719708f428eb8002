import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from support.ctr_data import INFO, write_ctr
from support.raw_logs import run
from support.small_ctr import MODEL, SMALL, write_without_test

from kdcn_tf import config, contestants, manifest, options, records, spaces
from kdcn_tf.cli import tune
from kdcn_tf.training import metrics, studies, trial

SPACE = """
finetune.learning_rate: {low: 1e-4, high: 0.1, log: true}
kdcn.deep_units: {choices: [[4], [4, 4], []]}
"""
SUGGESTED = {"logs.behaviors": INFO["behaviors"]}


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tune") / "ctr"
    write_without_test(directory)
    (directory.parent / "space.yaml").write_text(SPACE)
    return directory


def arguments(ctr, output, *more) -> list[str]:
    given = [f"--ctr={ctr}", f"--output={output}", f"--model={MODEL}", f"--space={ctr.parent}/space.yaml"]
    return [*given, *(f"--set={assignment}" for assignment in SMALL), *more]


def rows_of(output) -> list[dict]:
    return [json.loads(line) for line in (output / "trials.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def studied(ctr, tmp_path_factory):
    """A study of two trials, and what the command printed."""
    output = tmp_path_factory.mktemp("studied") / "study"
    assert run(tune.main, *arguments(ctr, output, "--trials=2", "--processes=1")) == 0
    return output


def test_the_best_setting_scores_what_the_table_says(ctr, studied):
    """best.yaml, given to the default preset, is the configuration whose validation AUC is the study's best."""
    rows = rows_of(studied)
    assert [row["trial"] for row in rows] == [0, 1]
    assert rows[0]["values"] == {"finetune.learning_rate": 1e-3, "kdcn.deep_units": [4]}  # the one that was given
    best = max(rows, key=lambda row: row["score"])
    text = (studied / "best.yaml").read_text()
    assert text.startswith(
        f"# validation AUC {best['score']:.5f}: trial {best['trial']}, the best of 2\n# {MODEL} on ctr "
    )
    found = config.resolve(suggested=SUGGESTED, config_file=str(studied / "best.yaml"))
    given = [f"{key}={json.dumps(value)}" for key, value in best["values"].items()]
    expected = config.resolve(suggested=SUGGESTED, assignments=[*SMALL, *given])
    assert found == contestants.configured(MODEL, expected)
    assert "behaviors" not in text  # what a dataset brings along isn't a choice

    data = trial.TrialData.read(str(ctr), ("train", "valid"))
    logits = trial.run(data, MODEL, found, embeddings=None).logits["valid"]
    assert metrics.auc(data.splits["valid"][records.LABEL], logits) == pytest.approx(best["score"], abs=1e-4)


def test_what_is_left_of_a_study(ctr, studied):
    made = manifest.read(str(studied), manifest.TUNING, check_digests=True)
    assert made.counts == {"finished": 2, "pruned": 0, "diverged": 0}
    assert made.inputs == {manifest.CTR: manifest.read(str(ctr), manifest.CTR).fingerprint()}
    assert made.info["best"] == max(rows_of(studied), key=lambda row: row["score"])
    assert made.config == options.to_dict(config.resolve(suggested=SUGGESTED, assignments=SMALL))
    assert {path.name for path in studied.iterdir()} == {
        "best.yaml", "config.yaml", "journal.log", "manifest.json", "trials.jsonl"
    }  # fmt: skip


def test_more_trials_are_added_to_those_there(ctr, studied, capsys):
    """Three where two are: one is done. Three again, or two: none."""
    before = rows_of(studied)
    assert run(tune.main, *arguments(ctr, studied, "--trials=3", "--processes=1")) == 0
    out, err = capsys.readouterr()
    table = out.splitlines()
    rows = rows_of(studied)
    assert rows[:2] == before
    assert len(rows) == 3
    best = sorted(rows, key=lambda row: -row["score"])
    assert table[0] == "the best 3 of 3 trials"
    assert [int(line.split()[0]) for line in table[1:4]] == [row["trial"] for row in best]
    assert f"AUC {best[0]['score']:.5f}" in table[1]
    assert re.search(r"3 of 3 trials: trial 2 finished, AUC \S+; best AUC \S+ of trial \d; done in 0 s", err)
    for trials in (3, 2):
        assert run(tune.main, *arguments(ctr, studied, f"--trials={trials}")) == 0
        assert capsys.readouterr().out.splitlines() == table
    manifest.read(str(studied), manifest.TUNING, check_digests=True)


def test_a_study_without_its_journal_is_not_begun_anew(ctr, studied, tmp_path, capsys):
    output = tmp_path / "study"
    shutil.copytree(studied, output)
    (output / studies.JOURNAL).unlink()
    best = (output / "best.yaml").read_bytes()
    for left in (manifest.MANIFEST, "trials.jsonl"):
        assert run(tune.main, *arguments(ctr, output, "--trials=2", "--processes=1")) == 65
        assert f"{output}/journal.log: no such file, though {left} is there" in capsys.readouterr().err
        assert (output / "best.yaml").read_bytes() == best
        (output / manifest.MANIFEST).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--seeds=2"], "'seeds: 1' there, 'seeds: 2' now"),
        (["--fraction=0.5"], "'fraction: 1.0' there, 'fraction: 0.5' now"),
        (["--model=kdcn_no_dialogue", "--set=kdcn.pretrained=false"], f"'model: {MODEL}' there, 'model: kdcn_no_dia"),
        (["--set=finetune.epochs=3"], "finetune: 'epochs: 2' there, 'epochs: 3' now"),
        (["--space=other"], "'space kdcn.dropout: .*\"high\": 0.5, .*' now"),
        (["--ctr=other"], "'ctr: [0-9a-f]{16}' there, 'ctr: [0-9a-f]{16}' now"),
    ],
)  # fmt: skip
def test_another_study_is_refused(ctr, studied, tmp_path, capsys, change, message):
    if change == ["--space=other"]:
        (tmp_path / "space.yaml").write_text("kdcn.dropout: {low: 0, high: 0.5}\n")
        change = [f"--space={tmp_path}/space.yaml"]
    elif change == ["--ctr=other"]:
        write_ctr(tmp_path / "ctr", per_file=8, seed=2)
        change = [f"--ctr={tmp_path}/ctr"]
    assert run(tune.main, *arguments(ctr, studied, *change)) == 2
    err = capsys.readouterr().err
    assert f"{studied}: holds a run of another configuration or input (" in err
    assert re.search(message, err)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (["--model=svm"], 2, "flag --model=svm: value should be one of"),
        (["--trials=0"], 2, "flag --trials=0"),
        (["--processes=0"], 2, "flag --processes=0"),
        (["--fraction=0"], 2, "--fraction: must be in (0, 1], got 0.0"),
        (["--fraction=nan"], 2, "--fraction: must be in (0, 1], got nan"),
        (["--output=gs://bucket/study"], 2, "--output: gs://bucket/study: the journal of a study needs a local"),
        (["--ctr=nowhere"], 65, "nowhere/manifest.json: no such file"),
        (["--model=kdcn"], 2, "--embeddings: is required, unless --set kdcn.pretrained=false"),
        (["--space=nowhere.yaml"], 2, "nowhere.yaml: No such file or directory"),
        (["--sampler=grid"], 2, "space.yaml: finetune.learning_rate: a grid needs choices, not a range"),
    ],
)  # fmt: skip
def test_wrong_flags(ctr, tmp_path, capsys, change, code, message):
    assert run(tune.main, *arguments(ctr, tmp_path / "out", *change)) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_extra_is_named(ctr, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run(tune.main, *arguments(ctr, tmp_path / "out")) == 2
    assert re.search(r"a search needs optuna .*: pip install 'kdcn-tf\[tuning\]'", capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def looks_in(journal) -> int:
    """Scores on the way that a journal holds."""
    return journal.read_text().count('"intermediate_value"') if journal.exists() else 0


def wait_for_looks(command, journal, count):
    deadline = time.monotonic() + 280
    while looks_in(journal) < count:
        assert command.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def endless(ctr, tmp_path, hears_interrupts):
    """The command, in a group of its own, with a single worker and a trial that won't end by itself."""
    more = ("--trials=1", "--processes=1", "--set=trial.least_steps=100000", "--set=trial.patience=100000")
    command = subprocess.Popen(
        [sys.executable, "-m", "kdcn_tf.cli.tune", *arguments(ctr, tmp_path / "out", *more)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    yield command
    with contextlib.suppress(ProcessLookupError):
        os.killpg(command.pid, signal.SIGKILL)
    command.communicate()


def worker_of(command) -> psutil.Process:
    (worker,) = (c for c in psutil.Process(command.pid).children() if "resource_tracker" not in str(c.cmdline()))
    return worker


@pytest.mark.slow
def test_kills_and_interrupts_lose_nothing(ctr, tmp_path, endless):
    """The worker is killed in its first trial, then Ctrl-C comes; the same command would then do the same trial."""
    journal = tmp_path / "out" / studies.JOURNAL
    wait_for_looks(endless, journal, 1)
    worker_of(endless).kill()
    while '"death"' not in journal.read_text():
        assert endless.poll() is None
        time.sleep(0.01)
    wait_for_looks(endless, journal, looks_in(journal) + 1)
    last = worker_of(endless)
    os.killpg(endless.pid, signal.SIGINT)
    _, err = endless.communicate(timeout=120)
    assert endless.returncode == 130
    assert "trial 0: its process died, exit code -9; it will be repeated" in err
    assert "Traceback" not in err
    last.wait(timeout=60)
    assert not (tmp_path / "out" / manifest.MANIFEST).exists()

    space = spaces.parsed(spaces.read(f"{ctr.parent}/space.yaml"), config.Config(), MODEL, "space.yaml")
    study = studies.Study(str(tmp_path / "out"), space, None, 1, {}, sure_looks=4)
    assert study.lost == 2
    assert study.ask() == (2, {"finetune.learning_rate": 1e-3, "kdcn.deep_units": (4,)})
