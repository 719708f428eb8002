"""AmpliGraph 2's TransE, in its own environment: run_ampligraph.py ORDER, a JSON file (see `benchmarks/pretrain.py`).

Its TransE has the L1 norm and no other; its vectors are ranked by that norm. No validation, no progress bar.
"""

import contextlib
import json
import os
import sys

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf
from ampligraph.latent_features import ScoringBasedEmbeddingModel
from ampligraph.latent_features.loss_functions import SelfAdversarialLoss
from turns import Turns


class Stop(Exception):  # noqa: N818
    """The budget is used up."""


class Turn(tf.keras.callbacks.Callback):
    """Counts batches."""

    def __init__(self, turns: Turns, batch_size: int):
        super().__init__()
        self._turns, self._batch_size = turns, batch_size

    def on_train_batch_end(self, batch, logs=None) -> None:
        if not self._turns.trained(self._batch_size):
            raise Stop


def main(order: dict) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(order["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(order["threads"])
    train = np.load(order["triples"])
    model = ScoringBasedEmbeddingModel(
        eta=order["negatives"], k=order["dim"], scoring_type="TransE", seed=order["seed"]
    )
    model.compile(
        optimizer=tf.keras.optimizers.legacy.Adam(order["learning_rate"]),
        loss=SelfAdversarialLoss({"margin": order["margin"], "alpha": 1.0}),
    )
    turn = Turn(Turns(order["slice_s"]), order["batch_size"])
    with contextlib.suppress(Stop):
        model.fit(train, batch_size=order["batch_size"], epochs=1_000_000, verbose=False, callbacks=[turn])
    tables = {}
    for name, part, size, seen in (
        ("entities", "e", order["entities"], np.unique(train[:, [0, 2]])),
        ("relations", "r", order["relations"], np.unique(train[:, 1])),
    ):
        table = model.encoding_layer.ent_emb if part == "e" else model.encoding_layer.rel_emb
        rows = np.asarray(table)[np.asarray(model.get_indexes(seen, part, "raw2ind"), np.int64)]
        # It has no vector of what is in no training triple: random ones, as before training.
        full = np.random.default_rng(order["seed"]).normal(0.0, rows.std(), (size, order["dim"])).astype(np.float32)
        full[seen] = rows
        tables[name] = full
    np.savez(order["vectors"], **tables, norm=1)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
