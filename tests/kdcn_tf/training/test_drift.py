import numpy as np
import pytest
from support.ctr_data import ID_MAP, RANGES

from kdcn_tf import manifest
from kdcn_tf.data.entities import read_rows
from kdcn_tf.export.embeddings import write_type
from kdcn_tf.layers.embedding import EntityEmbedding
from kdcn_tf.training import drift


def write_embeddings(directory, growing=0) -> str:
    """Every vector is (3, 4), of length 5, plus its id times `growing`; the users' stand in two files."""
    groups = {}
    for name in ("user", "item"):
        first, last = RANGES[name]
        cuts = [(first, first + 10), (first + 10, last)] if name == "user" else [(first, last)]
        groups[name] = write_type(
            str(directory),
            name,
            cuts,
            lambda low, high: iter([np.float32([3, 4]) + np.float32(growing) * np.arange(low, high)[:, None]]),
        )
    manifest.write(str(directory), manifest.Manifest(manifest.EMBEDDINGS, groups, id_map=ID_MAP, info={"dim": 2}))
    return str(directory)


@pytest.fixture
def layer():
    made = EntityEmbedding({name: [RANGES[name]] for name in ("user", "item")}, 2)
    made.build()
    for name in ("user", "item"):
        first, last = RANGES[name]
        made.assign_rows(first, np.tile(np.float32([3, 4]), (last - first, 1)))
    return made


def test_drift_is_the_distance_from_the_start_over_its_length(layer, tmp_path):
    watch = drift.Drift(layer, write_embeddings(tmp_path))
    assert watch.figures() == {"user": 0.0, "item": 0.0}
    # Half of the 40 items move by (0, 1): a mean distance of 1/2, over 5.
    layer.assign_rows(RANGES["item"][0], np.tile(np.float32([3, 5]), (20, 1)))
    assert watch.figures() == pytest.approx({"user": 0.0, "item": 0.1})
    # Only the users of the first file are watched.
    layer.assign_rows(RANGES["user"][0] + 10, np.zeros((20, 2), np.float32))
    assert watch.figures()["user"] == 0.0
    layer.assign_rows(RANGES["user"][0], np.zeros((10, 2), np.float32))
    assert watch.figures()["user"] == pytest.approx(1.0)


def test_drift_from_standardised_vectors(layer, tmp_path):
    directory = write_embeddings(tmp_path, growing=1)
    exported = manifest.read(directory, manifest.EMBEDDINGS)
    for name in ("user", "item"):
        for first, rows in read_rows(directory, exported, name, standardize=True):
            layer.assign_rows(first, rows)
    assert drift.Drift(layer, directory, standardize=True).figures() == {"user": 0.0, "item": 0.0}
    # As exported the lengths are tens, standardised they are about 1: all but the whole length away.
    assert min(drift.Drift(layer, directory).figures().values()) > 0.9


def test_so_many_are_watched_at_the_most(layer, tmp_path, monkeypatch):
    monkeypatch.setattr(drift, "SAMPLED", 2)
    watch = drift.Drift(layer, write_embeddings(tmp_path))
    layer.assign_rows(RANGES["item"][0], np.float32([[0, 0]]))
    assert watch.figures()["item"] == pytest.approx(0.5)  # the first and the last
