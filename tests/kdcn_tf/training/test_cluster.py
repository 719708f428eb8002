"""Inline and on a real cluster of processes: the same loop, the same result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.ckg_data import write_ckg

from kdcn_tf.errors import ConfigError
from kdcn_tf.training import cluster

ROOT = Path(__file__).parents[3]
PROBE = ROOT / "tests" / "support" / "cluster_probe.py"


def seen(command: list, **variables: str) -> dict:
    environment = {k: v for k, v in os.environ.items() if k != "TF_CONFIG"} | variables
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=300)
    lines = [line for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    assert done.returncode == 0, done.stderr[-3000:]
    assert lines, done.stderr[-3000:]
    return json.loads(lines[-1].removeprefix("SEEN "))


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    directory = tmp_path_factory.mktemp("cluster") / "ckg"
    write_ckg(directory, users=400, items=400, train_files=6)
    return directory


@pytest.fixture(scope="module")
def on_cluster(graph):
    launcher = ROOT / "launch" / "local_cluster.sh"
    # What TensorFlow would take on a machine with one core; members with a single thread wait for each other for ever.
    return seen([launcher, "-w", 2, "-p", 2, "--", sys.executable, PROBE, graph], TF_NUM_INTEROP_THREADS="1")


@pytest.mark.cluster
def test_tables_are_spread_over_the_servers(on_cluster):
    # 801 rows over 2 servers: 401 and 400.
    for name, columns in (("entities", 8), ("sums", 1), ("neighbors", 5)):
        devices, shapes = zip(*on_cluster[name], strict=True)
        assert list(shapes) == [[401, columns], [400, columns]], name
        assert sorted(d.split("/task:")[1][0] for d in devices) == ["0", "1"], devices
        assert all("/job:ps/" in d for d in devices)


@pytest.mark.cluster
def test_slots_stand_beside_their_rows(on_cluster):
    assert [device for device, _ in on_cluster["sums"]] == [device for device, _ in on_cluster["entities"]]


@pytest.mark.cluster
@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system has no such policy")
def test_members_let_each_other_finish(on_cluster):
    assert on_cluster["policy"] == os.SCHED_BATCH


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system has no such policy")
def test_the_users_own_policy_stays():
    program = """
import os
from kdcn_tf.training.cluster import _take_turns
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
_take_turns()
print(os.sched_getscheduler(0) == os.SCHED_IDLE)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


@pytest.mark.cluster
def test_kernels_stay_whole(on_cluster):
    assert [shape for _, shape in on_cluster["kernel"]] == [[8, 8]]


@pytest.mark.cluster
def test_cluster_and_inline_reach_the_same_loss(graph, on_cluster):
    inline = seen([sys.executable, PROBE, graph])
    assert inline["losses"][-1] < 0.8 * inline["losses"][0]
    assert on_cluster["losses"][0] == pytest.approx(inline["losses"][0], rel=0.15)
    # Two workers compute with weights that are some steps old, which costs a few percent, seldom more than 15.
    assert on_cluster["losses"][-1] == pytest.approx(inline["losses"][-1], rel=0.25)


@pytest.mark.cluster
def test_checkpoints_hold_weights_and_sharded_slots(on_cluster):
    assert on_cluster["weights_back"]
    assert on_cluster["slots_back"]


@pytest.mark.cluster
def test_tables_warm_start_on_another_number_of_servers(on_cluster):
    assert on_cluster["warm_starts"]


FITS = '{"cluster": {"chief": ["h:1"], "worker": ["h:2"], "ps": ["h:3"]}, "task": {"type": "%s", "index": %s}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid"),
        ('{"cluster": {"chief": ["h:1"], "worker": ["h:2"]}, "task": {"type": "chief", "index": 0}}', "no ps"),
        (
            '{"cluster": {"chief": ["h:1"], "worker": ["h:2"], "ps": ["h:3"]}, "task": {"type": "boss", "index": 0}}',
            "'boss'",
        ),
        (FITS % ("chief", 1), "task index 1; the cluster has 1 of type chief"),
        (FITS % ("chief", '"x"'), "not valid"),
        ('{"cluster": [], "task": {"type": "chief", "index": 0}}', "no chief and no worker and no ps"),
        (FITS.replace('["h:2"]', '"h:2"') % ("chief", 0), "worker: expected a list of host:port, got 'h:2'"),
        (FITS.replace("h:3", "h") % ("chief", 0), "ps: expected a list of host:port"),
    ],
)
def test_a_wrong_tf_config_is_a_config_error(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=message):
        cluster.start()
