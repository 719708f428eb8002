"""Export of entity embeddings: one npy file per id map file, so that rows and keys line up."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from kdcn_tf import files, manifest
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.manifest import DataFile, Manifest

PARQUET = "parquet"
NPY = "npy"
ENTITIES = "entities/"

EncodeFn = Callable[[int, int], Iterable[np.ndarray]]
"""Id range [first, last) -> float32 blocks [rows, d], in order."""


def write_type(
    directory: str, entity_type: str, spans: Sequence[tuple[int, int]], encode: EncodeFn
) -> tuple[DataFile, ...]:
    """Writes the embeddings of one type.

    Args:
        directory: the output dataset.
        entity_type: its name, part of the file names.
        spans: id ranges [first, last), one file each.
        encode: gives the rows of an id range.

    Returns:
        One entry per file, with its first id.
    """
    entries = []
    for index, (first, last) in enumerate(spans):
        name = f"{entity_type}-{index:05d}-of-{len(spans):05d}.npy"
        rows = np.concatenate(list(encode(first, last)))
        buffer = io.BytesIO()
        np.save(buffer, rows)
        files.write_atomic(files.join(directory, name), buffer.getvalue())
        entries.append(manifest.describe_file(directory, name, last - first, first))
    return tuple(entries)


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
        DataError: not as many lines as the manifest says.
    """
    path = files.join(ckg_directory, file.name)
    keys = files.read_bytes(path).decode().splitlines()
    if len(keys) != file.count:
        raise DataError(f"{path}: {len(keys)} keys, but the manifest says {file.count}")
    return keys


def write_parquet(directory: str, entity_type: str, entry: DataFile, keys: list[str]) -> DataFile:
    """Beside an npy file, the same rows as Parquet with columns id, type, key, vector."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = np.load(io.BytesIO(files.read_bytes(files.join(directory, entry.name))))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    table = pa.table(
        {
            "id": pa.array(np.arange(entry.first, entry.first + len(rows))),
            "type": pa.array([entity_type] * len(rows)),
            "key": pa.array(keys),
            "vector": vectors,
        }
    )
    name = entry.name.removesuffix(".npy") + ".parquet"
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    files.write_atomic(files.join(directory, name), buffer.getvalue())
    return manifest.describe_file(directory, name, entry.count, entry.first)


def read_rows(directory: str, embeddings: Manifest, entity_type: str) -> Iterator[tuple[int, np.ndarray]]:
    """Exported rows of a type, file by file.

    Yields:
        First id and float32 [rows, d].

    Raises:
        DataError: a file isn't the array that the manifest describes.
    """
    for entry in embeddings.group(entity_type):
        path = files.join(directory, entry.name)
        try:
            rows = np.load(io.BytesIO(files.read_bytes(path)), allow_pickle=False)
        except ValueError as error:
            raise DataError(f"{path}: not an npy array: {error}") from None
        if rows.shape != (entry.count, embeddings.info["dim"]):
            raise DataError(f"{path}: shape {rows.shape}, expected {(entry.count, embeddings.info['dim'])}")
        yield entry.first, rows
