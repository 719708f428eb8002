"""Keys and exported embeddings of entities, from the files of a CKG dataset and of an export."""

import io
from collections.abc import Iterable, Iterator

import numpy as np

from kdcn_tf import files
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.manifest import DataFile, Manifest, read_file

ENTITIES = "entities/"

_ROUNDING = 1e-9
"""Variance of a constant column of float32, over its mean square."""


def spans_of(ckg: Manifest, entity_type: str) -> list[tuple[int, int]]:
    """Id ranges of the id map files of a type, as [first, last).

    Raises:
        ConfigError: the graph has no such type.
    """
    known = sorted(name.removeprefix(ENTITIES) for name in ckg.files if name.startswith(ENTITIES))
    if entity_type not in known:
        raise ConfigError(f"--types: no entity type {entity_type!r} in the graph; it has: {', '.join(known)}")
    return [(f.first, f.first + f.count) for f in ckg.group(ENTITIES + entity_type)]


def read_keys(ckg_directory: str, file: DataFile) -> list[str]:
    """Keys of one id map file, in id order.

    Raises:
        DataError: not UTF-8, or not as many lines as the manifest says.
    """
    path = files.join(ckg_directory, file.name)
    try:
        keys = read_file(ckg_directory, file).decode().splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8") from None
    if len(keys) != file.count:
        raise DataError(f"{path}: {len(keys)} keys, but the manifest says {file.count}")
    return keys


def read_rows(
    directory: str, embeddings: Manifest, entity_type: str, standardize: bool = False
) -> Iterator[tuple[int, np.ndarray]]:
    """Exported rows of a type, file by file.

    Args:
        directory: of the export.
        embeddings: its manifest.
        entity_type: whose rows.
        standardize: bring each column to mean 0 and variance 1 over all entities of the type (a constant one to 0),
            which takes a reading more. What all have in common says nothing about one, and can be most of a vector.

    Yields:
        First id and float32 [rows, d].

    Raises:
        DataError: a file isn't the array that the manifest describes.
    """
    blocks = _stored_rows(directory, embeddings, entity_type)
    if standardize:
        mean, deviation = _moments(_stored_rows(directory, embeddings, entity_type), embeddings.number("dim"))
        blocks = ((first, ((rows - mean) / deviation).astype(np.float32)) for first, rows in blocks)
    yield from blocks


def _stored_rows(directory: str, embeddings: Manifest, entity_type: str) -> Iterator[tuple[int, np.ndarray]]:
    for entry in embeddings.group(entity_type):
        path = files.join(directory, entry.name)
        try:
            rows = np.lib.format.read_array(io.BytesIO(read_file(directory, entry)), allow_pickle=False)
        except (ValueError, EOFError, MemoryError) as error:
            raise DataError(f"{path}: not an npy array: {' '.join(str(error).split())}") from None
        expected = (entry.count, embeddings.number("dim"))
        if rows.shape != expected:
            raise DataError(f"{path}: shape {rows.shape}, expected {expected}")
        if rows.dtype.kind != "f" or not np.isfinite(rows).all():
            raise DataError(f"{path}: has values that aren't finite numbers")
        yield entry.first, rows


def _moments(blocks: Iterable[tuple[int, np.ndarray]], dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation [d] of each column; infinite where rounding is all that a column has."""
    count, sums, squares = 0, np.zeros(dim), np.zeros(dim)
    for _, rows in blocks:
        exact = rows.astype(np.float64)
        count, sums, squares = count + len(rows), sums + exact.sum(axis=0), squares + (exact**2).sum(axis=0)
    mean, power = sums / max(count, 1), squares / max(count, 1)
    variance = power - mean**2
    return mean, np.sqrt(np.where(variance > _ROUNDING * power, variance, np.inf))
