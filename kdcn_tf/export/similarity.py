"""Nearest entities by their exported vectors, through FAISS."""

import logging
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from kdcn_tf.data.entities import read_rows
from kdcn_tf.errors import DataError, UnavailableError
from kdcn_tf.manifest import Manifest, read_file
from kdcn_tf.places import Places

FAISS = "faiss"

L2, COSINE = METRICS = ("l2", "cosine")

EXACT_ROWS = 100_000
"""An index file of more rows is an inverted file (IVF): fast, but approximate."""

_ROWS_PER_LIST = 39
"""FAISS' own minimum of training rows per list."""

_PROBED_SHARE = 16
"""One list of so many is searched."""

Found = list[tuple[int, float]]
"""Ids and distances, nearest first."""


def faiss() -> Any:
    """The library, which takes a moment to import.

    Raises:
        UnavailableError: it isn't installed.
    """
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)  # it tells which CPU features it tries
    try:
        import faiss as library
    except ImportError:
        raise UnavailableError("package faiss-cpu isn't installed") from None
    return library


def build_index(rows: np.ndarray) -> bytes:
    """A serialized FAISS index of float32 [n, d] by Euclidean distance; position in it is position in `rows`.

    Up to `EXACT_ROWS` it is exact (IndexFlatL2). Above it is IVF with 4 sqrt(n) lists, of which a search reads 1/16.
    """
    library, (count, dim) = faiss(), rows.shape
    index = library.IndexFlatL2(dim)
    if count > EXACT_ROWS:
        lists = max(1, min(int(4 * math.sqrt(count)), count // _ROWS_PER_LIST))
        index = library.IndexIVFFlat(index, dim, lists)
        index.nprobe = max(1, lists // _PROBED_SHARE)
        index.train(rows[:: max(1, count // (2 * _ROWS_PER_LIST * lists))])
    index.add(rows)
    return library.serialize_index(index).tobytes()


def vector_of(directory: str, embeddings: Manifest, entity_type: str, entity_id: int) -> np.ndarray:
    """Exported vector of one entity, float32 [d].

    Raises:
        DataError: the export doesn't hold it, or a file is wrong.
    """
    for first, rows in read_rows(directory, embeddings, entity_type):
        if first <= entity_id < first + len(rows):
            return rows[entity_id - first]
    raise DataError(f"{directory}: files {entity_type!r} don't hold id {entity_id}")


def nearest(
    directory: str, embeddings: Manifest, entity_type: str, query: np.ndarray, k: int, metric: str
) -> tuple[Found, bool]:
    """The k exported entities of a type whose vectors are nearest to `query`.

    Reads the index of `export-embeddings --format=faiss`, where there is one and the metric is its; else it compares
    all vectors, a file at a time.

    Args:
        directory: the embeddings.
        embeddings: their manifest.
        entity_type: what is looked for.
        query: float32 [d].
        k: at most so many.
        metric: "l2", or "cosine": 1 - cos, where a zero vector is 1 from all.

    Returns:
        What was found, and whether it is exact.
    """
    if metric == L2 and f"{FAISS}/{entity_type}" in embeddings.files:
        return _by_index(directory, embeddings, entity_type, query, k)
    return _exact(read_rows(directory, embeddings, entity_type), query, k, metric), True


def _by_index(directory: str, embeddings: Manifest, entity_type: str, query: np.ndarray, k: int) -> tuple[Found, bool]:
    library = faiss()
    entry = embeddings.group(f"{FAISS}/{entity_type}")[0]
    try:
        index = library.deserialize_index(np.frombuffer(read_file(directory, entry), np.uint8))
        squares, places = index.search(query[None], k)
    except (RuntimeError, AssertionError):
        raise DataError(f"{directory}/{entry.name}: not a FAISS index of these vectors") from None
    ids = Places(tuple((part.first, part.first + part.count) for part in embeddings.group(entity_type)))
    if index.ntotal != ids.size:
        raise DataError(f"{directory}/{entry.name}: holds {index.ntotal} vectors, the npy files {ids.size}")
    found = [(ids.id_of(int(p)), math.sqrt(max(s, 0.0))) for s, p in zip(squares[0], places[0], strict=True) if p >= 0]
    return found, isinstance(index, library.IndexFlat)


def _exact(parts: Iterable[tuple[int, np.ndarray]], query: np.ndarray, k: int, metric: str) -> Found:
    library = faiss()
    kind = library.METRIC_L2 if metric == L2 else library.METRIC_INNER_PRODUCT
    found: Found = []
    for first, rows in parts:
        rows, wanted = rows.astype(np.float32), query[None].astype(np.float32)
        if metric == COSINE:
            rows, wanted = _unit(rows), _unit(wanted)
        scores, places = library.knn(wanted, rows, min(k, len(rows)), metric=kind)
        found += [(first + int(p), _distance(float(s), metric)) for s, p in zip(scores[0], places[0], strict=True)]
    return sorted(found, key=lambda entry: (entry[1], entry[0]))[:k]


def _distance(score: float, metric: str) -> float:
    return math.sqrt(max(score, 0.0)) if metric == L2 else 1.0 - score


def _unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
