"""Keys to ids of a type whose id ranges lie apart."""

import pytest
import tensorflow as tf

from kdcn_tf import manifest
from kdcn_tf.ckg import IdMap
from kdcn_tf.errors import DataError
from kdcn_tf.export.vocabulary import load_vocabulary, write_vocabulary


def graph(directory, *firsts):
    """Items a and b, c, d and e, in a file each, from these ids on; the id map gives them 1 to 3, and 7 and 8."""
    texts = zip(firsts, ["a\nb\n", "c\n", "d\ne\n"], strict=True)
    parts = []
    for first, text in texts:
        (directory / f"{first}.txt").write_text(text)
        parts.append(manifest.describe_file(str(directory), f"{first}.txt", text.count("\n"), first))
    id_map = IdMap({"item": (1, 4), "user": (4, 7)}, (), "f", {"item": ((7, 9),)})
    return manifest.Manifest(manifest.CKG, {"entities/item": tuple(parts)}, id_map=id_map)


def test_ids_of_keys_of_all_ranges(tmp_path):
    path = str(tmp_path / "vocabulary")
    spans = write_vocabulary(str(tmp_path), graph(tmp_path, 1, 3, 7), "item", path)
    assert spans == ((1, 4), (7, 9))
    ids = load_vocabulary(path, spans).ids(tf.constant([["a", "c", "d"], ["e", "x", ""]]))
    assert ids.numpy().tolist() == [[1, 3, 7], [8, -1, -1]]


def test_files_of_other_ids_are_refused(tmp_path):
    made = graph(tmp_path, 1, 3, 6)
    with pytest.raises(DataError, match=r"hold ids \(\(1, 4\), \(6, 8\)\), the id map has \(\(1, 4\), \(7, 9\)\)"):
        write_vocabulary(str(tmp_path), made, "item", str(tmp_path / "vocabulary"))
