import pytest
from support.ckg_data import write_ckg

from kdcn_tf import config, manifest
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.training import footprint

SHAPE = [
    "encoder.dim=8", "encoder.neighbors=3", "ckg.stored_neighbors=5", "pretrain.batch_size=16", "pretrain.chunks=2",
    "pretrain.negatives=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    directory = tmp_path_factory.mktemp("footprint") / "ckg"
    return str(directory), write_ckg(directory, users=400, items=200)


def counted(graph, *assignments, servers=2):
    return footprint.counted_step(*graph, config.resolve("gcn", assignments=[*SHAPE, *assignments]), servers=servers)


def test_rows_of_plain_transe_are_those_of_the_batch(graph):
    step = counted(graph, "encoder.layers=0", "pretrain.chunks=1", "pretrain.negatives=1", "pretrain.batch_size=1")
    # A head, a tail and a negative, all but always different, and a relation.
    assert 3.8 < step.table_rows <= 4
    assert step.neighbor_rows == step.degree_rows == 0


def test_a_layer_widens_the_rows_by_their_neighbours(graph):
    step = counted(graph, "encoder.layers=1")
    assert 30 < step.neighbor_rows <= 2 * 16 + 2 * 8
    assert step.neighbor_rows < step.degree_rows <= 4 * step.neighbor_rows
    assert step.degree_rows < step.table_rows <= step.degree_rows + 2  # the relations


def test_sizes_and_steps_of_a_dataset(graph):
    _, ckg = graph
    counts = [file.count for file in ckg.group("train")]
    found = footprint.graph_of(ckg, config.resolve("gcn", assignments=SHAPE))
    assert (found.entities, found.triples, found.relations) == (600, sum(counts), 2)
    assert found.steps == sum(-(-count // 16) for count in counts)


def test_the_busiest_server_is_the_one_whose_ids_are_asked_for(graph):
    # Four hundred users stand before two hundred items, which are on more triples each.
    assert 1.01 < counted(graph, "encoder.layers=0", servers=6).busiest < 3
    assert counted(graph, servers=1).busiest == 1


def test_ids_are_sharded_as_tensorflow_does():
    assert footprint._server_of([0, 3, 4, 6, 7, 9], num_ids=10, servers=3).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_corrupt_adjacency_is_named(tmp_path):
    write_ckg(tmp_path / "ckg")
    path = tmp_path / "ckg" / "adjacency.tfrecord"
    body = bytearray(path.read_bytes())
    body[50] ^= 1
    path.write_bytes(body)
    ckg = manifest.read(str(tmp_path / "ckg"), manifest.CKG)
    with pytest.raises(DataError, match=r"adjacency\.tfrecord"):
        counted((str(tmp_path / "ckg"), ckg))


def test_a_graph_that_this_process_cannot_hold(graph, monkeypatch):
    monkeypatch.setattr(footprint, "MAX_ENTITIES", 600)
    with pytest.raises(ConfigError, match="more than 600 entities: plan by sizes"):
        counted(graph)
