"""Rows between the steps of a job: Arrow tables as bytes, cut into the parts that a shuffle brings together.

A shuffle of this job moves a few large values instead of one per row: its keys are parts of a hash's
range, and all that happens to the rows of a part is array arithmetic.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

_BYTES_PER_PART = 8 << 20
_MOST_PARTS = 4096
_GZIP_RATIO = 5


def number_of_parts(paths_and_bytes: Iterable[tuple[str, int]]) -> int:
    """Parts of a shuffle, so that one takes some tens of MB; no file that a job writes depends on it."""
    total = sum(size * (_GZIP_RATIO if path.endswith(".gz") else 1) for path, size in paths_and_bytes)
    return min(max(-(-total // _BYTES_PER_PART), 1), _MOST_PARTS)


def table(**columns: np.ndarray | pa.Array) -> pa.Table:
    return pa.table(dict(columns))


def pack(rows: pa.Table) -> pa.Buffer:
    """Arrow IPC stream of a table."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue()


def read(packed: bytes | pa.Buffer) -> pa.Table:
    """The table of an Arrow IPC stream."""
    with pa.ipc.open_stream(packed) as reader:
        return reader.read_all()


def column(rows: pa.Table, name: str) -> np.ndarray:
    """A column of numbers as an array."""
    return rows.column(name).to_numpy()


def split(rows: pa.Table, part_of: np.ndarray) -> Iterator[tuple[int, pa.Table]]:
    """(part, its rows) for every part that has any; rows keep their order."""
    if not rows.num_rows:
        return
    order = np.argsort(part_of, kind="stable")
    ordered = part_of[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    arranged = rows.take(order)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(ordered)], strict=True):
        yield int(ordered[start]), arranged.slice(start, end - start)


def first_of_groups(*keys: np.ndarray) -> np.ndarray:
    """Mask of the rows, sorted by `keys`, where a new combination of them begins."""
    if not len(keys[0]):
        return np.zeros(0, bool)
    new = np.zeros(len(keys[0]), bool)
    new[0] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return new


def sorted_groups(hashes: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order of the rows in which equal ones stand together, and a mask of where new ones begin in it.

    Args:
        hashes: of the rows; the order is theirs.
        columns: what makes rows equal, as different ones may share a hash.
    """
    order = np.argsort(hashes)
    first = first_of_groups(*(one[order] for one in columns))
    if first.sum() != first_of_groups(hashes[order]).sum():
        order = np.lexsort((*columns[::-1], hashes))
        first = first_of_groups(*(one[order] for one in columns))
    return order, first


def places(wanted: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of each `wanted` in the sorted `known`, and whether it is there at all."""
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return found, known[found] == wanted
