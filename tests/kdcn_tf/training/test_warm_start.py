"""Training that starts from a model of the graph's base."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support.ckg_data import write_ckg
from support.raw_logs import run

from kdcn_tf import ckg, config, manifest, options
from kdcn_tf.cli import train_ckg
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.models.ckg_encoder import CkgEncoder
from kdcn_tf.training import warm_start
from kdcn_tf.training.checkpoints import save_weights

OLD = ckg.IdMap({"user": (1, 3), "item": (3, 6)}, ("has", "likes"), "old")
NEW = ckg.IdMap({**OLD.ranges, "seller": (8, 9)}, ("has", "likes", "saw"), "new", {"item": ((6, 8),)})
SETTINGS = config.resolve(assignments=["encoder.dim=4", "kdcn.heads=2"])


def encoder(id_map, seed, layers=1):
    return CkgEncoder(
        num_ids=id_map.num_ids, num_relations=len(id_map.relations), dim=4, layers=layers, activation="tanh",
        residual=True, norm=2, reciprocal=True, relation_scale=True, seed=seed,
    )  # fmt: skip


@pytest.mark.parametrize("layers", [0, 2])
def test_old_rows_are_the_old_models_and_new_ones_stay(tmp_path, layers):
    """6 old ids of 9; relations 0, 1 and their reciprocals, 2 and 3 there, are 0, 1, 3 and 4 of six here."""
    tf.keras.utils.set_random_seed(3)
    old, new = encoder(OLD, 1, layers), encoder(NEW, 2, layers)
    before = {name: getattr(new, name).numpy() for name in ("entity_table", "relation_table", "scale_table")}
    save_weights(old, str(tmp_path))
    warm_start.load(new, str(tmp_path), OLD)
    np.testing.assert_array_equal(new.entity_table[:6], old.entity_table)
    np.testing.assert_array_equal(new.entity_table[6:], before["entity_table"][6:])
    for name in ("relation_table", "scale_table"):
        now = getattr(new, name).numpy()
        np.testing.assert_array_equal(now[[0, 1, 3, 4]], getattr(old, name))
        np.testing.assert_array_equal(now[[2, 5]], before[name][[2, 5]])
    for mine, theirs in zip(new.graph_layers, old.graph_layers, strict=True):
        np.testing.assert_array_equal(mine.get_weights(), theirs.get_weights())


def test_files_of_another_model_are_refused(tmp_path):
    save_weights(encoder(OLD, 1), str(tmp_path))
    with pytest.raises(DataError, match="weights"):
        warm_start.load(encoder(NEW, 2), str(tmp_path), NEW)
    with pytest.raises(DataError, match="nowhere/weights"):
        warm_start.load(encoder(NEW, 2), str(tmp_path / "nowhere"), OLD)


def described(id_map, info=None, settings=SETTINGS):
    return manifest.Manifest("any", id_map=id_map, config=options.to_dict(settings), info=info or {})


BASE = {"base": {"id_map": "old", "num_ids": 6, "relations": ["has", "likes"]}}


def test_a_model_of_the_base_or_of_the_same_ids_fits():
    warm_start.require_fit("model", described(OLD), SETTINGS, "graph", described(NEW, BASE))
    warm_start.require_fit("model", described(NEW), SETTINGS, "graph", described(NEW, BASE))
    other = config.resolve(assignments=["encoder.dim=4", "kdcn.heads=2", "encoder.neighbors=3"])
    warm_start.require_fit("model", described(OLD, settings=other), SETTINGS, "graph", described(NEW, BASE))


@pytest.mark.parametrize(
    ("trained", "graph", "error", "told"),
    [
        (described(OLD, settings=config.resolve(assignments=["encoder.dim=8"])), described(NEW, BASE), ConfigError,
         "encoder.dim=8, this run has 4"),
        (described(OLD), described(NEW), DataError, "id map old; graph has new and has no base"),
        (described(dataclasses.replace(OLD, fingerprint="older")), described(NEW, BASE), DataError,
         "id map older; graph has new and grew from old"),
        (described(OLD), described(NEW, {"base": {"id_map": "old", "num_ids": 7}}), DataError,
         "6 ids; graph has 9, of which 7 are the same"),
        (described(OLD), described(NEW, {"base": ["old"]}), DataError, "info.base: expected an object"),
        (described(dataclasses.replace(OLD, relations=("likes", "has"))), described(NEW, BASE), DataError,
         "relations likes, has; those of graph don't begin with them: has, likes, saw"),
    ],
)  # fmt: skip
def test_models_that_dont_fit(trained, graph, error, told):
    with pytest.raises(error, match=told):
        warm_start.require_fit("model", trained, SETTINGS, "graph", graph)


SMALL = ["--set=" + text for text in (
    "encoder.dim=8", "encoder.neighbors=3", "ckg.stored_neighbors=5", "pretrain.batch_size=64", "pretrain.chunks=2",
    "pretrain.negatives=8", "pretrain.epochs=1",
)]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A graph, a model trained on it, and a graph of more users that says that it grew from the first."""
    root = tmp_path_factory.mktemp("warm")
    base = write_ckg(root / "base").require_id_map()
    assert run(train_ckg.main, "--ckg", root / "base", "--output", root / "old", *SMALL) == 0
    grown = write_ckg(root / "grown", users=60)
    info = {**grown.info, "base": {"id_map": base.fingerprint, "num_ids": base.num_ids}}
    manifest.write(str(root / "grown"), dataclasses.replace(grown, info=info))
    return root


def test_the_command_warm_starts_once(made, monkeypatch, capsys):
    """An interrupted run goes on from its own checkpoint, and only with the same --warm_start."""
    loads = []
    load = warm_start.load
    monkeypatch.setattr(warm_start, "load", lambda *args: (loads.append(args[1]), load(*args)))
    command = ("--ckg", made / "grown", "--output", made / "new", *SMALL)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(manifest, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train_ckg.main([*map(str, command), f"--warm_start={made / 'old'}"])
    assert run(train_ckg.main, *command) == 2
    assert "unfinished run of another configuration or input" in capsys.readouterr().err
    assert run(train_ckg.main, *command, "--warm_start", made / "old") == 0
    assert loads == [str(made / "old")]
    trained = manifest.read(str(made / "new"), manifest.CKG_MODEL)
    assert trained.inputs[manifest.CKG_MODEL] == manifest.read(str(made / "old"), manifest.CKG_MODEL).fingerprint()


def test_wrong_models_end_the_command(made, capsys):
    command = ("--ckg", made / "grown", "--output", made / "x", *SMALL)
    assert run(train_ckg.main, *command, "--warm_start", f"{made / 'x'}/") == 2
    assert "is --output too" in capsys.readouterr().err
    assert run(train_ckg.main, *command, "--warm_start", made / "base") == 65
    assert run(train_ckg.main, *command, "--warm_start", made / "old", "--set=encoder.layers=2") == 2
    assert "encoder.layers=1, this run has 2" in capsys.readouterr().err
    assert not (made / "x").exists()
