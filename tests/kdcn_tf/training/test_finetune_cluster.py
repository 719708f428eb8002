"""K-DCN on a real cluster of processes: the same loop as inline, the same result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.ctr_data import write_ctr

from kdcn_tf import manifest
from kdcn_tf.training.finetune import load_model

ROOT = Path(__file__).parents[3]
# One column, so that the table of 92 rows is tall enough to be spread over the servers.
OPTIONS = ["kdcn.pretrained=false", "kdcn.dim=1", "kdcn.heads=1", "kdcn.normalize_entities=false",
           "kdcn.filters=4", "kdcn.deep_units=[16]", "kdcn.match_dim=8", "kdcn.dropout=0",
           "kdcn.knowledge_dropout=0", "kdcn.knowledge_scale=1", "kdcn.cross_layers=2", "finetune.epochs=8",
           "finetune.batch_size=32", "finetune.learning_rate=0.002",
           "finetune.patience=20"]  # fmt: skip
WHOLE = ["kdcn.dim=8", "finetune.epochs=3"]

PROBE = """
import json, sys
import kdcn_tf
from kdcn_tf import config, manifest
from kdcn_tf.training import cluster
from kdcn_tf.training.finetune import Finetuning
from kdcn_tf.training.optimizers import parts_of
scheduler = cluster.start()
run = Finetuning(scheduler, config.resolve(assignments=sys.argv[2:]), manifest.read(sys.argv[1], "ctr"), sys.argv[1])
_, network = run.optimizers  # a table that starts from random values is trained with the network
places = lambda variable: [[part.device, part.shape.as_list()] for part in parts_of(variable)]
slots = {name: places(found[0]) for name, found in network.slots.items()}
values = [row for part in parts_of(run.model.entities.table) for row in part.numpy().tolist()]
distinct = len(set(map(tuple, values)))
print("SEEN " + json.dumps({"table": places(run.model.entities.table), "slots": slots, "distinct": distinct}))
"""


def completed(command: list) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ctr") / "ctr"
    write_ctr(directory, per_file=200, train_files=4)
    return directory


def on_cluster(workers: int, servers: int) -> list:
    return [ROOT / "launch" / "local_cluster.sh", "-w", workers, "-p", servers, "--", sys.executable]


def losses(launcher: list, ctr: Path, output: Path, *more: str) -> list[float]:
    sets = [f"--set={text}" for text in (*OPTIONS, *more)]
    completed([*launcher, "-m", "kdcn_tf.cli.train_kdcn", f"--ctr={ctr}", f"--output={output}", *sets])
    return [figures["loss"] for figures in manifest.read(str(output), manifest.KDCN_MODEL).info["history"]]


@pytest.mark.cluster
def test_two_workers_reach_the_loss_of_one_process(ctr, tmp_path):
    inline = losses([sys.executable], ctr, tmp_path / "inline")
    cluster = losses(on_cluster(2, 2), ctr, tmp_path / "cluster")
    assert len(cluster) == len(inline) == 8
    for course in (inline, cluster):
        assert course[-1] < 0.95 * course[0]
    # Each shard draws its own initial values, and gradients of two workers are a step old: the courses part in time,
    # and two runs of the cluster differ by a tenth at the end.
    assert cluster[0] == pytest.approx(inline[0], rel=0.05)
    assert cluster[-1] < 1.1 * inline[-1]
    # A process of its own reads what the cluster wrote in parts.
    model, _ = load_model(str(tmp_path / "cluster"))
    # PAD, OOV, 30 users, 40 items, 20 keywords.
    assert model.entities.table.shape == (92, 1)


@pytest.mark.cluster
def test_one_worker_does_exactly_what_one_process_does(ctr, tmp_path):
    inline = losses([sys.executable], ctr, tmp_path / "inline", *WHOLE)
    assert losses(on_cluster(1, 1), ctr, tmp_path / "cluster", *WHOLE) == pytest.approx(inline, rel=1e-3)


@pytest.mark.cluster
def test_the_entity_table_and_its_moments_are_spread_over_the_servers(ctr, tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(PROBE)
    lines = completed([*on_cluster(2, 2), probe, ctr, *OPTIONS]).splitlines()
    seen = json.loads(next(line for line in lines if line.startswith("SEEN ")).removeprefix("SEEN "))
    devices, shapes = zip(*seen["table"], strict=True)
    assert list(shapes) == [[46, 1], [46, 1]]
    assert sorted(d.split("/task:")[1][0] for d in devices if "/job:ps/" in d) == ["0", "1"]
    assert seen["slots"] == dict.fromkeys(("m", "v", "ahead"), seen["table"])
    # Shards that drew the same initial values would have twins.
    assert seen["distinct"] == 92
