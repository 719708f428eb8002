import numpy as np
import pytest
import tensorflow as tf
from support.ckg_data import write_ckg

from kdcn_tf import config, files, manifest
from kdcn_tf.cli import export_embeddings, train_ckg
from kdcn_tf.data.entities import read_rows
from kdcn_tf.errors import DataError
from kdcn_tf.runs import TENSORBOARD
from kdcn_tf.training.checkpoints import load_weights
from kdcn_tf.training.cluster import InlineScheduler
from kdcn_tf.training.pretrain import Pretraining

SMALL = [
    "encoder.dim=8", "encoder.neighbors=3", "ckg.stored_neighbors=5", "pretrain.batch_size=16",
    "pretrain.chunks=2", "pretrain.negatives=8", "pretrain.epochs=12",
]  # fmt: skip


def command_line(**values):
    return [f"--{key}={value}" for key, value in {"preset": "gcn", **values}.items()] + [
        f"--set={text}" for text in SMALL
    ]


def run(command, **values):
    with pytest.raises(SystemExit) as exit_info:
        command.main(command_line(**values))
    return exit_info.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A CKG, a model trained on it by the command, and the exported embeddings."""
    root = tmp_path_factory.mktemp("pretrain")
    write_ckg(root / "ckg")
    assert run(train_ckg, ckg=root / "ckg", output=root / "model") == 0
    with pytest.raises(SystemExit) as exit_info:
        export_embeddings.main(
            [
                f"--model={root / 'model'}",
                f"--ckg={root / 'ckg'}",
                f"--output={root / 'emb'}",
                "--format=parquet,word2vec,projector,faiss",
            ]
        )
    assert exit_info.value.code == 0
    return root


def test_it_learns_the_groups(trained):
    # 80 entities: a random ranking has an expected MRR of H(80)/80 = 0.062. Right group only: H(10)/10 = 0.29,
    # less for the known triples that are taken out of the ranking.
    found = manifest.read(str(trained / "model"), manifest.CKG_MODEL)
    assert found.info["metrics"]["test"]["mrr"] > 0.15
    losses = [figures["loss"] for figures in found.info["history"]]
    assert losses[-1] < 0.7 * losses[0]


def test_so_does_preset_default(trained, tmp_path):
    """Without a GCN layer, by softmax on both sides, reciprocal relations with a scale, and a penalty."""
    assert run(train_ckg, ckg=trained / "ckg", output=tmp_path / "model", preset="default") == 0
    found = manifest.read(str(tmp_path / "model"), manifest.CKG_MODEL)
    assert found.info["metrics"]["test"]["mrr"] > 0.15
    assert found.info["history"][-1]["neighbor_rows_per_step"] == 0


def test_the_history_says_how_entities_spread(trained):
    history = manifest.read(str(trained / "model"), manifest.CKG_MODEL).info["history"]
    assert all(0.5 < figures["spread"] < 2 for figures in history)
    assert all(0 < figures["violations"] < 1 for figures in history)
    assert all(figures["bytes_per_step"] == 0 for figures in history)  # one process
    # 16 positives and 2 chunks of 8 negatives touch at most 48 entities, with 3 neighbours each, and 2 relations.
    assert 10 < history[-1]["table_rows_per_step"] <= 48 * 4 + 2
    assert list((trained / "model" / TENSORBOARD).glob("events.*"))


def test_export_is_the_encoder_output(trained):
    model = manifest.read(str(trained / "model"), manifest.CKG_MODEL)
    ckg = manifest.read(str(trained / "ckg"), manifest.CKG)
    run_ = Pretraining(InlineScheduler(), config.from_dict(model.config), ckg, str(trained / "ckg"))
    load_weights(run_.model, str(trained / "model"))
    run_.load_graph()
    emb = manifest.read(str(trained / "emb"), manifest.EMBEDDINGS)
    (first, rows), *_ = read_rows(str(trained / "emb"), emb, "item")
    assert first == 41
    np.testing.assert_array_equal(rows, np.concatenate(list(run_.encoded(41, 81))))
    # Row 3 by the definition, not by the code under test: x_i + (sum_j w_ij x_j) W.
    table, kernel = run_.model.entity_table.numpy(), run_.model.graph_layers[0].kernel.numpy()
    node = tf.constant([44], tf.int64)
    around = run_._graph.neighbors(node).numpy()[0]
    around = around[around > 0]
    ids = tf.concat([node, around], axis=0)
    degree, *others = run_._graph.with_degrees(run_.model.entity_table, ids, tf.float32)[1].numpy()
    weights = degree / len(around) / np.sqrt(degree * np.array(others))
    np.testing.assert_allclose(rows[3], table[44] + weights @ table[around] @ kernel, atol=1e-5)


def test_surrounded_vectors_have_the_plain_ones_first(trained):
    paths = [
        f"--{name}={trained / folder}" for name, folder in (("model", "model"), ("ckg", "ckg"), ("output", "both"))
    ]
    with pytest.raises(SystemExit) as exit_info:
        export_embeddings.main([*paths, "--vectors=surrounded", "--types=item"])
    assert exit_info.value.code == 0
    plain, both = (manifest.read(str(trained / name), manifest.EMBEDDINGS) for name in ("emb", "both"))
    assert (both.number("dim"), both.info["vectors"]) == (2 * plain.number("dim"), "surrounded")
    (_, rows), (_, wide) = (
        next(iter(read_rows(str(trained / n), m, "item"))) for n, m in (("emb", plain), ("both", both))
    )
    np.testing.assert_allclose(wide[:, : plain.number("dim")], rows, atol=1e-6)
    assert np.all(np.linalg.norm(wide[:, plain.number("dim") :], axis=1) > 0)


def test_shorter_vectors_are_the_principal_components(trained):
    paths = [
        f"--{name}={trained / folder}" for name, folder in (("model", "model"), ("ckg", "ckg"), ("output", "short"))
    ]
    with pytest.raises(SystemExit) as exit_info:
        export_embeddings.main([*paths, "--dim=3"])
    assert exit_info.value.code == 0
    whole, short = (manifest.read(str(trained / name), manifest.EMBEDDINGS) for name in ("emb", "short"))
    assert (short.number("dim"), config.from_dict(short.config).encoder.export_dim) == (3, 3)
    centered = {}
    for name, found in (("emb", whole), ("short", short)):
        rows = [np.concatenate([b for _, b in read_rows(str(trained / name), found, t)]) for t in ("user", "item")]
        assert len(rows[0]) == len(rows[1])  # so that the types count the same without weights
        centered[name] = np.concatenate([r - r.mean(axis=0) for r in rows])
    left, sizes, _ = np.linalg.svd(centered["emb"], full_matrices=False)
    kept = left[:, :3] * sizes[:3]  # products of vectors don't depend on how they are turned
    np.testing.assert_allclose(centered["short"] @ centered["short"].T, kept @ kept.T, atol=1e-4)


def test_parquet_has_the_keys(trained):
    import pyarrow.parquet as pq

    found = pq.read_table(trained / "emb" / "item-00000-of-00001.parquet").to_pydict()
    rows = np.load(trained / "emb" / "item-00000-of-00001.npy")
    assert found["key"][:2] == ["item0", "item1"]
    assert found["id"][:2] == [41, 42]
    np.testing.assert_allclose(found["vector"], rows)


def test_every_format_is_in_the_manifest(trained):
    found = manifest.read(str(trained / "emb"), manifest.EMBEDDINGS, check_digests=True)
    of_types = {f"{kind}{name}" for kind in ("", "parquet/", "word2vec/", "faiss/") for name in ("user", "item")}
    assert set(found.files) == of_types | {"projector"}
    listed = {entry.name for group in found.files.values() for entry in group}
    assert listed == set(files.names_below(str(trained / "emb"))) - {manifest.MANIFEST, manifest.CONFIG_FILE}
    metadata = (trained / "emb" / "projector" / "metadata.tsv").read_text().splitlines()
    assert metadata[:2] + metadata[-1:] == ["key\ttype", "user0\tuser", "item39\titem"]


def test_a_finished_run_is_not_overwritten(trained, capsys):
    assert run(train_ckg, ckg=trained / "ckg", output=trained / "model") == 2
    assert "not empty" in capsys.readouterr().err


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    write_ckg(tmp_path / "ckg")
    calls = []
    train = Pretraining._train_file

    def stops_in_epoch_3(self, path, seed):
        calls.append(path)
        tf.debugging.Assert(seed[0] < 2, ["interrupted"])
        return train(self, path, seed)

    monkeypatch.setattr(Pretraining, "_train_file", stops_in_epoch_3)
    assert run(train_ckg, ckg=tmp_path / "ckg", output=tmp_path / "model") == DataError.exit_code
    assert calls
    monkeypatch.undo()
    assert run(train_ckg, ckg=tmp_path / "ckg", output=tmp_path / "model") == 0
    found = manifest.read(str(tmp_path / "model"), manifest.CKG_MODEL)
    assert [figures["epoch"] for figures in found.info["history"]] == list(range(12))
    with pytest.raises(SystemExit) as exit_info:
        train_ckg.main([*command_line(ckg=tmp_path / "ckg", output=tmp_path / "model"), "--overwrite"])
    assert exit_info.value.code == 0
    assert len(list((tmp_path / "model" / TENSORBOARD).glob("events.*"))) == 1


def test_a_changed_ckg_file_is_refused(tmp_path, capsys):
    write_ckg(tmp_path / "ckg")
    with (tmp_path / "ckg" / "train-0.tfrecord").open("ab") as stream:
        stream.write(b"x")
    assert run(train_ckg, ckg=tmp_path / "ckg", output=tmp_path / "model") == 65
    assert "train-0.tfrecord" in capsys.readouterr().err


def test_paper_preset_is_equations_1_to_3():
    paper = config.resolve("paper")
    assert (paper.encoder.activation, paper.encoder.residual, paper.pretrain.loss) == ("sigmoid", False, "margin")
    assert (paper.pretrain.optimizer, paper.pretrain.learning_rate) == ("adam", 1e-4)
