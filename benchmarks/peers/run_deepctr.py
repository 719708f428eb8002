"""DeepCTR's DCN, in its own environment: run_deepctr.py ORDER, a JSON file (see `benchmarks/ctr.py`).

Its fast way: a graph (no eager steps), batches from `tf.data`, gathered whole from arrays in memory or parsed whole
from the records, two at a time, and prefetched. It gives Keras an L2 penalty for every table even where that is 0, so
its tables have dense gradients; Keras' Adam would walk the tables in any case.
"""

import ctypes
import json
import os
import sys

import numpy as np

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Keras 2, as ours
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import tensorflow as tf
from deepctr.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat
from deepctr.models import DCN
from turns import Turns

FREED = ((-3, 32 << 20), (-1, (1 << 31) - 1), (-2, 64 << 20))
"""What `kdcn_tf.training.memory` tells the C library for our own training."""


class Turn(tf.keras.callbacks.Callback):
    """Counts batches."""

    def __init__(self, turns: Turns, batch_size: int):
        super().__init__()
        self._turns, self._batch_size, self.going = turns, batch_size, True

    def on_train_batch_end(self, batch, logs=None) -> None:
        if not self._turns.trained(self._batch_size):
            self.going = False
            self.model.stop_training = True


def columns_of(order: dict) -> list:
    """User and item, each list as its mean, the category levels, the statistics; tables shared as ours are."""

    def single(name: str, table: str, dim: int) -> SparseFeat:
        initial = tf.keras.initializers.RandomUniform(-0.05, 0.05, seed=order["seed"])
        rows = order["rows"][table]
        return SparseFeat(name, rows, dim, dtype="int64", embedding_name=table, embeddings_initializer=initial)

    columns = [single(name, table, order["dim"]) for name, table in order["singles"].items()]
    for name, (table, length) in order["lists"].items():
        columns.append(VarLenSparseFeat(single(name, table, order["dim"]), length, "mean"))
    for level in range(order["categories"]):
        columns.append(single(f"category_{level}", "category", order["category_dim"]))
    return [*columns, DenseFeat("statistics", order["statistics"])]


def model_of(order: dict) -> tf.keras.Model:
    tf.keras.utils.set_random_seed(order["seed"])
    model = DCN(
        [], columns_of(order), cross_num=order["cross_layers"], cross_parameterization=order["cross"],
        dnn_hidden_units=tuple(order["deep_units"]), l2_reg_linear=0, l2_reg_embedding=0, l2_reg_cross=0, l2_reg_dnn=0,
        seed=order["seed"],
    )  # fmt: skip
    model.compile(tf.keras.optimizers.Adam(order["learning_rate"]), "binary_crossentropy", run_eagerly=False)
    return model


def inputs_of(order: dict, batch: dict) -> dict:
    """Features as the model names them; categories level by level."""
    inputs = {name: batch[name] for name in (*order["singles"], *order["lists"])}
    levels = {f"category_{level}": batch["categories"][:, level] for level in range(order["categories"])}
    return {**inputs, **levels, "statistics": batch["dense"]}


def read(path: str) -> dict:
    return {key: tf.constant(array) for key, array in np.load(path).items()}


def from_memory(order: dict, arrays: dict, rows: np.ndarray) -> tf.data.Dataset:
    """Batches of arrays, in the order of `rows`."""

    def gathered(part: tf.Tensor):
        batch = {key: tf.gather(array, part) for key, array in arrays.items()}
        return inputs_of(order, batch), batch["label"]

    batches = tf.data.Dataset.from_tensor_slices(rows).batch(order["batch_size"])
    return batches.map(gathered, num_parallel_calls=order["threads"]).prefetch(2)


def from_records(order: dict) -> tf.data.Dataset:
    """Batches of the dataset's files, parsed in each pass, shuffled as far as ours are: within about a file."""
    lists = {name: length for name, (_, length) in order["lists"].items()} | {"categories": order["categories"]}
    features = {name: tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64) for name in lists}
    features |= {name: tf.io.FixedLenFeature([], tf.int64) for name in order["singles"]}
    features |= {
        "dense": tf.io.FixedLenFeature([order["statistics"]], tf.float32),
        "label": tf.io.FixedLenFeature([], tf.float32),
    }
    tables = {
        **order["singles"],
        **{name: table for name, (table, _) in order["lists"].items()},
        "categories": "category",
    }

    def rows_of(ids: tf.Tensor, spans: list) -> tf.Tensor:
        rows, start = tf.where(ids == 0, tf.zeros_like(ids), tf.ones_like(ids)), order["first_row"]
        for first, last in spans:
            rows = tf.where((ids >= first) & (ids < last), ids - first + start, rows)
            start += last - first
        return rows

    def parsed(serialized: tf.Tensor):
        batch = tf.io.parse_example(serialized, features)
        batch |= {name: batch[name].to_tensor(0, shape=[None, length]) for name, length in lists.items()}
        batch |= {name: rows_of(batch[name], order["spans"][table]) for name, table in tables.items()}
        squashed = tf.sign(batch["dense"]) * tf.math.log1p(tf.abs(batch["dense"]))
        batch["dense"] = tf.math.divide_no_nan(squashed - order["dense_mean"], order["dense_std"])
        return inputs_of(order, batch), batch["label"]

    shuffled = tf.data.TFRecordDataset(order["files"]).shuffle(order["shuffled"], seed=order["seed"])
    return shuffled.batch(order["batch_size"]).map(parsed, num_parallel_calls=order["threads"]).prefetch(2)


def main(order: dict) -> None:
    for name, value in FREED:
        ctypes.CDLL(None).mallopt(name, value)
    tf.config.threading.set_intra_op_parallelism_threads(order["threads"])
    model, random = model_of(order), np.random.default_rng(order["seed"])
    train = read(order["train"])

    def one_pass(callbacks: list) -> None:
        memory = order["source"] == "memory"
        mixed = random.permutation(len(train["label"])) if memory else None
        batches = from_memory(order, train, mixed) if memory else from_records(order)
        model.fit(batches, verbose=0, callbacks=callbacks)

    if order.get("passes"):
        for _ in range(order["passes"]):
            one_pass([])
        test = read(order["test"])
        scores = model.predict(from_memory(order, test, np.arange(len(test["label"]))), verbose=0)
        np.save(order["scores"], scores[:, 0])
        return
    turn = Turn(Turns(order["slice_s"], "examples"), order["batch_size"])
    while turn.going:
        one_pass([turn])


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
