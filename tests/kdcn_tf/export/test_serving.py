import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support import ctr_data
from support.click_models import randomized

from kdcn_tf import config, manifest, options, records
from kdcn_tf.data import ctr as ctr_files
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.export import golden, serving
from kdcn_tf.export.signatures import PREDICT, RANK, SERVING_DEFAULT
from kdcn_tf.models.networks import build_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model with random weights and its export: weights don't matter to what is tested here."""
    root = tmp_path_factory.mktemp("serving")
    ctr, graph = ctr_data.write_ctr(root / "ctr", per_file=40), ctr_data.write_keys(root / "ckg")
    resolved = config.resolve("default", None, None, ["kdcn.dim=8", "kdcn.filters=4", "kdcn.deep_units=[6]"])
    model = build_model(resolved, ctr)
    trained = manifest.Manifest(
        manifest.KDCN_MODEL, id_map=ctr.id_map, config=options.to_dict(resolved), info={**ctr.info, "history": []}
    )
    parts = {
        "model": model, "trained": trained, "ctr_directory": str(root / "ctr"), "ctr": ctr,
        "ckg_directory": str(root / "ckg"), "graph": graph, "directory": str(root / "served"),
    }  # fmt: skip
    return parts, serving.export(**parts)


def _strings(*values: str) -> tf.Tensor:
    return tf.constant([list(values)])


def _request(rows: int = 1, context_rows: int | None = None) -> dict[str, tf.Tensor]:
    key, shared = ctr_data.key_of, rows if context_rows is None else context_rows
    request = {
        records.USER_ID: tf.repeat([key("user", 3)], shared),
        records.QUERY_KEYWORDS: tf.repeat(_strings(key("keyword", 81), key("keyword", 82)), shared, 0),
        records.ITEM_ID: tf.repeat([key("item", 31)], rows),
        records.TITLE_KEYWORDS: tf.repeat(_strings(key("keyword", 90)), rows, 0),
        records.CATEGORIES: tf.repeat(_strings(key("category", 71)), rows, 0),
        records.DENSE: tf.repeat([[5.0, float("nan")]], rows, 0),
    }
    for kind in ctr_data.BEHAVIORS:
        request[records.behavior_key(kind)] = tf.repeat(_strings(key("item", 40), key("item", 41)), shared, 0)
    return request


def _logits(path: str, name: str, request: dict) -> np.ndarray:
    return tf.saved_model.load(path).signatures[name](**request)["logits"].numpy()


def test_version_is_complete_and_described(exported):
    parts, path = exported
    assert path.endswith("/1")
    assert serving.latest(parts["directory"]) == path == serving.latest(path)
    assert sorted(p.name for p in Path(parts["directory"]).iterdir()) == ["1"]
    described = manifest.read(path, manifest.SERVING, check_digests=True)
    assert "assets.extra/tf_serving_warmup_requests" in [f.name for f in described.group("saved_model")]
    assert "assets.extra/model_card.md" in [f.name for f in described.group("saved_model")]
    card = json.loads(Path(path, "assets.extra/model_card.json").read_text())
    assert (card["version"], card["splits"]["train"]["impressions"]) == (1, 80)
    assert described.info["dense"]["names"] == ["price", "sales"]
    assert config.resolve(config_file=f"{path}/config.yaml") == config.from_dict(described.config)


def test_another_network_is_served_too(exported, tmp_path):
    """The export is proven on held-out requests before it returns."""
    parts, _ = exported
    options_of = ["kdcn.dim=8", "kdcn.network=wide_deep", "kdcn.deep_units=[6]", "kdcn.wide_buckets=50"]
    resolved = config.resolve(assignments=options_of)
    model = randomized(build_model(resolved, parts["ctr"]))
    trained = dataclasses.replace(parts["trained"], config=options.to_dict(resolved))
    path = serving.export(**{**parts, "model": model, "trained": trained, "directory": str(tmp_path)})
    ranked = _logits(path, RANK, _request(3, context_rows=1))
    np.testing.assert_allclose(ranked, _logits(path, PREDICT, _request(3)), atol=1e-5)


def test_next_version_gets_the_next_number_and_an_existing_one_is_refused(exported, tmp_path):
    parts, _ = exported
    parts = {**parts, "directory": str(tmp_path)}
    (tmp_path / "7").mkdir()
    with pytest.raises(ConfigError, match=r"7: this version exists"):
        serving.export(**parts, version=7)
    assert serving.export(**parts).endswith("/8")


def test_other_ids_are_refused(exported):
    parts, _ = exported
    other = ctr_data.ID_MAP.__class__(ctr_data.RANGES, ("has",), "other-ids")
    foreign = manifest.Manifest(manifest.CKG, parts["graph"].files, id_map=other)
    with pytest.raises(DataError, match=r"tiny-ids.*other-ids"):
        serving.export(**{**parts, "graph": foreign})


def test_export_whose_strings_lead_to_other_rows_is_refused(exported):
    parts, path = exported
    spec = parts["model"].spec
    first = next(iter(ctr_files.batches_of(parts["ctr_directory"], parts["ctr"], "test", 16)))
    batch = {k: v.numpy() for k, v in first.items()}
    names = golden.keys_of(parts["ckg_directory"], parts["graph"], golden.wanted_ids(batch, spec))
    request = golden.to_request(batch, spec, names)
    assert golden.check(path, parts["model"], batch, request) < 1e-5
    request[records.ITEM_ID] = request[records.ITEM_ID][::-1].copy()
    with pytest.raises(DataError, match="signature 'predict' differs"):
        golden.check(path, parts["model"], batch, request)


def test_requests_hold_only_what_is_known_when_serving(exported):
    parts, path = exported
    signatures = tf.saved_model.load(path).signatures
    for name in (PREDICT, RANK):
        assert set(signatures[name].structured_input_signature[1]) == set(_request())
    first = next(iter(ctr_files.batches_of(parts["ctr_directory"], parts["ctr"], "test", 16)))
    batch = {k: v.numpy() for k, v in first.items()}
    assert {records.POSITION, records.SESSION, records.SOURCE} < set(batch)
    request = golden.to_request(batch, parts["model"].spec, {})
    assert set(request) == set(_request())
    assert all(set(records.decode(example)) <= set(_request()) for example in golden.to_examples(request))


def test_failed_export_leaves_nothing_behind(exported, tmp_path):
    parts, _ = exported
    keys = tmp_path / "ckg"
    graph = ctr_data.write_keys(keys)
    (keys / "item-31.txt").write_text("one key\n")
    with pytest.raises(DataError, match=r"item-31.txt: its content is not what"):
        serving.export(**{**parts, "graph": graph, "ckg_directory": str(keys), "directory": str(tmp_path / "served")})
    assert list((tmp_path / "served").iterdir()) == []


def test_rank_of_many_equals_predict_of_each(exported):
    _, path = exported
    many = _request(rows=3, context_rows=1)
    many[records.ITEM_ID] = tf.constant([ctr_data.key_of("item", i) for i in (31, 35, 60)])
    each = []
    for item in many[records.ITEM_ID]:
        each.append(_logits(path, PREDICT, {**_request(), records.ITEM_ID: item[None]})[0])
    np.testing.assert_allclose(_logits(path, RANK, many), each, atol=1e-5)
    assert len(set(np.round(each, 6))) == 3


def test_no_rows_have_no_scores(exported):
    _, path = exported
    assert _logits(path, PREDICT, _request(0)).shape == (0,)
    assert _logits(path, RANK, _request(0, context_rows=1)).shape == (0,)
    assert _logits(path, SERVING_DEFAULT, {"examples": tf.zeros([0], tf.string)}).shape == (0,)


def test_unknown_strings_and_padding(exported):
    _, path = exported
    base = _logits(path, PREDICT, _request())
    key = ctr_data.key_of
    # Unknown keywords are left out, "" is padding, and neither changes the score.
    padded = {
        **_request(),
        records.QUERY_KEYWORDS: _strings("", "never seen", key("keyword", 81), "", key("keyword", 82)),
    }
    np.testing.assert_allclose(_logits(path, PREDICT, padded), base, atol=1e-6)
    # All unknown users share a row, which isn't that of a known one.
    unknown = [_logits(path, PREDICT, {**_request(), records.USER_ID: tf.constant([u])})[0] for u in ("", "nobody")]
    assert unknown[0] == unknown[1] != base[0]
    # More than L behaviours: only the first L count.
    ids = [key("item", 40 + i) for i in range(7)]
    click = records.behavior_key("click")
    cut = [_logits(path, PREDICT, {**_request(), click: _strings(*part)}) for part in (ids, ids[:5], ids[:4])]
    np.testing.assert_allclose(cut[0], cut[1], atol=1e-6)
    assert abs(cut[1] - cut[2]) > 1e-6


def test_serialized_example_may_leave_out_everything_but_the_item(exported):
    _, path = exported
    bare = records.encode(texts={records.ITEM_ID: [ctr_data.key_of("item", 31).encode()]})
    found = tf.saved_model.load(path).signatures[SERVING_DEFAULT](examples=tf.constant([bare]))
    assert np.isfinite(found["logits"].numpy()).all()
    np.testing.assert_allclose(found["probabilities"], 1 / (1 + np.exp(-found["logits"].numpy())), rtol=1e-6)


def test_saved_model_cli_shows_the_signatures(exported):
    _, path = exported
    command = [sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "show", "--dir", path, "--all"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert shown.returncode == 0, shown.stderr
    for name in (SERVING_DEFAULT, PREDICT, RANK):
        assert f"signature_def['{name}']" in shown.stdout
    assert "inputs['behavior_purchase'] tensor_info" in shown.stdout


def test_scores_where_this_package_is_not_imported(exported):
    _, path = exported
    script = (
        "import sys, tensorflow as tf; model = tf.saved_model.load(sys.argv[1]); assert 'kdcn_tf' not in sys.modules;"
        "print(model.signatures['serving_default'](examples=tf.constant([bytes.fromhex(sys.argv[2])]))['logits'][0])"
    )
    bare = records.encode(texts={records.ITEM_ID: [b"item"]})
    done = subprocess.run([sys.executable, "-c", script, path, bare.hex()], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tf.Tensor(")


def test_warmup_requests_parse_and_score(exported):
    prediction_log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    _, path = exported
    logs = [
        prediction_log.PredictionLog.FromString(r.numpy())
        for r in tf.data.TFRecordDataset(f"{path}/assets.extra/tf_serving_warmup_requests")
    ]
    signatures = tf.saved_model.load(path).signatures
    for log in logs:
        request = log.predict_log.request
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        assert set(inputs) == set(_request())
        assert len(signatures[request.model_spec.signature_name](**inputs)["logits"]) == 32
    assert [log.predict_log.request.model_spec.signature_name for log in logs] == [PREDICT, RANK]
