"""Small click models with random weights, and inputs for them."""

import numpy as np
import tensorflow as tf
from support.ctr_data import ID_MAP, INFO, RANGES

from kdcn_tf import config, manifest, records
from kdcn_tf.models.networks import build_model

DESCRIBED = manifest.Manifest(manifest.CTR, id_map=ID_MAP, info=INFO)
SMALL = ["kdcn.dim=8", "kdcn.heads=2", "kdcn.filters=3", "kdcn.match_dim=5", "kdcn.deep_units=[16,4]",
         "kdcn.category_dim=3", "kdcn.cross_rank=2", "kdcn.cross_layers=2"]  # fmt: skip
CONTEXT = {records.USER, records.QUERY_KEYWORDS, *map(records.behavior_key, INFO["behaviors"])}


def small(*assignments):
    return build_model(config.resolve(assignments=[*SMALL, *assignments]), DESCRIBED)


def randomized(model):
    """The model with random weights: new biases are zeros, which would hide mistakes."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.3, size=weight.shape) for weight in model.weights])
    return model


def some_inputs(rows):
    """Random features of `rows` impressions with padding, unknown ids and a missing statistic."""
    rng = np.random.default_rng(0)

    def ids(entity_type, *shape):
        first, last = RANGES[entity_type]
        drawn = rng.integers(first, last, (rows, *shape))
        return np.where(rng.random(drawn.shape) < 0.3, rng.choice([0, -1], drawn.shape), drawn)

    inputs = {records.behavior_key(kind): ids("item", INFO["max_behaviors"]) for kind in INFO["behaviors"]}
    inputs |= {records.QUERY_KEYWORDS: ids("keyword", 3), records.TITLE_KEYWORDS: ids("keyword", 4)}
    inputs |= {records.CATEGORIES: ids("category", 2), records.USER: ids("user"), records.ITEM: ids("item")}
    inputs[records.DENSE] = rng.normal(5, 3, (rows, 2)).astype(np.float32)
    inputs[records.DENSE][0, 0] = np.nan
    return {key: tf.constant(values) for key, values in inputs.items()}


def padding_of(inputs):
    """The same with nothing but padding, and no statistic known."""
    zeros = {key: tf.zeros_like(values) for key, values in inputs.items()}
    return zeros | {records.DENSE: tf.fill(inputs[records.DENSE].shape, float("nan"))}


def tabular_examples(spec, rows, **changed):
    """Examples in memory of user 1 and item 40, each a session, with nothing else but what `changed` says."""
    lists = {key: np.zeros((rows, size), np.int64) for key, size in spec.list_sizes().items()}
    scalars = {records.USER: np.full(rows, 1), records.ITEM: np.full(rows, 40), records.SESSION: np.arange(rows)}
    floats = {records.DENSE: np.full((rows, len(spec.dense_names)), np.nan, np.float32)}
    known = {records.WEIGHT: np.ones(rows, np.float32), records.LABEL: np.zeros(rows, np.float32)}
    return {**lists, **scalars, **floats, **known, **changed}
