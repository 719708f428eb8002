import json

import pytest
from support.ckg_data import write_ckg
from support.raw_logs import run

from kdcn_tf.cli import plan
from kdcn_tf.costs import Measured

PAPER = ["--entities=600e6", "--triples=6e9", "--dim=64", "--servers=50", "--workers=200", "--preset=paper"]


def planned(capsys, *arguments):
    assert run(plan.main, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_the_paper_as_a_table(capsys):
    assert run(plan.main, *PAPER) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("600,000,000 entities, 6,000,000,000 triples, dim 64")
    rows = {line[:28].strip() for line in shown.splitlines()}
    assert {"memory per server", "bytes per step", "bytes/s per server", "hours", "binds"} <= rows


def test_the_paper_as_json(capsys):
    found = planned(capsys, *PAPER)
    assert found["graph"]["entities"] == 600_000_000
    assert found["machines"]["workers"] == 200
    assert found["plan"]["steps_per_epoch"] == 6_000_000
    assert found["plan"]["fits"]
    assert found["plan"]["server_bytes_by_part"]["entity table"] == 12_000_001 * 256


def test_dimension_configuration_and_machines_are_flags(capsys, tmp_path):
    (tmp_path / "c.yaml").write_text("pretrain: {optimizer: adagrad}\nencoder: {layers: 0}\n")
    flags = ["--dim=401", f"--config={tmp_path / 'c.yaml'}", "--set=pretrain.epochs=2", "--server_gbit=1e-3"]
    found = planned(capsys, *(flag for flag in PAPER if "dim" not in flag), *flags)["plan"]
    assert found["server_bytes_by_part"]["entity table"] == 12_000_001 * 401 * 4
    assert found["server_bytes_by_part"]["optimizer state"] == 12_000_001 * 4
    assert found["binds"] == "server network"
    assert found["hours"] == pytest.approx(2 * 6e9 / found["triples_per_s"] / 3600)


def test_skewed_graphs_have_fewer_rows(capsys):
    even, skewed = (planned(capsys, *PAPER, f"--skew={skew}")["plan"]["table_rows_per_step"] for skew in (0, 0.9))
    assert skewed < 0.8 * even


def test_a_dataset_brings_its_sizes_and_its_stored_neighbours(capsys, tmp_path):
    write_ckg(tmp_path / "ckg")
    shape = ["--set=encoder.neighbors=3", "--set=pretrain.batch_size=15", "--set=pretrain.negatives=8"]
    found = planned(capsys, f"--ckg={tmp_path / 'ckg'}", "--servers=2", "--workers=2", *shape)
    assert found["graph"]["entities"] == 80
    assert found["graph"]["relations"] == 2
    assert found["plan"]["server_bytes_by_part"]["adjacency"] == 41 * 4 * (5 + 1)


def test_measured_costs_from_a_file(capsys, tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps({"costs": {"process_bytes": 12e9}, "other": 1}))
    usual, heavier = planned(capsys, *PAPER)["plan"], planned(capsys, *PAPER, f"--measured={path}")["plan"]
    assert heavier["server_bytes"] - usual["server_bytes"] == pytest.approx(12e9 - Measured().process_bytes)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", 'expected JSON with an object "costs"'),
        ("[]", 'expected JSON with an object "costs"'),
        ('{"costs": 3}', 'expected JSON with an object "costs"'),
        ('{"costs": {"proces": 3}}', "costs.proces: unknown; known: buffers_per_step, "),
        ('{"costs": {"process_bytes": -3}}', "costs.process_bytes: expected a number from 0, got -3"),
        ('{"costs": {"process_bytes": true}}', "costs.process_bytes: expected a number from 0, got True"),
        ('{"costs": {"process_bytes": NaN}}', "costs.process_bytes: expected a number from 0, got nan"),
        (None, "No such file"),
    ],
)
def test_wrong_measured_costs(capsys, tmp_path, body, message):
    path = tmp_path / "costs.json"
    if body is not None:
        path.write_text(body)
    assert run(plan.main, *PAPER, f"--measured={path}") == 2
    error = capsys.readouterr().err
    assert f"--measured {path}: " in error
    assert message in error


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--servers=0"], "--servers: must be a positive number, got 0"),
        (["--workers=-3"], "--workers: must be a positive number, got -3"),
        (["--workers=2.5"], "--workers: expected a whole number, got 2.5"),
        (["--entities=many"], "--entities: expected a number, got 'many'"),
        (["--entities=nan"], "--entities: must be a positive number, got nan"),
        (["--triples=inf"], "--triples: must be a positive number, got inf"),
        (["--entities=3e9"], "at most 2,147,483,646 ids fit the adjacency, got 3,000,000,000"),
        (["--server_gbit=0"], "--server_gbit: must be a positive number, got 0"),
        (["--skew=1"], "--skew: must be in [0, 1), got 1"),
        (["--skew=x"], "--skew: expected a number, got 'x'"),
        (["--dim=0"], "--dim: must be a positive number, got 0"),
        (["--ckg=."], "--entities: not with --ckg, which has its own"),
        (["--set=encoder.neighbors=30"], "encoder.neighbors: 30 sampled of ckg.stored_neighbors=20 stored"),
        (["--disk=3", "extra"], "Unknown command line flag 'disk'"),
    ],
)
def test_nonsense_is_refused(capsys, wrong, message):
    assert run(plan.main, *PAPER, *wrong) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["entities", "triples", "servers", "workers"])
def test_what_is_required(capsys, missing):
    assert run(plan.main, *(flag for flag in PAPER if missing not in flag)) == 2
    assert f"--{missing}: is required" in capsys.readouterr().err
