from dataclasses import replace

import pytest

from kdcn_tf import config, costs, planning
from kdcn_tf.costs import Graph, Measured
from kdcn_tf.errors import ConfigError
from kdcn_tf.planning import GIB, Machines

PAPER = Graph(entities=600_000_000, triples=6_000_000_000, relations=20)
CLUSTER = Machines(servers=50, workers=200)
SHAPE = config.resolve("paper")


def test_memory_of_a_server_by_hand():
    bare = Measured(process_bytes=1000.0, table_copies=2.0, buffers_per_step=0.0)
    found = planning.plan(SHAPE, PAPER, CLUSTER, measured=bare)
    rows = 12_000_001  # 600,000,001 with the padding row, over 50
    whole = 4 * 3 * (20 * 64 + 64 * 64)  # relations and kernel, each with Adam's two moments
    assert found.server_bytes == 1000 + rows * 4 * (64 + 128 + 21 + 2 * 64) + whole
    assert found.checkpoint_bytes == 600_000_001 * 4 * 192


def test_steps_in_flight_grow_with_workers():
    few, many = (planning.plan(SHAPE, PAPER, replace(CLUSTER, workers=workers)) for workers in (100, 200))
    growth = many.server_bytes - few.server_bytes
    assert growth == pytest.approx(Measured().buffers_per_step * 100 * few.bytes_per_step / 50)


@pytest.mark.parametrize("gib", [2.0, 8.0, 40.0])
def test_servers_needed_are_just_enough(gib):
    needed = planning.plan(SHAPE, PAPER, replace(CLUSTER, server_memory_gib=gib)).servers_needed
    enough, less = (
        planning.plan(SHAPE, PAPER, replace(CLUSTER, server_memory_gib=gib, servers=servers))
        for servers in (needed, needed - 1)
    )
    assert enough.fits
    assert not less.fits
    assert less.binds == planning.MEMORY


def test_no_number_of_servers_is_enough_where_the_process_alone_is_larger():
    small = replace(CLUSTER, server_memory_gib=0.9 * Measured().process_bytes / GIB)
    assert planning.plan(SHAPE, PAPER, small).servers_needed is None


@pytest.mark.parametrize(
    ("starved", "binds"),
    [
        ({"server_gbit": 0.1}, planning.SERVER_NETWORK),
        ({"server_cores": 0.1}, planning.SERVER_CPU),
        ({"worker_cores": 0.01}, planning.WORKER_COMPUTE),
        ({"worker_triples_per_s": 100.0}, planning.WORKER_COMPUTE),
        ({"worker_gbit": 0.001}, planning.WORKER_NETWORK),
        ({"round_trip_ms": 10_000.0}, planning.WORKER_NETWORK),
        ({"server_memory_gib": 1.0}, planning.MEMORY),
    ],
)
def test_what_is_starved_binds(starved, binds):
    found = planning.plan(SHAPE, PAPER, replace(CLUSTER, **starved))
    assert found.binds == binds
    assert found.triples_per_s == min(found.triples_per_s_by_limit.values())


def test_server_network_by_hand():
    found = planning.plan(SHAPE, PAPER, replace(CLUSTER, server_gbit=0.08))  # 10 MB/s each way
    steps_per_s = 50 * 10e6 / max(found.pulled_bytes_per_step, found.pushed_bytes_per_step)
    assert found.triples_per_s == pytest.approx(1000 * steps_per_s)
    assert found.server_bytes_per_s == pytest.approx(steps_per_s * found.bytes_per_step / 50)
    assert found.hours == pytest.approx(5 * 6e9 / found.triples_per_s / 3600)


def test_the_busiest_server_sets_the_pace():
    step = costs.expected_step(SHAPE, PAPER)
    even, uneven = (
        planning.plan(SHAPE, PAPER, replace(CLUSTER, server_gbit=0.08), step=replace(step, busiest=busiest))
        for busiest in (1.0, 2.5)
    )
    assert uneven.triples_per_s == pytest.approx(even.triples_per_s / 2.5)
    assert uneven.server_bytes_per_step == pytest.approx(2.5 * even.server_bytes_per_step)


def test_the_last_batch_of_a_file_is_a_step_too():
    shape = config.resolve(assignments=["ckg.triples_per_file=2500", "pretrain.batch_size=1000"])
    assert planning.plan(shape, Graph(10_000, 5000, 3), CLUSTER).steps_per_epoch == 2 * 3
    assert planning.plan(shape, Graph(10_000, 5000, 3, steps=7), CLUSTER).steps_per_epoch == 7


def test_a_checkpoint_takes_as_long_as_the_disk():
    found = planning.plan(SHAPE, PAPER, replace(CLUSTER, disk_mb_per_s=100.0))
    assert found.checkpoint_s == pytest.approx(600_000_001 * 768 / 50 / 1e8)


def test_more_entities_than_32_bits_hold():
    planning.plan(SHAPE, replace(PAPER, entities=2**31 - 2), CLUSTER)
    with pytest.raises(ConfigError, match="at most 2,147,483,646 ids"):
        planning.plan(SHAPE, replace(PAPER, entities=2**31 - 1), CLUSTER)


def test_warnings():
    assert planning.plan(SHAPE, PAPER, CLUSTER).warnings == ()
    small = planning.plan(SHAPE, Graph(400, 1000, 3), CLUSTER).warnings
    assert [warning.split(":")[0] for warning in small] == [
        "so few entities are not worth so many servers",
        "the workers' steps in flight hold more than a tenth of the triples",
    ]
