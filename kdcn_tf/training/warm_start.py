"""Weights of a model of an older graph as the start of training on the graph that grew from it.

Existing entities and relations keep their ids when a graph grows, so their rows are copied as they are. New rows stay
as they were initialised. Adam starts without moments: old ones would belong to another rate of change. Adagrad goes on
from its sums: without them its first steps would be as long as those on random rows.
"""

import logging
from collections.abc import Iterator

import tensorflow as tf

from kdcn_tf import files
from kdcn_tf.ckg import IdMap
from kdcn_tf.config import Config, from_dict
from kdcn_tf.data.failures import translated
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.ckg_encoder import CkgEncoder
from kdcn_tf.training.checkpoints import load_part
from kdcn_tf.training.optimizers import Optimizer, parts_of

log = logging.getLogger(__name__)

_KEPT = (
    "dim", "layers", "activation", "aggregation", "residual", "norm", "squared", "reciprocal", "relation_scale",
    "max_norm",
)  # fmt: skip
"""Options of the encoder that decide what its weights mean."""

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"

Blocks = list[tuple[int, int, int]]
"""Rows to copy: first row there, first row here, how many."""


def require_fit(directory: str, trained: Manifest, config: Config, ckg_directory: str, ckg: Manifest) -> None:
    """Refuses a model whose weights can't be those of the first ids of a graph.

    Args:
        directory: of the model.
        trained: its manifest.
        config: resolved configuration of the new training.
        ckg_directory: of the graph to train on.
        ckg: its manifest; `info.base` says which graph it grew from.

    Raises:
        ConfigError: the encoder has other options.
        DataError: the ids of the model aren't those of the graph or of its base.
    """
    before = from_dict(trained.config).encoder
    for name in _KEPT:
        old, new = getattr(before, name), getattr(config.encoder, name)
        if old != new:
            raise ConfigError(f"--warm_start: {directory} was trained with encoder.{name}={old}, this run has {new}")
    old_ids, ids = trained.require_id_map(), ckg.require_id_map()
    base = ckg.info.get("base") or {}
    if not isinstance(base, dict):
        raise DataError(f"{ckg_directory}: manifest: info.base: expected an object, got {base!r}")
    if old_ids.fingerprint not in (ids.fingerprint, base.get("id_map")):
        grown = f"grew from {base['id_map']}" if "id_map" in base else "has no base"
        raise DataError(
            f"--warm_start: {directory} has id map {old_ids.fingerprint}; {ckg_directory} has {ids.fingerprint} "
            f"and {grown}"
        )
    expected = ids.num_ids if old_ids.fingerprint == ids.fingerprint else base.get("num_ids")
    if old_ids.num_ids != expected or expected > ids.num_ids:
        raise DataError(
            f"--warm_start: {directory} has {old_ids.num_ids} ids; {ckg_directory} has {ids.num_ids}, of which "
            f"{expected} are the same"
        )
    if ids.relations[: len(old_ids.relations)] != old_ids.relations:
        raise DataError(
            f"--warm_start: {directory} has relations {', '.join(old_ids.relations)}; those of {ckg_directory} don't "
            f"begin with them: {', '.join(ids.relations)}"
        )


def load(model: CkgEncoder, directory: str, old: IdMap, optimizer: Optimizer | None = None) -> None:
    """Copies the rows of the entities and relations that `old` has, and all weights that aren't tables; with them
    what lasts of the optimizer's slots, if the old model was trained by the same.

    Each parameter server reads the rows that it holds, however many servers the old model had: no row passes this
    process. TensorFlow reads the stored shards that they come from whole, one at a time, so a server needs room for its
    rows and an old shard beside its table, for a moment.

    Raises:
        DataError: the files are missing or corrupt, or hold another model.
    """
    path = files.join(directory, "weights")
    places = _places(model, old)
    with translated(path):
        for name, table, blocks in zip(_TABLES[: len(places)], model.tables, places, strict=True):
            _copy(path, f"model/{name}", table, blocks)
    load_part(model, "graph_layers", directory)
    goes_on = optimizer is not None and _load_lasting(path, optimizer, places)
    log.info(
        "warm start from %s: rows of %d of %d ids and %d of %d relations are its; the optimizer %s",
        directory, old.num_ids, model.num_ids, len(old.relations), model.num_relations,
        "goes on from its sums" if goes_on else "starts anew",
    )  # fmt: skip


_TABLES = ("entities", "relations", "relation_scales")
"""Names of `CkgEncoder.tables` as weights, in their order."""


def _places(model: CkgEncoder, old: IdMap) -> list[Blocks]:
    """Which rows of each of the model's tables are the old model's."""
    relations = len(old.relations)
    sides = int(model.relation_table.shape[0]) // model.num_relations
    of_relations = [(side * relations, side * model.num_relations, relations) for side in range(sides)]
    return [[(0, 0, old.num_ids)], *[of_relations for _ in model.tables[1:]]]


def _load_lasting(path: str, optimizer: Optimizer, places: list[Blocks]) -> bool:
    """Copies what lasts of slots, first those of the tables, then those of other weights; whether there was any."""
    with translated(path):
        there = {name for name, _ in tf.train.list_variables(path)}
        names = [name for name in optimizer.lasting if f"{name}/0{_VALUE}" in there]
        for name in names:
            for index, slot in enumerate(optimizer.lasting[name]):
                if index < len(places):
                    _copy(path, f"{name}/{index}", slot, places[index])
                else:
                    slot.assign(_restored(path, f"{name}/{index}", ""))
    return bool(names)


def _restored(path: str, name: str, shape_and_slice: str) -> tf.Tensor:
    (values,) = tf.raw_ops.RestoreV2(
        prefix=path, tensor_names=[name + _VALUE], shape_and_slices=[shape_and_slice], dtypes=[tf.float32]
    )
    return values


def _copy(path: str, name: str, table: tf.Variable, blocks: Blocks) -> None:
    """Copies rows of a saved table, named as in its checkpoint; `blocks` are all of its rows."""
    columns, stored = int(table.shape[1]), sum(count for _, _, count in blocks)
    for source, target, count in blocks:
        for part, there, here, rows in _overlaps(table, source, target, count):
            with tf.device(part.device):
                values = _restored(path, name, f"{stored} {columns} {there},{rows}:0,{columns}")
                part.scatter_update(tf.IndexedSlices(values, tf.range(here, here + rows, dtype=tf.int64)))


def _overlaps(table: tf.Variable, source: int, target: int, count: int) -> Iterator[tuple[tf.Variable, int, int, int]]:
    """Of each shard that rows [target, target + count) touch: itself, first row there, first row in it, rows."""
    start = 0
    for part in parts_of(table):
        end = start + int(part.shape[0])
        low, high = max(target, start), min(target + count, end)
        if low < high:
            yield part, source + low - target, low - start, high - low
        start = end
