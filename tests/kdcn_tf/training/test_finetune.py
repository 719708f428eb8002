import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from support.ctr_data import ID_MAP, RANGES, write_ctr, write_embeddings

from kdcn_tf import config, files, manifest, records
from kdcn_tf.cli import train_kdcn
from kdcn_tf.config import from_dict
from kdcn_tf.data.ctr import read_all
from kdcn_tf.models.networks import build_model
from kdcn_tf.runs import BEST
from kdcn_tf.training.checkpoints import load_weights
from kdcn_tf.training.cluster import InlineScheduler
from kdcn_tf.training.finetune import Finetuning, load_model

DIM = 8
SMALL = ["kdcn.filters=4", "kdcn.heads=2", "kdcn.cross_layers=2", "kdcn.deep_units=[16]", "kdcn.match_dim=8",
         "kdcn.knowledge_scale=1", "finetune.batch_size=32", "finetune.learning_rate=0.01",
         "finetune.entity_learning_rate=0.05", "finetune.patience=20"]  # fmt: skip


def run(capsys, *flags, **values):
    with pytest.raises(SystemExit) as exit_info:
        train_kdcn.main([*flags, *(f"--{k}={v}" for k, v in values.items()), *(f"--set={text}" for text in SMALL)])
    return exit_info.value.code, capsys.readouterr().err


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    directory = tmp_path_factory.mktemp("finetune") / "ctr"
    write_ctr(directory, per_file=400)
    return directory


@pytest.mark.parametrize("standardize", ["true", "false"], ids=["standardised", "as exported"])
def test_pretrained_vectors_arrive_in_the_model(ctr, tmp_path, capsys, standardize):
    embeddings = write_embeddings(tmp_path / "emb")
    code, err = run(
        capsys, "--set=kdcn.freeze_entities=true", f"--set=kdcn.standardize_entities={standardize}",
        "--set=finetune.epochs=1",
        ctr=ctr, embeddings=embeddings, output=tmp_path / "model",
    )  # fmt: skip
    assert code == 0, err
    model, _ = load_model(str(tmp_path / "model"))
    for name in ("user", "item", "keyword"):
        first, last = RANGES[name]
        ids = tf.range(first, last, dtype=tf.int64)
        vectors = tf.gather(model.entities.table, model.entities.rows_of(ids))
        expected = np.arange(first, last)[:, None] + np.arange(DIM) / 8
        if standardize == "true":  # over both files of the type
            expected = (expected - expected.mean(axis=0)) / expected.std(axis=0)
        np.testing.assert_allclose(vectors, expected, rtol=1e-5)


@pytest.mark.parametrize("shown", ["normalize", "standardize", "as exported"])
def test_similarities_know_what_all_of_a_type_share(ctr, tmp_path, capsys, shown):
    code, err = run(
        capsys, *(f"--set=kdcn.{way}_entities={way == shown}" for way in ("normalize", "standardize")),
        "--set=finetune.epochs=1",
        ctr=ctr, embeddings=write_embeddings(tmp_path / "emb"), output=tmp_path / "model",
    )  # fmt: skip
    assert code == 0, err
    similarities = load_model(str(tmp_path / "model"))[0].similarities
    columns = np.arange(DIM) / 8
    for name in ("user", "item", "keyword"):
        first, last = RANGES[name]
        mean = columns + (first + last - 1) / 2
        if shown == "normalize":  # all rows are the same then
            mean = (columns - columns.mean()) / columns.std()
        elif shown == "standardize":
            mean = np.zeros(DIM)
        places = [place for place, of in enumerate(similarities.types) if of == name]
        assert places
        expected = np.tile(mean, (len(places), 1))
        np.testing.assert_allclose(similarities.centers.numpy()[places], expected, rtol=1e-4, atol=1e-5)


def test_it_learns_and_its_weights_survive_the_file(ctr, tmp_path, capsys):
    code, err = run(capsys, "--set=kdcn.pretrained=false", "--set=kdcn.dim=8", "--set=finetune.epochs=20",
                    ctr=ctr, output=tmp_path / "model")  # fmt: skip
    assert code == 0, err
    found = manifest.read(str(tmp_path / "model"), manifest.KDCN_MODEL)
    history = found.info["history"]
    # The label's best AUC is 0.85 (0.8 against 0.1 click rate by parity); chance is 0.5.
    assert max(figures["valid_auc"] for figures in history) > 0.6
    assert history[-1]["loss"] < history[0]["loss"]
    model, described = load_model(str(tmp_path / "model"))
    again, _ = load_model(str(tmp_path / "model"))
    assert described.info["behaviors"] == ["click", "cart", "favorite", "purchase"]
    for weight, other in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(weight, other)
    load_weights(again, str(tmp_path / "model" / BEST))
    np.testing.assert_array_equal(again.entities.table, model.entities.table)


def test_another_network_learns_all_its_tables(ctr, tmp_path, capsys):
    code, err = run(
        capsys, "--set=kdcn.network=wide_deep", "--set=kdcn.pretrained=false", "--set=kdcn.dim=4",
        "--set=finetune.epochs=5", ctr=ctr, output=tmp_path / "model",
    )  # fmt: skip
    assert code == 0, err
    model, found = load_model(str(tmp_path / "model"))
    history = found.info["history"]
    assert history[-1]["loss"] < 0.95 * history[0]["loss"]
    fresh = build_model(from_dict(found.config), found)
    for old, new in zip(fresh.tables, model.tables, strict=True):
        moved = np.any(old.numpy() != new.numpy(), axis=1)
        assert moved.any()
        assert not moved[0]  # padding


def test_tables_are_trained_at_their_own_rates(ctr):
    """Adam's first step moves a weight by the learning rate: a pretrained table's is another."""
    for pretrained, rates in (("true", {"entities": 0.05, "categories": 0.01}), ("false", {"entities": 0.01})):
        sets = ["kdcn.dim=8", *SMALL, f"kdcn.pretrained={pretrained}", "finetune.batch_size=800"]
        started = Finetuning(InlineScheduler(), config.resolve(assignments=sets), *described_of(ctr))
        tables = {"entities": started.model.entities.table, "categories": started.model.categories.embedding.table}
        before = {name: table.numpy() for name, table in tables.items()}
        started.train_file(started.path_of("train-0.tfrecord"), [1, 2])
        for name, rate in rates.items():
            assert np.abs(tables[name].numpy() - before[name]).max() == pytest.approx(rate, rel=0.02)


def test_the_penalty_pulls_every_kernel_and_nothing_else(ctr):
    """Beside a huge one the loss has no say: Adam's first step moves each number by its rate, towards zero."""
    sets = ["kdcn.dim=8", *SMALL, "finetune.batch_size=800", "finetune.l2=1e9", "kdcn.dropout=0"]
    started = Finetuning(InlineScheduler(), config.resolve(assignments=sets), *described_of(ctr))
    tables = {id(table) for table in started.model.tables}
    weights = [weight for weight in started.model.trainable_weights if id(weight) not in tables]
    before = [weight.numpy() for weight in weights]
    started.train_file(started.path_of("train-0.tfrecord"), [1, 2])
    pulled = {
        weight.name: np.allclose(weight.numpy(), old - 0.01 * np.sign(old), atol=1e-5)
        for weight, old in zip(weights, before, strict=True)
    }
    assert {len(old.shape) for old in before} == {1, 2, 3}
    assert pulled == {weight.name: len(old.shape) > 1 for weight, old in zip(weights, before, strict=True)}


@pytest.mark.parametrize(
    ("sets", "share"),
    [
        (["finetune.warmup=4"], 1 / 4),
        (["finetune.decay=linear", "finetune.epochs=2"], 1),
        (["finetune.decay=linear", "finetune.epochs=2", "finetune.warmup=2"], 1 / 2),
    ],
    ids=["warm-up", "decay", "both"],
)
def test_all_rates_begin_as_the_run_says(ctr, sets, share):
    sets = ["kdcn.dim=8", *SMALL, "finetune.batch_size=800", *sets]
    started = Finetuning(InlineScheduler(), config.resolve(assignments=sets), *described_of(ctr))
    tables = {0.05: started.model.entities.table, 0.01: started.model.categories.embedding.table}
    before = {rate: table.numpy() for rate, table in tables.items()}
    started.train_file(started.path_of("train-0.tfrecord"), [1, 2])
    for rate, table in tables.items():
        assert np.abs(table.numpy() - before[rate]).max() == pytest.approx(rate * share, rel=0.02)


def described_of(ctr):
    return manifest.read(str(ctr), manifest.CTR), str(ctr)


def test_embeddings_of_other_ids_are_refused(ctr, tmp_path, capsys):
    embeddings = write_embeddings(tmp_path / "emb", dataclasses.replace(ID_MAP, fingerprint="other-ids"))
    code, err = run(capsys, ctr=ctr, embeddings=embeddings, output=tmp_path / "model")
    assert code == 65
    assert "other-ids" in err
    assert "tiny-ids" in err


def test_embeddings_cut_short_are_refused(ctr, tmp_path, capsys):
    embeddings = write_embeddings(tmp_path / "emb")
    entry = manifest.read(str(embeddings), manifest.EMBEDDINGS).group("item")[0]
    path = files.join(str(embeddings), entry.name)
    files.write_atomic(path, files.read_bytes(path)[:-1])
    code, err = run(capsys, ctr=ctr, embeddings=embeddings, output=tmp_path / "model")
    assert code == 65
    assert entry.name in err


def test_pretrained_needs_embeddings(ctr, tmp_path, capsys):
    code, err = run(capsys, ctr=ctr, output=tmp_path / "model")
    assert code == 2
    assert "--embeddings" in err


def test_a_corrupt_example_file_is_named(tmp_path, capsys):
    write_ctr(tmp_path / "ctr", per_file=50)
    path = tmp_path / "ctr" / "train-1.tfrecord"
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF  # same size, so that only TFRecord's own checksum can tell
    path.write_bytes(bytes(content))
    code, err = run(capsys, "--set=kdcn.pretrained=false", "--set=kdcn.dim=8", ctr=tmp_path / "ctr",
                    output=tmp_path / "model")  # fmt: skip
    assert code == 65
    assert "train-1.tfrecord" in err


def test_predictions_keep_the_order_of_the_files(ctr, tmp_path, capsys):
    described, _ = described_of(ctr)
    settings = config.resolve(assignments=["kdcn.dim=8", "kdcn.pretrained=false", *SMALL])
    found = Finetuning(InlineScheduler(), settings, described, str(ctr)).predict("train")
    raw = read_all(str(ctr), described, "train")
    for key in (records.LABEL, records.SESSION, records.SOURCE):
        np.testing.assert_array_equal(found[key], raw[key])
    assert found["logits"].shape == (800,)
