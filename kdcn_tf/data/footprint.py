"""Counts the distinct rows that steps of a given graph touch, from its own triples and adjacency.

What a plan expects of a graph by its sizes alone, this counts: a few batches are drawn as training draws them.
"""

import numpy as np
import tensorflow as tf

from kdcn_tf import files, records
from kdcn_tf.config import Config
from kdcn_tf.costs import Graph, Step
from kdcn_tf.data.failures import check_rows, translated
from kdcn_tf.data.negatives import TypeRanges, corrupt
from kdcn_tf.data.triples import read_triples
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest

MAX_ENTITIES = 20_000_000
"""Of a graph whose adjacency is read into this process."""


def graph_of(ckg: Manifest, config: Config) -> Graph:
    """The sizes of a dataset."""
    id_map, counts = ckg.require_id_map(), [file.count for file in ckg.group("train")]
    steps = sum(-(-count // config.pretrain.batch_size) for count in counts)
    return Graph(id_map.num_ids - 1, sum(counts), len(id_map.relations), steps=steps)


def counted_step(directory: str, ckg: Manifest, config: Config, servers: int, batches: int = 8) -> Step:
    """Mean rows of steps on batches of the first training file.

    Args:
        directory: of the CKG dataset.
        ckg: its manifest.
        config: resolved configuration.
        servers: over which the ids are sharded, in equal ranges.
        batches: drawn.

    Raises:
        ConfigError: the graph is too large for this process.
        DataError: a file is corrupt.
    """
    id_map = ckg.require_id_map()
    if id_map.num_ids > MAX_ENTITIES:
        raise ConfigError(f"{directory}: more than {MAX_ENTITIES:,} entities: plan by sizes (--entities, --triples)")
    path = files.join(directory, ckg.group("train")[0].name)
    with translated(path):
        triples = read_triples(tf.constant(path), id_map.num_ids, len(id_map.relations)).numpy()
    layers = config.encoder.layers
    around = read_neighbors(directory, ckg, config.encoder.neighbors) if layers else np.empty(0, np.int32)
    rng = np.random.default_rng(config.pretrain.seed)
    found = []
    shares = np.zeros(servers)
    for _ in range(batches):
        rows = triples[rng.permutation(len(triples))[: config.pretrain.batch_size]]
        hops = [np.unique(np.concatenate([rows[:, 0], rows[:, 2], _negatives(rows, ckg, config, rng)]))]
        for _ in range(layers):
            hops.append(np.union1d(hops[-1], around[hops[-1]]))
        found.append([*map(len, hops), len(np.unique(rows[:, 1]))])
        shares += np.bincount(_server_of(hops[-1], id_map.num_ids, servers), minlength=servers)
    *means, relations = np.mean(found, axis=0).tolist()
    return Step(tuple(means), relations, busiest=float(shares.max() / shares.mean()))


def _server_of(ids: np.ndarray, num_ids: int, servers: int) -> np.ndarray:
    """Shards are ranges of ids; the first `num_ids % servers` of them have a row more."""
    size, longer = divmod(num_ids, servers)
    edges = np.cumsum([size + (number < longer) for number in range(servers)])
    return np.searchsorted(edges, ids, side="right")


def _negatives(rows: np.ndarray, ckg: Manifest, config: Config, rng: np.random.Generator) -> np.ndarray:
    """Negatives of a batch [n, 3], cut into chunks of similar relations as in training."""
    pretrain, id_map = config.pretrain, ckg.require_id_map()
    filled = np.resize(rows, (pretrain.batch_size, 3))
    chunks = filled[np.argsort(filled[:, 1], kind="stable")].reshape(pretrain.chunks, -1, 3)
    targets = np.stack([chunk[:, 0 if place % 2 else 2] for place, chunk in enumerate(rng.permutation(chunks))])
    drawn = corrupt(
        tf.constant(targets), count=pretrain.negatives, type_ranges=TypeRanges(id_map.ranges),
        num_ids=id_map.num_ids, type_constrained=pretrain.type_constrained, seed=rng.integers(0, 2**31, 2),
    )  # fmt: skip
    return drawn.numpy().ravel()


def read_neighbors(directory: str, ckg: Manifest, count: int) -> np.ndarray:
    """The first `count` stored neighbours of every id, int32 [num_ids, count].

    Raises:
        DataError: a file is corrupt or has other rows than its manifest says.
    """
    around = np.zeros((ckg.require_id_map().num_ids, count), np.int32)
    stored = ckg.number("stored_neighbors")
    for file in ckg.group("adjacency"):
        path = files.join(directory, file.name)
        rows = 0
        with translated(path):
            for block in tf.data.TFRecordDataset(path).as_numpy_iterator():
                found = records.decode(block)
                lists = np.array(found[records.NEIGHBORS], np.int32).reshape(-1, stored)[:, :count]
                first = found[records.FIRST_ID][0]
                around[first : first + len(lists)] = lists
                rows += len(lists)
        check_rows(path, rows, file.count)
    return around
