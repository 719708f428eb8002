"""Export of entity embeddings: one npy file per id map file, so that rows and keys line up."""

import io
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from kdcn_tf import files, manifest
from kdcn_tf.manifest import DataFile

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
