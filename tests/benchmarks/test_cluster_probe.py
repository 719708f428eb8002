import pytest
from support.ckg_data import write_ckg

from benchmarks import cluster_probe, plan_costs
from benchmarks.graphs import random_ckg
from kdcn_tf.errors import ConfigError


def snapshot(seconds, moved, cpu_s, hwm_bytes):
    members = {
        name: {
            "in_bytes": moved * share, "out_bytes": 3 * moved * share, "cpu_s": cpu_s, "hwm_bytes": hwm_bytes,
            "rss_bytes": hwm_bytes - 1,
        }
        for name, share in (("chief-0", 0), ("worker-0", 4), ("worker-1", 4), ("ps-0", 1), ("ps-1", 3))
    }  # fmt: skip
    return {"seconds": seconds, "lo_bytes": 7 * moved, "members": members}


SMALL = ["encoder.neighbors=3", "pretrain.batch_size=16", "pretrain.chunks=2"]


def marks():
    """Two servers, of which the second has three quarters of the bytes; two epochs after the first, 10 s each."""
    return {
        "begin": {"seconds": 1.0}, "built": snapshot(4.0, 0, 1.0, 100), "loaded": snapshot(5.0, 10, 1.5, 300),
        "epochs": [snapshot(10.0 * i, 1000 * i, 2.0 * i, 300 + i) for i in (1, 2, 3)],
        "saved": snapshot(33.0, 9999, 9.0, 400), "checkpoint_bytes": 77,
    }  # fmt: skip


@pytest.fixture(scope="module")
def ckg(tmp_path_factory):
    directory = tmp_path_factory.mktemp("probe") / "ckg"
    return str(directory), write_ckg(directory)


def test_figures_are_of_the_epochs_after_the_first(ckg):
    directory, described = ckg
    settings = cluster_probe.settings_of(directory, SMALL, 3)
    found = cluster_probe.summary(marks(), settings, described)
    counts = [file.count for file in described.group("train")]
    steps = 2 * sum(-(-count // 16) for count in counts)
    assert found["steps"] == steps
    assert found["triples_per_s"] == pytest.approx(2 * sum(counts) / 20)
    assert found["server_in_bytes_per_step"] == pytest.approx(2000 * (1 + 3) / steps)
    assert found["bytes_per_step"] == pytest.approx(2000 * (1 + 3) * 4 / steps)
    assert found["busiest_server"] == 0.75
    assert found["worker_cpu_s_per_step"] == pytest.approx(2 * 4.0 / steps)
    assert found["peak_bytes"]["ps"] == 400
    assert found["peak_bytes_by_phase"] == {"build": 100, "load": 300, "train": 303, "save": 400}
    assert found["seconds"] == {"build": 3.0, "load": 1.0, "train": 20.0, "save": 3.0}


def test_without_socket_counters_the_loopback_is_read_and_named(ckg):
    directory, described = ckg
    blind = marks()
    for at in (blind["built"], blind["loaded"], *blind["epochs"], blind["saved"]):
        for seen in at["members"].values():
            seen |= {"in_bytes": 0, "out_bytes": 0}
    settings = cluster_probe.settings_of(directory, ["encoder.neighbors=3"], 3)
    found = cluster_probe.summary(blind, settings, described)
    assert found["bytes_per_step"] == pytest.approx(7 * 2000 / found["steps"])
    assert found["bytes_from"].startswith("loopback")
    assert found["busiest_server"] is None


def test_one_epoch_measures_nothing(ckg):
    with pytest.raises(ConfigError, match="at least 2 are needed, got 1"):
        cluster_probe.measure(ckg[0], epochs=1)


def test_costs_are_fitted_relatively_and_are_not_negative():
    rows = [[1, 10], [1, 20], [1, 4000]]
    assert plan_costs.fitted(rows, [3 + 2 * x for _, x in rows]) == pytest.approx([3, 2])
    assert plan_costs.fitted([[1, 1], [1, 2]], [2, 1])[1] == 0


@pytest.mark.slow
@pytest.mark.cluster
def test_the_plan_is_near_a_real_cluster(tmp_path):
    random_ckg(str(tmp_path / "ckg"), entities=500_000, triples=60_000, relations=50, seed=1, skew=0.5)
    found = cluster_probe.plan_error(str(tmp_path / "ckg"), workers=1, servers=2, epochs=2)
    assert found["measured"]["bytes_from"] == "sockets of the cluster"
    assert found["plan_error"] <= 0.15, found
