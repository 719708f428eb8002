"""Embeddings as other tools read them."""

import re
from urllib.parse import unquote

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from kdcn_tf.export import embeddings, formats, similarity
from kdcn_tf.manifest import EMBEDDINGS, Manifest

KEYS = ["plain", "two words", "100%", "全角\u3000空", "tail"]
ROWS = np.array([[0.1, -2.5], [1e-8, 3.0], [7.0, 0.0], [1 / 3, 2 / 3], [5.0, 5.0]], np.float32)


@pytest.fixture
def exported(tmp_path):
    """Five entities from id 11 on, in files of three and two."""
    entries = embeddings.write_type(str(tmp_path), "tag", [(11, 14), (14, 16)], lambda a, b: [ROWS[a - 11 : b - 11]])
    return formats.Exported(
        str(tmp_path), "tag", entries, lambda entry: KEYS[entry.first - 11 : entry.first - 11 + entry.count]
    )


def test_word2vec_reads_back(exported, tmp_path):
    found = {}
    for entry in formats.write_word2vec(exported):
        header, *lines = (tmp_path / entry.name).read_text().splitlines()
        assert header == f"{entry.count} 2"
        found |= {unquote(key): [np.float32(x) for x in row] for key, *row in (re.split(r"\s", line) for line in lines)}
    assert list(found) == KEYS
    np.testing.assert_array_equal(list(found.values()), ROWS)
    assert "two%20words " in (tmp_path / "tag-00000-of-00002.vec").read_text()


def test_the_projector_gets_a_capped_sample(exported, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "PROJECTOR_ROWS", 3)
    entries = formats.write_projector(str(tmp_path), [exported])
    assert [entry.count for entry in entries] == [3, 3, 1]
    folder = tmp_path / "projector"
    # Evenly spaced: the first, the middle and the last.
    assert (folder / "metadata.tsv").read_text() == "key\ttype\nplain\ttag\n100%\ttag\ntail\ttag\n"
    tensors = np.loadtxt(folder / "tensors.tsv", delimiter="\t", dtype=np.float32)
    np.testing.assert_array_equal(tensors, ROWS[[0, 2, 4]])
    (described,) = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig()).embeddings
    assert (folder / described.tensor_path).exists()
    assert (folder / described.metadata_path).exists()


def test_a_faiss_file_is_a_faiss_index(exported, tmp_path):
    (entry,) = formats.write_faiss(exported)
    index = similarity.faiss().read_index(str(tmp_path / entry.name))
    assert (index.ntotal, entry.count, entry.first) == (5, 5, 11)
    assert index.search(np.array([[6.5, 0.0]], np.float32), 1)[1].tolist() == [[2]]


@pytest.mark.parametrize("indexed", [True, False])
def test_nearest_of_a_type_that_grew(tmp_path, indexed):
    """Ids 11 to 13 and 20, 21: near [6.5, 0] lie rows 2 and 4, at 0.5 and sqrt(1.5^2 + 5^2)."""
    entries = embeddings.write_type(
        str(tmp_path), "tag", [(11, 14), (20, 22)], lambda a, b: [ROWS[a - 11 : b - 11] if a == 11 else ROWS[3:]]
    )
    groups = {"tag": entries}
    if indexed:
        groups["faiss/tag"] = tuple(formats.write_faiss(formats.Exported(str(tmp_path), "tag", entries, lambda _: [])))
    made = Manifest(EMBEDDINGS, groups, info={"dim": 2})
    found, exact = similarity.nearest(str(tmp_path), made, "tag", np.array([6.5, 0.0], np.float32), 2, "l2")
    assert [one for one, _ in found] == [13, 21]
    np.testing.assert_allclose([distance for _, distance in found], [0.5, 27.25**0.5], rtol=1e-6)
    assert exact


def test_large_indexes_are_ivf(monkeypatch):
    monkeypatch.setattr(similarity, "EXACT_ROWS", 1000)
    rows = np.random.default_rng(0).normal(size=(4000, 8)).astype(np.float32)
    index = similarity.faiss().deserialize_index(np.frombuffer(similarity.build_index(rows), np.uint8))
    assert index.nlist == 4000 // 39
    assert index.nprobe == index.nlist // 16
    assert (index.search(rows[:100], 1)[1][:, 0] == np.arange(100)).all()
