import math

import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf import config, costs
from kdcn_tf.costs import Format, Graph, Measured, Step
from kdcn_tf.data.adjacency import Adjacency
from kdcn_tf.training.optimizers import OPTIMIZERS, parts_of

FREE = Measured(bytes_per_call=0.0)
BOTH = ("pretrain.both_sides=true", "encoder.reciprocal=true")


def settings(*assignments):
    return config.resolve("gcn", assignments=["kdcn.dialogue=false", *assignments])


def test_distinct_of_equally_frequent_entities():
    assert costs.distinct(2, 2) == pytest.approx(1.5)  # the second draw is new in half of the cases
    assert costs.distinct(0, 10) == 0
    assert costs.distinct(5, 1) == 1
    assert costs.distinct(1e4, 1e12) == pytest.approx(1e4, rel=1e-6)


@pytest.mark.parametrize("skew", [0.3, 0.7, 0.95])
def test_distinct_of_skewed_entities_is_the_sum_over_ranks(skew):
    edges = np.arange(5001.0) ** (1 - skew)
    chances = np.diff(edges) / edges[-1]
    expected = (1 - np.exp(-3000 * chances)).sum()
    found = costs.distinct(3000, 5000, skew)
    assert found == pytest.approx(expected, rel=1e-3)
    assert found < costs.distinct(3000, 5000)


def test_distinct_agrees_with_draws():
    ranks = 5000 * np.random.default_rng(0).random((50, 3000)) ** (1 / (1 - 0.7))
    drawn = np.mean([len(np.unique(row)) for row in ranks.astype(int)])
    assert costs.distinct(3000, 5000, 0.7) == pytest.approx(drawn, rel=0.02)


def test_a_step_without_layers_has_the_batch_its_negatives_and_relations():
    step = costs.expected_step(
        settings("encoder.layers=0", "pretrain.batch_size=1000", "pretrain.chunks=8", "pretrain.negatives=64"),
        Graph(entities=10**12, triples=10**9, relations=1),
    )
    assert step.table_rows == pytest.approx(2000 + 8 * 64 + 1, rel=1e-6)
    assert step.neighbor_rows == step.degree_rows == 0


def test_a_layer_adds_the_neighbours_that_are_there():
    # 10^12 entities, so nothing repeats; mean degree 2, so an entity on a triple has 1 + Poisson(2) neighbours.
    few = costs.expected_step(settings("encoder.neighbors=3"), Graph(10**12, 10**12, 1))
    chances = [math.exp(-2) * 2**i / math.factorial(i) for i in range(2)]
    kept = 1 * chances[0] + 2 * chances[1] + 3 * (1 - sum(chances))
    assert few.degree_rows / few.neighbor_rows == pytest.approx(1 + kept, rel=1e-6)
    assert few.table_rows == few.degree_rows + 1


def test_two_layers_widen_twice():
    # Every entity has 3 neighbours that nobody else has. The first hop's ids are asked for their neighbours again.
    step = costs.expected_step(settings("encoder.neighbors=3", "encoder.layers=2"), Graph(10**12, 10**14, 1))
    first = 2000 + 8 * 64
    second = first + 3 * first
    third = second + 3 * second
    assert step.neighbor_rows == pytest.approx(first + second, rel=1e-6)
    assert step.table_rows == pytest.approx(third + 1, rel=1e-6)


def test_both_sides_double_the_negatives_and_reciprocal_relations_and_scales_the_rows():
    shape = ("encoder.layers=0", "pretrain.batch_size=10", "pretrain.chunks=2", "pretrain.negatives=5")
    graph = Graph(10**12, 10**12, 10**9)
    plain, both, scaled = (
        costs.expected_step(settings(*shape, *more), graph).table_rows
        for more in ((), BOTH, (*BOTH, "encoder.relation_scale=true"))
    )
    assert plain == pytest.approx(20 + 10 + 10, rel=1e-6)
    assert both == pytest.approx(20 + 20 + 20, rel=1e-6)
    assert scaled == pytest.approx(20 + 20 + 2 * 20, rel=1e-6)


def test_traffic_by_hand():
    # 10 entities asked for, 40 with their neighbours, 4 relations; d = 2, one kernel 2 x 2, lists of 5.
    shape = settings("encoder.dim=2", "encoder.neighbors=3", "ckg.stored_neighbors=5", "pretrain.wire=float32")
    step = Step(table_rows=44.0, neighbor_rows=10.0, degree_rows=40.0)
    floats = 44 * 2 + 4
    assert costs.traffic(shape, step, Format(whole_lists=True), FREE, 2) == (
        10 * 5 * 4 + 40 * 4 + floats * 4,
        (10 + 44) * 8 + floats * 4,
    )
    halved = settings("encoder.dim=2", "encoder.neighbors=3", "ckg.stored_neighbors=5", "pretrain.wire=bfloat16")
    assert costs.traffic(halved, step, Format(whole_lists=False), FREE, 2) == (
        10 * 3 * 4 + 40 * 4 + 44 * 2 * 2 + 4 * 4,
        (10 + 44) * 8 + 44 * 2 * 2 + 4 * 4,
    )


def test_every_call_to_every_server_costs():
    shape, step = settings("encoder.layers=0"), Step(14.0)
    one, three = (
        sum(costs.traffic(shape, step, Format(), Measured(bytes_per_call=100.0), servers)) for servers in (1, 3)
    )
    assert three - one == 2 * 3 * 100


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_are_as_large_as_the_variables(name):
    table = tf.Variable(tf.zeros([70, 16]))
    slots = [part for slot in OPTIMIZERS[name]([table], 0.1).slots.values() for part in parts_of(slot[0])]
    adjacency = Adjacency(70, 5)
    real = {
        "entity table": size(table),
        "optimizer state": sum(map(size, slots)),
        "adjacency": size(adjacency.neighbors) + size(adjacency.degrees),
    }
    shape = settings("encoder.dim=16", f"pretrain.optimizer={name}", "encoder.neighbors=5", "ckg.stored_neighbors=5")
    assert {part: 70 * row for part, row in costs.row_bytes(shape, Format()).items()} == real


def size(variable):
    return int(np.prod(variable.shape)) * variable.dtype.size
