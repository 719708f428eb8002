"""Entity keys to ids inside a TensorFlow graph, from the id map files of a CKG dataset."""

from dataclasses import dataclass

import tensorflow as tf

from kdcn_tf import files
from kdcn_tf.ckg import PAD_ID
from kdcn_tf.data.entities import ENTITIES, read_keys
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.records import OOV_ID

_NO_LINE = -1


@dataclass
class Vocabulary:
    """Keys of one entity type as a static hash table.

    Attributes:
        table: key -> line number.
        first: id of line 0.
    """

    table: tf.lookup.StaticHashTable
    first: int

    def ids(self, keys: tf.Tensor) -> tf.Tensor:
        """Ids of keys, OOV_ID for those that the graph doesn't hold; int64, same shape."""
        lines = self.table.lookup(keys)
        return tf.where(lines == _NO_LINE, tf.constant(OOV_ID, tf.int64), lines + self.first)

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


def write_vocabulary(ckg_directory: str, ckg: Manifest, entity_type: str, path: str) -> int:
    """Joins the id map files of a type into one, a key a line in id order; returns the first id.

    Raises:
        DataError: the files don't cover one unbroken range of ids.
    """
    entries = sorted(ckg.group(ENTITIES + entity_type), key=lambda file: file.first)
    following = entries[0].first if entries else 0
    with tf.io.gfile.GFile(path, "wb") as stream:
        for entry in entries:
            if entry.first != following:
                raise DataError(f"{files.join(ckg_directory, entry.name)}: starts at {entry.first}, not {following}")
            for key in read_keys(ckg_directory, entry):
                stream.write(key.encode() + b"\n")
            following += entry.count
    return entries[0].first if entries else 0


def load_vocabulary(path: str, first: int) -> Vocabulary:
    """The table over a file of `write_vocabulary`, which becomes an asset of the SavedModel."""
    initializer = tf.lookup.TextFileInitializer(
        path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    return Vocabulary(tf.lookup.StaticHashTable(initializer, _NO_LINE), first)
