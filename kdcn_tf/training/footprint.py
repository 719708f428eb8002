"""Counts the distinct rows that a step on a given graph touches, by training a little.

What a plan expects of a graph by its sizes alone, this counts: real steps on the graph's own files, with a table of
one column, because no count depends on the number of columns.
"""

from dataclasses import replace

import numpy as np

from kdcn_tf.config import Config
from kdcn_tf.costs import Graph, Step
from kdcn_tf.data.failures import translated
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest
from kdcn_tf.training import watching
from kdcn_tf.training.cluster import InlineScheduler
from kdcn_tf.training.loop import steps_of
from kdcn_tf.training.pretrain import Pretraining

MAX_ENTITIES = 20_000_000
"""Of a graph whose adjacency is read into this process: 100 bytes an entity with 20 neighbours."""


def graph_of(ckg: Manifest, config: Config) -> Graph:
    """The sizes of a dataset."""
    id_map, train = ckg.require_id_map(), ckg.group("train")
    steps = steps_of(train, config.pretrain.batch_size)
    return Graph(id_map.num_ids - 1, sum(file.count for file in train), len(id_map.relations), steps=steps)


def counted_step(directory: str, ckg: Manifest, config: Config, servers: int) -> Step:
    """Mean rows of the steps on the first training file.

    Args:
        directory: of the CKG dataset.
        ckg: its manifest.
        config: resolved configuration.
        servers: over which the ids are sharded, in equal ranges.

    Raises:
        ConfigError: the graph is too large for this process.
        DataError: a file is corrupt.
    """
    num_ids = ckg.require_id_map().num_ids
    if num_ids > MAX_ENTITIES:
        raise ConfigError(f"{directory}: more than {MAX_ENTITIES:,} entities: plan by sizes (--entities, --triples)")
    thin = replace(
        config,
        encoder=replace(config.encoder, dim=1),
        pretrain=replace(config.pretrain, optimizer="adagrad"),
    )
    with translated(directory):
        run = Pretraining(InlineScheduler(), thin, ckg, directory)
        run.load_graph()
        sums = run.train_file(run.path_of(ckg.group("train")[0].name), np.array([0, 1], np.int32))
    steps = float(sums[watching.STEPS])
    table, neighbors, degrees = (float(sums[name]) / steps for name in watching.COUNTS)
    touched = np.flatnonzero(run.optimizer.slots["accumulator"][0].numpy()[:, 0])
    shares = np.bincount(_server_of(touched, num_ids, servers), minlength=servers)
    return Step(table, neighbors, degrees, busiest=float(shares.max() / max(shares.mean(), 1.0)))


def _server_of(ids: np.ndarray, num_ids: int, servers: int) -> np.ndarray:
    """Shards are ranges of ids; the first `num_ids % servers` of them have a row more."""
    size, longer = divmod(num_ids, servers)
    edges = np.cumsum([size + (number < longer) for number in range(servers)])
    return np.searchsorted(edges, ids, side="right")
