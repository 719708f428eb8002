"""Trains a small GCN-TransE in whatever cluster TF_CONFIG names, and prints what it saw as JSON.

Arguments: CKG directory. Run as a program: each member of a cluster runs this file.
"""

import json
import os
import sys
import tempfile

import numpy as np

import kdcn_tf  # noqa: F401, before TensorFlow
from kdcn_tf import config, manifest
from kdcn_tf.ckg import IdMap
from kdcn_tf.models.ckg_encoder import CkgEncoder
from kdcn_tf.training import cluster, warm_start
from kdcn_tf.training.checkpoints import Checkpoints, load_weights, save_weights
from kdcn_tf.training.ledger import Ledger
from kdcn_tf.training.loop import run_epochs
from kdcn_tf.training.optimizers import RowAdagrad, parts_of
from kdcn_tf.training.pretrain import Pretraining

OPTIONS = [
    "encoder.dim=8", "kdcn.heads=2", "encoder.neighbors=3", "ckg.stored_neighbors=5", "pretrain.batch_size=32",
    "pretrain.chunks=2", "pretrain.negatives=16", "pretrain.epochs=30",
]  # fmt: skip


def places(variable) -> list[list]:
    return [[part.device, part.shape.as_list()] for part in parts_of(variable)]


def warm_starts(run: Pretraining) -> bool:
    """Whether a model warm-starts from a smaller one on other servers: this one from one without servers, and back."""
    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as own:
        old, sums = encoder(run, num_ids=500, num_relations=1, seed=9)
        for slot in sums.slots["accumulator"]:
            slot.assign(slot + 7.0)
        save_weights(old, small, **sums.lasting)
        before = rows(run.model, run.optimizer)
        warm_start.load(run.model, small, IdMap({"entity": (1, 500)}, ("likes",), "old"), run.optimizer)
        now = rows(run.model, run.optimizer)
        there = np.array_equal(now[:500], rows(old, sums)) and np.array_equal(now[500:], before[500:])
        save_weights(run.model, own, **run.optimizer.lasting)
        grown, fresh = encoder(run, num_ids=900, seed=8)
        new = rows(grown, fresh)
        warm_start.load(grown, own, run.id_map, fresh)
        back = rows(grown, fresh)
        return there and np.array_equal(back[: len(now)], now) and np.array_equal(back[len(now) :], new[len(now) :])


def encoder(run: Pretraining, **differences) -> tuple[CkgEncoder, RowAdagrad]:
    """One like the run's, but for the differences, on no server, and its optimizer."""
    model = CkgEncoder(**{**run.model.get_config(), **differences})
    kernels = [weight for layer in model.graph_layers for weight in layer.trainable_weights]
    return model, RowAdagrad([*model.tables, *kernels], 0.1)


def rows(model: CkgEncoder, optimizer: RowAdagrad) -> np.ndarray:
    """The entities' vectors, and the optimizer's sum of each in a column beside them."""
    return np.hstack([whole(model.entity_table), whole(optimizer.slots["accumulator"][0])])


def whole(variable) -> np.ndarray:
    return np.concatenate([part.numpy() for part in parts_of(variable)])


def main(directory: str) -> None:
    scheduler = cluster.start()
    settings = config.resolve("gcn", assignments=OPTIONS)
    ckg = manifest.read(directory, manifest.CKG)
    run = Pretraining(scheduler, settings, ckg, directory)
    ledger = Ledger([f.name for f in ckg.group("train")], settings.pretrain.epochs, 1)
    with tempfile.TemporaryDirectory() as output:
        checkpoints = Checkpoints(output, ledger, model=run.model, optimizer=run.optimizer)
        run.load_graph()
        run_epochs(
            scheduler=scheduler, ledger=ledger, checkpoints=checkpoints, train_file=run.train_file,
            path_of=run.path_of, rows_of={f.name: f.count for f in ckg.group("train")},
            end_of_epoch=lambda epoch: {}, should_stop=lambda history: False, seed=1, unit="triples",
        )  # fmt: skip
        before = [float(w.numpy().sum()) for w in run.optimizer.trained]
        slots = [float(p.numpy().sum()) for s in run.optimizer.slots["accumulator"] for p in parts_of(s)]
        save_weights(run.model, output)
        for part in [*run.optimizer.trained, *(p for s in run.optimizer.slots["accumulator"] for p in parts_of(s))]:
            part.assign(part * 0)
        load_weights(run.model, output)
        weights_back = [float(w.numpy().sum()) for w in run.optimizer.trained] == before
        checkpoints.restore()
        slots_back = [float(p.numpy().sum()) for s in run.optimizer.slots["accumulator"] for p in parts_of(s)] == slots
    seen = {
        "losses": [figures["loss"] for figures in ledger.history],
        "mrr": run.evaluate("test")["mrr"],
        "entities": places(run.model.entity_table),
        "sums": places(run.optimizer.slots["accumulator"][0]),
        "neighbors": places(run._adjacency.neighbors),
        "kernel": places(run.model.graph_layers[0].kernel),
        "weights_back": weights_back,
        "slots_back": slots_back,
        "warm_starts": warm_starts(run),
        "policy": os.sched_getscheduler(0) if hasattr(os, "SCHED_BATCH") else None,
    }
    print("SEEN " + json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1])
