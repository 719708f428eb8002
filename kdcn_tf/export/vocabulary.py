"""Entity keys to ids inside a TensorFlow graph, from the id map files of a CKG dataset."""

from collections.abc import Iterable
from dataclasses import dataclass

import tensorflow as tf

from kdcn_tf.ckg import PAD_ID
from kdcn_tf.data.entities import ENTITIES, read_keys
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.records import OOV_ID

_NO_LINE = -1

Spans = tuple[tuple[int, int], ...]
"""Id ranges [first, last) of the lines of a vocabulary, one after the other."""


@dataclass
class Vocabulary:
    """Keys of one entity type as a static hash table.

    Attributes:
        table: key -> line number.
        spans: id ranges of the lines, one after the other.
    """

    table: tf.lookup.StaticHashTable
    spans: Spans

    def ids(self, keys: tf.Tensor) -> tf.Tensor:
        """Ids of keys, OOV_ID for those that the graph doesn't hold; int64, same shape."""
        lines = self.table.lookup(keys)
        found, start = tf.fill(tf.shape(lines), tf.constant(OOV_ID, tf.int64)), 0
        for first, last in self.spans:
            found = tf.where(lines >= start, lines - start + first, found)
            start += last - first
        return found

    def padded_ids(self, keys: tf.Tensor, size: int) -> tf.Tensor:
        """Ids of lists of keys, unknown entities among them as OOV_ID.

        Args:
            keys: string [B, any], "" for padding.
            size: length of the result; longer lists are cut.

        Returns:
            int64 [B, size], padded with PAD_ID.
        """
        return _compact(self.ids(keys), keys != "", size)

    def known_ids(self, keys: tf.Tensor, size: int) -> tf.Tensor:
        """Like `padded_ids`, but unknown entities are left out, as build-ctr leaves out rare keywords."""
        ids = self.ids(keys)
        return _compact(ids, ids != OOV_ID, size)


def _compact(ids: tf.Tensor, keep: tf.Tensor, size: int) -> tf.Tensor:
    """Moves the kept ids of each row to its front."""
    return tf.ragged.boolean_mask(ids, keep).to_tensor(PAD_ID, shape=[None, size])


def write_vocabulary(ckg_directory: str, ckg: Manifest, entity_type: str, path: str) -> Spans:
    """Joins the id map files of a type into one, a key a line in id order; returns the lines' id ranges.

    Raises:
        DataError: the files don't hold the ids of the id map.
    """
    entries = sorted(ckg.group(ENTITIES + entity_type), key=lambda file: file.first)
    found = _joined((entry.first, entry.first + entry.count) for entry in entries)
    if found != (wanted := _joined(ckg.require_id_map().spans(entity_type))):
        raise DataError(f"{ckg_directory}: files {ENTITIES + entity_type!r} hold ids {found}, the id map has {wanted}")
    with tf.io.gfile.GFile(path, "wb") as stream:
        for entry in entries:
            for key in read_keys(ckg_directory, entry):
                stream.write(key.encode() + b"\n")
    return found


def _joined(spans: Iterable[tuple[int, int]]) -> Spans:
    """Sorted ranges without empty ones, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for first, last in spans:
        if joined and joined[-1][1] == first:
            joined[-1] = joined[-1][0], last
        elif first < last:
            joined.append((first, last))
    return tuple(joined)


def load_vocabulary(path: str, spans: Spans) -> Vocabulary:
    """The table over a file of `write_vocabulary`, which becomes an asset of the SavedModel."""
    initializer = tf.lookup.TextFileInitializer(
        path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    return Vocabulary(tf.lookup.StaticHashTable(initializer, _NO_LINE), spans)
