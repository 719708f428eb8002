"""Our click models in turns, in one process: run_click_model.py ORDER, a JSON file (see `benchmarks/ctr.py`).

Trains by `Finetuning`, the steps of `kdcn train-kdcn`: from a dataset's files, which are read and decoded in each pass,
or from rows in memory. With "passes" it trains that many of them instead and writes the scores of the test split.
"""

import json
import sys
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from turns import Turns

from benchmarks import ctr_inputs
from kdcn_tf import manifest, records
from kdcn_tf.config import resolve
from kdcn_tf.data import ctr as ctr_data
from kdcn_tf.training import cluster
from kdcn_tf.training.finetune import Finetuning, logits_of

STEPS_PER_CALL = 10


def in_memory(order: dict, described: manifest.Manifest, split: str) -> ctr_data.Batch:
    """A split, or random rows for a table of some size, as tensors."""
    if order.get("entities"):
        found = ctr_inputs.sized_examples(described)
    else:
        found = ctr_data.read_all(order["ctr"], described, split)
    return {key: tf.constant(column) for key, column in found.items() if key != records.SOURCE}


def from_memory(run: Finetuning, examples: ctr_data.Batch, seed: int) -> Iterator[int]:
    """Trains for ever; yields how many rows each call took. The order of a pass is a peer's too."""
    numbers = tf.TensorSpec([None], tf.int64)
    train = tf.function(lambda rows: run.train_rows(examples, rows), input_signature=[numbers])
    random, rows = np.random.default_rng(seed), len(examples[records.LABEL])
    size = STEPS_PER_CALL * run.config.finetune.batch_size
    while True:
        mixed = random.permutation(rows)
        for start in range(0, rows, size):
            part = mixed[start : start + size]
            train(tf.constant(part, tf.int64))
            yield len(part)


def from_records(run: Finetuning, seed: int) -> Iterator[int]:
    """Trains for ever, file by file."""
    number = 0
    while True:
        for file in run.ctr.group("train"):
            number += 1
            run.train_file(tf.constant(run.path_of(file.name)), tf.constant([seed, number]))
            yield file.count


def main(order: dict) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(order["threads"])
    described = manifest.read(order["ctr"], manifest.CTR)
    if order.get("entities"):
        described = ctr_inputs.sized(described, order["entities"])
    suggested = {"logs.behaviors": described.info["behaviors"]}
    config = resolve(order["preset"], suggested, assignments=order["assignments"])
    run = Finetuning(cluster.start(), config, described, order["ctr"])
    if order["source"] == "records":
        steps = from_records(run, order["seed"])
    else:
        steps = from_memory(run, in_memory(order, described, "train"), order["seed"])
    if not order.get("passes"):
        turns = Turns(order["slice_s"], "examples")
        while turns.trained(next(steps)):
            pass
        return
    left = order["passes"] * sum(file.count for file in described.group("train"))
    while left > 0:
        left -= next(steps)
    test = in_memory(order, described, "test")
    np.save(order["scores"], tf.function(lambda: logits_of(run.model, test))().numpy())


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
