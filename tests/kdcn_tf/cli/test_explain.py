import json
import re

import numpy as np
import pytest
import tensorflow as tf
from support import libraries
from support.ctr_data import BEHAVIORS, key_of, write_ctr, write_keys
from support.outline import Outline
from support.raw_logs import run
from support.served import write_model

from kdcn_tf import ckg, keys, manifest, records
from kdcn_tf.cli import evaluate, explain
from kdcn_tf.data.ctr import read_all
from kdcn_tf.export import explanation

SESSION = keys.session_number("c7")


def bare_example(session: int, item: int, label: float) -> bytes:
    """No behaviour, keyword or category, an unknown user, and statistics of which one is missing."""
    lists = [*map(records.behavior_key, BEHAVIORS), records.QUERY_KEYWORDS, records.TITLE_KEYWORDS, records.CATEGORIES]
    ints = {**{key: [] for key in lists}, records.USER: [records.OOV_ID], records.ITEM: [item],
            records.SESSION: [session], records.TIMESTAMP: [2500]}  # fmt: skip
    floats = {records.LABEL: [label], records.WEIGHT: [1.0], records.DENSE: [float("nan"), 3.0]}
    return records.encode(ints, floats, {records.SOURCE: [b"shop"]})


def write_bare(directory, described: manifest.Manifest) -> None:
    """Puts a test split of four bare impressions of session c7 into a dataset."""
    with tf.io.TFRecordWriter(str(directory / "bare.tfrecord")) as writer:
        for item in (31, 32, records.OOV_ID, 70):
            writer.write(bare_example(SESSION, item, float(item == 32)))
    entry = manifest.describe_file(str(directory), "bare.tfrecord", 4)
    groups = {**described.files, "test": (entry,)}
    manifest.write(
        str(directory), manifest.Manifest(manifest.CTR, groups, id_map=described.id_map, info=described.info)
    )


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Folders ctr, bare (whose test impressions are empty), ckg, model, and plain: a model without dialogue."""
    root = tmp_path_factory.mktemp("explain")
    ctr = write_ctr(root / "ctr", per_file=20)
    write_bare(root / "bare", write_ctr(root / "bare", per_file=20))
    write_keys(root / "ckg")
    write_model(root / "model", ctr)
    write_model(root / "plain", ctr, "kdcn.dialogue=false")
    return root


def arguments(root, *more, ctr="ctr", model="model") -> list[str]:
    return [f"--model={root}/{model}", f"--ctr={root}/{ctr}", f"--ckg={root}/ckg", *more]


def test_a_row_is_explained_with_names(chain, tmp_path, capsys):
    examples = read_all(str(chain / "ctr"), manifest.read(str(chain / "ctr"), manifest.CTR), "test")
    both = (examples[records.QUERY_KEYWORDS][:, 1] > 0) & (examples[records.TITLE_KEYWORDS][:, 0] > 0)
    row = int(np.flatnonzero(both & (examples[records.QUERY_KEYWORDS][:, 2] == 0))[0])
    assert run(explain.main, *arguments(chain, f"--row={row}", f"--output={tmp_path}/out")) == 0
    body = json.loads((tmp_path / "out" / explain.JSON_FILE).read_text())
    query = [key_of("keyword", i) for i in examples[records.QUERY_KEYWORDS][row, :2]]
    title = [key_of("keyword", i) for i in examples[records.TITLE_KEYWORDS][row] if i]
    assert (body["query"], body["title"]) == (query, title)
    assert (body["user"], body["candidate"]) == (
        key_of("user", examples[records.USER][row]), key_of("item", examples[records.ITEM][row]))  # fmt: skip
    assert body["clicked"] == bool(examples[records.LABEL][row])
    assert body["probability"] == pytest.approx(1 / (1 + np.exp(-body["logit"])))
    words = body["attention"]["keywords"]
    assert [(word["of"], word["text"]) for word in words] == [
        *(("query", text) for text in query), *(("title", text) for text in title)]  # fmt: skip
    heads = np.array(body["attention"]["heads"])
    assert heads.shape == (2, len(words), len(words))
    np.testing.assert_allclose(heads.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(body["attention"]["mean"], heads.mean(axis=0), atol=2e-6)
    assert len(body["changes"]) == 8 + len(BEHAVIORS) + 1  # u, d, user, item, query, title, categories, dense; all

    shown = capsys.readouterr().out
    assert f"click probability {body['probability']:.4f}" in shown
    largest = body["changes"][0]
    assert f"{largest['label']}  " in shown
    assert f"{largest['change']:+.3f}" in shown
    assert f"{query[0]} (query) <- " in shown
    page = (tmp_path / "out" / explain.HTML_FILE).read_text()
    outline = Outline(page)
    assert [text for text in outline.texts if text.startswith(("Mean", "Head "))] == [
        "Mean of the heads", "Head 1", "Head 2"]  # fmt: skip
    assert all(outline.texts.count(f"{word['text']} ({word['of']})") >= 2 * 3 for word in words)  # a row and a column
    assert all(word in page for word in (*query, *title))
    assert outline.links == ["#part-1", "#part-2", "#part-3"]
    assert "http" not in page.replace("http-equiv", "")
    made = manifest.read(str(tmp_path / "out"), manifest.EXPLANATION, check_digests=True)
    assert made.inputs[manifest.KDCN_MODEL] == manifest.read(f"{chain}/model", manifest.KDCN_MODEL).fingerprint()


def test_a_session_of_bare_impressions_has_finite_scores(chain, tmp_path, capsys):
    more = ("--session=c7", f"--output={tmp_path}/out")
    assert run(explain.main, *arguments(chain, *more, ctr="bare")) == 0
    body = json.loads((tmp_path / "out" / explain.JSON_FILE).read_text())
    probabilities = {row["row"]: row["probability"] for row in body["session"]}
    assert list(probabilities) == [0, 1, 2, 3]
    assert (
        body["probability"] == pytest.approx(max(probabilities.values())) == pytest.approx(probabilities[body["row"]])
    )
    assert (body["user"], body["statistics"]) == ("(unknown)", {"price": None, "sales": 3.0})
    silent = {row["group"]: row["change"] for row in body["changes"] if row["group"] not in ("item", records.DENSE)}
    assert silent == pytest.approx(dict.fromkeys(silent, 0.0), abs=1e-6)
    shown = capsys.readouterr().out
    assert explanation.NO_KEYWORDS in shown
    assert "c7" not in shown
    assert "price missing" in shown


def test_bare_impressions_are_judged(chain, tmp_path):
    more = (f"--model=plain={chain}/plain", "--slices=all", f"--output={tmp_path}/out")
    assert run(evaluate.main, f"--ctr={chain}/bare", *more) == 0
    found = json.loads((tmp_path / "out" / evaluate.METRICS_FILE).read_text())
    assert all(np.isfinite(figure) for figure in found["sources"]["all"]["plain"].values())
    assert list(found["slices"]["user_frequency"]) == ["unknown"]
    assert list(found["slices"]["category"]) == ["none"]


def test_a_model_without_dialogue_says_so(chain, capsys):
    assert run(explain.main, *arguments(chain, "--row=3", model="plain")) == 0
    assert explanation.NO_ATTENTION in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--row=20"], 2, "--row 20: split 'test' has 20 rows, counted from 0"),
        ([], 2, "--row: is required, or --session"),
        (["--row=1", "--session=c7"], 2, "--row: is required, or --session; not both"),
        (["--session=c8"], 2, "split 'test' has no impression of this session"),
        (["--session=c\x01"], 2, "--session: has a control character"),
        (["--row=1", "--split=future"], 2, "--split"),
    ],
)
def test_what_cannot_be_explained(chain, capsys, more, code, message):
    assert run(explain.main, *arguments(chain, *more)) == code
    assert message in capsys.readouterr().err


def test_other_ids_are_refused_with_both_fingerprints(chain, tmp_path, capsys):
    write_keys(tmp_path / "ckg")
    graph = manifest.read(str(tmp_path / "ckg"), manifest.CKG)
    other = manifest.Manifest(manifest.CKG, graph.files, id_map=ckg.IdMap(graph.id_map.ranges, ("has",), "other-ids"))
    manifest.write(str(tmp_path / "ckg"), other)
    assert run(explain.main, *arguments(chain, "--row=1", f"--ckg={tmp_path}/ckg")) == 65
    assert "id map tiny-ids, the ckg dataset has id map other-ids" in capsys.readouterr().err


def test_without_jinja2_the_extra_is_named_before_the_model_is_loaded(chain, tmp_path, capsys, monkeypatch):
    libraries.hide(monkeypatch, "jinja2")
    with monkeypatch.context() as patched:
        patched.setattr("kdcn_tf.training.finetune.load_model", lambda _: pytest.fail("the model was loaded"))
        assert run(explain.main, *arguments(chain, "--row=3", f"--output={tmp_path}/out")) == 2
    shown = capsys.readouterr()
    assert re.search(r"reports need jinja2 .*: pip install 'kdcn-tf\[reports\]'", shown.err)
    assert shown.out == ""
    assert not (tmp_path / "out").exists()
    assert run(explain.main, *arguments(chain, "--row=3")) == 0
    assert "click probability" in capsys.readouterr().out


def test_an_output_that_is_not_empty_is_refused_before_the_model_is_loaded(chain, tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr("kdcn_tf.training.finetune.load_model", lambda _: pytest.fail("the model was loaded"))
    assert run(explain.main, *arguments(chain, "--row=3", f"--output={tmp_path}")) == 2
    assert "not empty; name a fresh directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_cannot_be_explained_leaves_no_output(chain, tmp_path):
    assert run(explain.main, *arguments(chain, "--row=1000000", f"--output={tmp_path}/out")) == 2
    assert not list((tmp_path / "out").iterdir())


def test_the_page_needs_no_matplotlib(chain, tmp_path, monkeypatch):
    libraries.hide(monkeypatch, "matplotlib")
    assert run(explain.main, *arguments(chain, "--row=3", f"--output={tmp_path}/out")) == 0
    assert (tmp_path / "out" / explain.HTML_FILE).exists()
