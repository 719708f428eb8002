"""The whole chain, from raw logs to a ranked answer, as a user starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAIN = ROOT / "launch" / "run_chain.sh"
STEPS = ("ckg", "ckg_model", "embeddings", "ctr", "kdcn", "no_pretraining", "evaluation", "serving")

TINY = ("simulate.users=150", "simulate.items=90", "simulate.sessions=300", "pretrain.epochs=1", "finetune.epochs=1",
        "ckg.triples_per_file=1000", "ctr.examples_per_file=700", "encoder.dim=16", "kdcn.filters=4")  # fmt: skip


def run(*command: object, timeout: int = 900) -> subprocess.CompletedProcess:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    environment["KDCN_VENV"] = str(Path(sys.executable).parents[1])
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment, timeout=timeout, cwd=ROOT
    )


def kdcn(*arguments: object) -> subprocess.CompletedProcess:
    return run(sys.executable, "-m", "kdcn_tf.cli.main", *arguments)


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_chain_on_simulated_logs(tmp_path):
    flags = [part for setting in TINY for part in ("--set", setting)]
    assert kdcn("simulate", "--output", tmp_path / "raw", *flags).returncode == 0
    first = run(CHAIN, tmp_path / "raw", tmp_path / "run", *flags)
    assert first.returncode == 0, first.stderr[-3000:]
    figures = json.loads((tmp_path / "run/evaluation/metrics.json").read_text())
    assert set(figures["sources"]["all"]) == {"kdcn", "no_pretraining", "lr"}
    assert 0.8 < figures["best_possible"]["auc"] < 0.95
    assert set(figures["slices"]) == {"category", "user_frequency", "item_frequency"}
    card = json.loads((tmp_path / "run/serving/1/assets.extra/model_card.json").read_text())
    assert card["measured"]["sources"]["all"] == figures["sources"]["all"]["kdcn"]
    history = json.loads((tmp_path / "run/kdcn/manifest.json").read_text())["info"]["history"]
    assert min(history[0]["drift"].values()) > 0
    assert set(history[0]["drift"]) == {"item", "keyword", "user"}
    assert "<- clicked in the log" in first.stdout
    assert first.stdout.splitlines()[-1] == f"== SavedModel: {tmp_path}/run/serving/1"
    # The same command finds everything done, other flags are refused.
    again = run(CHAIN, tmp_path / "raw", tmp_path / "run", *flags)
    assert again.returncode == 0, again.stderr[-3000:]
    assert again.stdout.count("already there") == len(STEPS)
    other = run(CHAIN, tmp_path / "raw", tmp_path / "run", "--preset=quick")
    assert (other.returncode, "name a fresh directory" in other.stderr) == (2, True)


def test_wrong_arguments_change_nothing(tmp_path):
    """Wrong flags leave no name tag behind, so the right ones work in the same place; others' folders stay."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/manifest.json").write_text("{}")
    (tmp_path / "mine/ckg").mkdir(parents=True)
    for raw, output, flag, code, message in [
        ("raw", "run", "--presett=quick", 2, "Unknown command line flag 'presett'"),
        ("raw", "run", "--set=encoder.dim=0", 2, "encoder.dim: must be at least 1"),
        ("rav", "run", "--preset=quick", 65, "rav: no manifest.json; it is not a finished raw dataset"),
        ("raw", "mine", "--preset=quick", 2, "mine: not empty, and not a run's directory; name a fresh one"),
        ("raw", "raw/manifest.json", "--preset=quick", 2, "File exists"),
    ]:
        done = run(CHAIN, tmp_path / raw, tmp_path / output, flag)
        assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "raw"]
    assert (tmp_path / "mine/ckg").is_dir()


def test_other_raw_data_in_the_same_place_are_not_mixed_in(tmp_path):
    """Raw data without records, so that no step but a finished one gets far."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/manifest.json").write_text("{}")
    assert run(CHAIN, tmp_path / "raw", tmp_path / "run", "--preset=quick").returncode == 65
    (tmp_path / "run/ckg").mkdir(exist_ok=True)
    (tmp_path / "run/ckg/manifest.json").write_text("{}")
    again = run(CHAIN, tmp_path / "raw", tmp_path / "run", "--preset=quick")
    assert "ckg: already there" in again.stdout
    (tmp_path / "raw/manifest.json").write_text("{} ")
    other = run(CHAIN, tmp_path / "raw", tmp_path / "run", "--preset=quick")
    assert other.returncode == 2
    assert f"holds a run of: raw={tmp_path}/raw (manifest " in other.stderr
    assert "already there" not in other.stdout


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.cluster
@pytest.mark.timeout(2400)
def test_chain_on_public_data(tmp_path, public_data):
    """K-DCN has to beat chance by far on both sources, and the rarer source has to be there."""
    folders = {"redial": public_data / "redial", "movielens": public_data / "ml-latest-small"}
    imported = kdcn("import", "movies", *(f"--{k}={v}" for k, v in folders.items()), f"--output={tmp_path / 'raw'}")
    assert imported.returncode == 0, imported.stderr[-3000:]
    done = run(CHAIN, tmp_path / "raw", tmp_path / "run", timeout=2400)
    assert done.returncode == 0, done.stderr[-3000:]
    sources = json.loads((tmp_path / "run/evaluation/metrics.json").read_text())["sources"]
    assert set(sources) == {"all", "movielens", "redial"}
    assert sources["movielens"]["kdcn"]["auc"] > 0.65
    assert sources["redial"]["kdcn"]["auc"] is not None
