"""How far fine-tuning moves the entity table from the embeddings that it started from."""

import numpy as np
import tensorflow as tf

from kdcn_tf import manifest
from kdcn_tf.data.entities import read_rows
from kdcn_tf.data.lookup import gather_rows
from kdcn_tf.layers.embedding import EntityEmbedding

SAMPLED = 1000
"""Entities of each type that are watched."""


class Drift:
    """Watches some entities of each type: those of the first file of an export, evenly spaced.

    Ids follow hashes, so they are a random sample; of a graph that grew, one of the base's entities.

    Args:
        entities: the layer whose table is fine-tuned.
        directory: embeddings that it started from.
        standardize: whether it started from their standardised columns (`read_rows`).

    Raises:
        DataError: a file is wrong.
    """

    def __init__(self, entities: EntityEmbedding, directory: str, standardize: bool = False):
        self._entities = entities
        exported = manifest.read(directory, manifest.EMBEDDINGS)
        self._start: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for entity_type in entities.types:
            blocks = read_rows(directory, exported, entity_type, standardize)
            first, rows = next(((first, rows) for first, rows in blocks if len(rows)), (0, np.empty((0, entities.dim))))
            places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLED)).astype(np.int64))
            if len(places):
                self._start[entity_type] = (first + places, rows[places].astype(np.float32))

    def figures(self) -> dict[str, float]:
        """Entity type -> mean distance of its vectors from their start over the mean length of the start."""
        found = {}
        for entity_type, (ids, start) in self._start.items():
            now = gather_rows(self._entities.table, self._entities.rows_of(tf.constant(ids))).numpy()
            length = float(np.mean(np.linalg.norm(start, axis=1)))
            found[entity_type] = float(np.mean(np.linalg.norm(now - start, axis=1))) / length if length else 0.0
        return found
