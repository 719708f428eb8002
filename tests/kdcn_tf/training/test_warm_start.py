"""Training that starts from a model of the graph's base."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support.ckg_data import write_ckg
from support.raw_logs import run

from kdcn_tf import ckg, config, manifest, options
from kdcn_tf.cli import export_embeddings, train_ckg
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.export import similarity
from kdcn_tf.models.ckg_encoder import CkgEncoder
from kdcn_tf.training import warm_start
from kdcn_tf.training.checkpoints import save_weights
from kdcn_tf.training.optimizers import Adam, RowAdagrad

OLD = ckg.IdMap({"user": (1, 3), "item": (3, 6)}, ("has", "likes"), "old")
NEW = ckg.IdMap({**OLD.ranges, "seller": (8, 9)}, ("has", "likes", "saw"), "new", {"item": ((6, 8),)})
SETTINGS = config.resolve("gcn", assignments=["encoder.dim=4", "kdcn.heads=2"])
WIDER = config.resolve("gcn", assignments=["encoder.dim=8"])
BY_TYPE = config.resolve("gcn", assignments=["encoder.dim=4", "kdcn.heads=2", "encoder.aggregation=by_type"])


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


def of(optimizer_class, model):
    """An optimizer of the model's tables and kernels."""
    kernels = [weight for layer in model.graph_layers for weight in layer.trainable_weights]
    return optimizer_class([*model.tables, *kernels], 0.1)


def test_adagrads_sums_come_with_their_rows(tmp_path):
    """As above: rows 0 to 5 of the entities, 0, 1, 3, 4 of the relations and of their scales, kernels whole."""
    old, new = encoder(OLD, 1), encoder(NEW, 2)
    sums, fresh = of(RowAdagrad, old), of(RowAdagrad, new)
    for number, slot in enumerate(sums.slots["accumulator"]):
        slot.assign(np.arange(np.size(slot)).reshape(slot.shape) + 100.0 * (number + 1))
    save_weights(old, str(tmp_path), **sums.lasting)
    warm_start.load(new, str(tmp_path), OLD, fresh)
    entities, relations, scales, *kernels = (slot.numpy() for slot in fresh.slots["accumulator"])
    np.testing.assert_array_equal(entities[:, 0], [100, 101, 102, 103, 104, 105, 0, 0, 0])
    np.testing.assert_array_equal(relations[:, 0], [200, 201, 0, 202, 203, 0])
    np.testing.assert_array_equal(scales[:, 0], [300, 301, 0, 302, 303, 0])
    assert kernels
    for mine, theirs in zip(kernels, sums.slots["accumulator"][3:], strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("before", "now"), [(Adam, RowAdagrad), (RowAdagrad, Adam)])
def test_another_optimizer_starts_anew(tmp_path, before, now):
    old, new = encoder(OLD, 1), encoder(NEW, 2)
    first = of(before, old)
    for slots in first.slots.values():
        for slot in slots:
            slot.assign(tf.ones_like(slot))
    save_weights(old, str(tmp_path), **first.lasting)
    second = of(now, new)
    warm_start.load(new, str(tmp_path), OLD, second)
    assert all(not np.any(slot) for slots in second.slots.values() for slot in slots)
    np.testing.assert_array_equal(new.entity_table[:6], old.entity_table)


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
    other = config.resolve("gcn", assignments=["encoder.dim=4", "kdcn.heads=2", "encoder.neighbors=3"])
    warm_start.require_fit("model", described(OLD, settings=other), SETTINGS, "graph", described(NEW, BASE))


@pytest.mark.parametrize(
    ("trained", "graph", "error", "told"),
    [
        (described(OLD, settings=WIDER), described(NEW, BASE), ConfigError,
         "encoder.dim=8, this run has 4"),
        (described(OLD, settings=BY_TYPE), described(NEW, BASE), ConfigError,
         "encoder.aggregation=by_type, this run has degree"),
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
    """A graph of 40 users and 40 items, a model trained on it, and a graph that 20 users grew to behind them."""
    root = tmp_path_factory.mktemp("warm")
    base = write_ckg(root / "base").require_id_map()
    assert run(train_ckg.main, "--ckg", root / "base", "--output", root / "old", *SMALL) == 0
    grown = write_ckg(root / "grown", users=60)
    groups = {}
    for entity_type, first, last in (("user", 1, 41), ("item", 41, 81), ("user", 81, 101)):
        name = f"{entity_type}-{first}.txt"
        (root / "grown" / name).write_text("".join(f"{i}\n" for i in range(first, last)))
        file = manifest.describe_file(str(root / "grown"), name, last - first, first)
        groups[f"entities/{entity_type}"] = (*groups.get(f"entities/{entity_type}", ()), file)
    made = dataclasses.replace(
        grown,
        files={**grown.files, **groups},
        id_map=ckg.IdMap(base.ranges, base.relations, "grown", {"user": ((81, 101),)}),
        info={**grown.info, "base": {"id_map": base.fingerprint, "num_ids": base.num_ids}},
    )
    manifest.write(str(root / "grown"), made)
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
    assert "the optimizer goes on from its sums" in capsys.readouterr().err
    assert run(train_ckg.main, *command) == 2
    assert "unfinished run of another configuration or input" in capsys.readouterr().err
    assert run(train_ckg.main, *command, "--warm_start", made / "old") == 0
    assert loads == [str(made / "old")]
    trained = manifest.read(str(made / "new"), manifest.CKG_MODEL)
    assert trained.inputs[manifest.CKG_MODEL] == manifest.read(str(made / "old"), manifest.CKG_MODEL).fingerprint()


def test_a_grown_graph_is_exported_and_searched(made, capsys):
    """A file of each range; one index of all users, in which the first and the last have their own ids."""
    paths = ("--ckg", made / "grown", "--output", made / "emb")
    command = ("--model", made / "old", "--format=faiss")
    assert run(export_embeddings.main, *command, *paths) == 65  # the model of the base has other ids
    model = made / "of_grown"
    assert run(train_ckg.main, "--ckg", made / "grown", "--output", model, *SMALL) == 0
    assert run(export_embeddings.main, "--model", model, "--format=faiss", *paths) == 0
    exported = manifest.read(str(made / "emb"), manifest.EMBEDDINGS)
    assert [(f.first, f.count) for f in exported.group("user")] == [(1, 40), (81, 20)]
    assert [(f.first, f.count) for f in exported.group("faiss/user")] == [(1, 60)]
    for entity_id in (40, 81, 100):
        row = similarity.vector_of(str(made / "emb"), exported, "user", entity_id)
        ((nearest, distance),), _ = similarity.nearest(str(made / "emb"), exported, "user", row, 1, "l2")
        assert (nearest, distance) == (entity_id, pytest.approx(0, abs=1e-3))


def test_wrong_models_end_the_command(made, capsys):
    command = ("--ckg", made / "grown", "--output", made / "x", *SMALL)
    assert run(train_ckg.main, *command, "--warm_start", f"{made / 'x'}/") == 2
    assert f"is --output {made / 'x'} too" in capsys.readouterr().err
    assert run(train_ckg.main, *command, "--warm_start", made / "base") == 65
    assert run(train_ckg.main, *command, "--warm_start", made / "old", "--set=encoder.layers=2") == 2
    assert "encoder.layers=0, this run has 2" in capsys.readouterr().err
    assert not (made / "x").exists()
