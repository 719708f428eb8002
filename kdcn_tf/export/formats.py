"""Formats of exported embeddings beside npy: Parquet, word2vec, TensorBoard's projector, FAISS."""

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from kdcn_tf import files, manifest
from kdcn_tf.export.similarity import FAISS, build_index
from kdcn_tf.manifest import DataFile

NPY, PARQUET, WORD2VEC, PROJECTOR = "npy", "parquet", "word2vec", "projector"
NAMES = (NPY, PARQUET, WORD2VEC, PROJECTOR, FAISS)

PROJECTOR_ROWS = 5000
"""Entities of a type that the projector shows at the most; a browser holds all types together."""

_PROJECTOR_CONFIG = """embeddings {
  tensor_name: "entities"
  tensor_path: "tensors.tsv"
  metadata_path: "metadata.tsv"
}
"""

_ESCAPED = re.compile(r"[%\s]")


@dataclass(frozen=True)
class Exported:
    """The finished npy files of one entity type.

    Attributes:
        directory: of the export.
        entity_type: its name.
        entries: the files.
        keys: entry -> the keys of its rows.
    """

    directory: str
    entity_type: str
    entries: tuple[DataFile, ...]
    keys: Callable[[DataFile], list[str]]

    def rows(self, entry: DataFile) -> np.ndarray:
        """float32 [rows, d]."""
        return np.load(io.BytesIO(files.read_bytes(files.join(self.directory, entry.name))))

    def write_beside(self, entry: DataFile, suffix: str, data: bytes) -> DataFile:
        """Writes the same rows in another format, named as their npy file is."""
        name = entry.name.removesuffix(".npy") + suffix
        return _written(self.directory, name, data, entry.count, entry.first)


def _written(directory: str, name: str, data: bytes, count: int, first: int = 0) -> DataFile:
    files.write_atomic(files.join(directory, name), data)
    return manifest.describe_file(directory, name, count, first)


def write_parquet(exported: Exported) -> Iterator[DataFile]:
    """A file per npy file, with columns id, type, key, vector."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for entry in exported.entries:
        rows = exported.rows(entry)
        columns = {
            "id": pa.array(np.arange(entry.first, entry.first + len(rows))),
            "type": pa.array([exported.entity_type] * len(rows)),
            "key": pa.array(exported.keys(entry)),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1]),
        }
        buffer = io.BytesIO()
        pq.write_table(pa.table(columns), buffer)
        yield exported.write_beside(entry, ".parquet", buffer.getvalue())


def write_word2vec(exported: Exported) -> Iterator[DataFile]:
    """A text file per npy file: a line with rows and dimension, then lines of key and numbers, by single spaces.

    White space and % in a key are percent-encoded as in URLs, so that `urllib.parse.unquote` gives the key back.
    """
    for entry in exported.entries:
        rows = exported.rows(entry)
        text = io.StringIO()
        text.write(f"{len(rows)} {rows.shape[1]}\n")
        for key, row in zip(exported.keys(entry), rows, strict=True):
            text.write(f"{_ESCAPED.sub(lambda found: quote(found[0]), key)} {_numbers(row, ' ')}\n")
        yield exported.write_beside(entry, ".vec", text.getvalue().encode())


def _numbers(row: np.ndarray, separator: str) -> str:
    return separator.join(map(str, row))  # the shortest text that reads back as the same float32


def write_faiss(exported: Exported) -> Iterator[DataFile]:
    """One index of the whole type; position i in it is row i of the npy files, one after the other."""
    rows = np.concatenate([exported.rows(entry) for entry in exported.entries])
    name, first = f"{exported.entity_type}.faiss", exported.entries[0].first
    yield _written(exported.directory, name, build_index(np.ascontiguousarray(rows)), len(rows), first)


OF_A_TYPE: dict[str, Callable[[Exported], Iterable[DataFile]]] = {
    PARQUET: write_parquet,
    WORD2VEC: write_word2vec,
    FAISS: write_faiss,
}
"""Format -> writer of one entity type's files."""


def write_projector(directory: str, types: Sequence[Exported]) -> tuple[DataFile, ...]:
    """Folder `projector`, for `tensorboard --logdir` or projector.tensorflow.org: all types in one pair of TSV files.

    Of a type with more than `PROJECTOR_ROWS` entities so many are taken, evenly spaced by id.
    """
    tensors, metadata = io.StringIO(), io.StringIO()
    metadata.write("key\ttype\n")
    count = 0
    for exported in types:
        for key, row in _sample(exported):
            tensors.write(_numbers(row, "\t") + "\n")
            metadata.write(f"{key}\t{exported.entity_type}\n")
            count += 1
    files.make_dirs(files.join(directory, PROJECTOR))
    return (
        _written(directory, f"{PROJECTOR}/tensors.tsv", tensors.getvalue().encode(), count),
        _written(directory, f"{PROJECTOR}/metadata.tsv", metadata.getvalue().encode(), count),
        _written(directory, f"{PROJECTOR}/projector_config.pbtxt", _PROJECTOR_CONFIG.encode(), 1),
    )


def _sample(exported: Exported) -> Iterator[tuple[str, np.ndarray]]:
    total = sum(entry.count for entry in exported.entries)
    chosen = np.unique(np.linspace(0, total - 1, min(total, PROJECTOR_ROWS)).round().astype(np.int64))
    before = 0
    for entry in exported.entries:
        places = chosen[(chosen >= before) & (chosen < before + entry.count)] - before
        names, rows = exported.keys(entry), exported.rows(entry)
        yield from ((names[place], rows[place]) for place in places)
        before += entry.count
