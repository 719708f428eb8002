import dataclasses
import json

import numpy as np
import pytest
from support.ctr_data import RANGES, write_ctr, write_keys
from support.raw_logs import run
from support.served import write_model

from kdcn_tf import manifest, records
from kdcn_tf.cli import evaluate
from kdcn_tf.data.ctr import read_all
from kdcn_tf.errors import DataError
from kdcn_tf.export import card, card_facts

HISTORY = [
    {"epoch": 0, "loss": 0.7, "valid_auc": 0.61, "valid_log_loss": 0.66},
    {"epoch": 1, "loss": 0.6, "valid_auc": 0.72, "valid_log_loss": 0.55},
    {"epoch": 2, "loss": 0.5, "valid_auc": 0.70, "valid_log_loss": 0.54},
]


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Folders ctr, ckg, model and evaluation, in which the model was judged as "mine"."""
    root = tmp_path_factory.mktemp("card")
    ctr = write_ctr(root / "ctr", per_file=60)
    graph = write_keys(root / "ckg")
    counts = {"rare.keyword": 1200, "rare.value": 34, "used.triples": 5}
    manifest.write(str(root / "ckg"), dataclasses.replace(graph, counts=counts))
    model, described = write_model(root / "model", ctr, "kdcn.dropout=0.25")
    info = {**described.info, "history": HISTORY}
    described = dataclasses.replace(described, info=info, inputs={manifest.CTR: ctr.fingerprint()})
    manifest.write(str(root / "model"), described)
    more = (f"--output={root}/evaluation", "--slices=item_frequency,query_keywords", f"--model=mine={root}/model")
    assert run(evaluate.main, f"--ctr={root}/ctr", *more) == 0
    return root, model


@pytest.fixture(scope="module")
def parts(chain):
    root, model = chain
    return {
        "model": model, "trained": manifest.read(f"{root}/model", manifest.KDCN_MODEL), "ctr_directory": f"{root}/ctr",
        "ctr": manifest.read(f"{root}/ctr", manifest.CTR), "graph": manifest.read(f"{root}/ckg", manifest.CKG),
        "version": 7,
    }  # fmt: skip


def test_data_are_counted(chain, parts):
    root, _ = chain
    found = card_facts.facts(**parts)["splits"]
    train, test = (read_all(f"{root}/ctr", parts["ctr"], split) for split in ("train", "test"))
    assert found["train"]["impressions"] == 120
    assert found["train"]["click_rate"] == pytest.approx(train[records.LABEL].mean())
    assert found["train"]["users"] == len(set(train[records.USER]))
    assert (found["train"]["new_users"], found["train"]["unknown_items"]) == (0, 0)
    assert found["test"]["new_items"] == pytest.approx(np.mean(~np.isin(test[records.ITEM], train[records.ITEM])))
    last = int(test[records.TIMESTAMP].max()) - 2400
    assert found["test"]["last"] == f"1970-01-01 00:{40 + last // 60}:{last % 60:02d} UTC"


def test_the_card_says_what_manifests_and_evaluation_say(chain, parts):
    root, model = chain
    found = card_facts.facts(**parts, evaluation=f"{root}/evaluation")
    text = card.markdown(found).decode()
    assert text.startswith("# Model card: KDCN, version 7\n")
    assert f"| parameters | {model.count_params():,} |" in text
    assert f"| of its id map | {parts['ctr'].id_map.fingerprint} |" in text
    assert "Split by time: training data end before 1970-01-01 00:16:40 UTC, validation" in text
    assert "Validation, epoch 2 of 3 (the best is kept): AUC 0.7200, log loss 0.5500." in text
    assert "| kdcn.dropout | 0.25 | 0.1 |" in text
    assert "| keyword | 20 | 1,200 |" in text
    assert f"| user | {RANGES['user'][1] - RANGES['user'][0]} | 0 |" in text
    judged = json.loads((root / "evaluation" / evaluate.METRICS_FILE).read_text())
    figures = judged["sources"]["all"]["mine"]
    assert f"| all | 60 | {figures['click_rate']:.1%} | {figures['auc']:.4f} |" in text
    for name, models in judged["slices"]["item_frequency"].items():
        assert f"| {name} | {models['mine']['impressions']:.0f} | " in text


def test_limits(chain, parts):
    root, _ = chain
    found = card_facts.facts(**parts)
    told = "\n".join(card.limits(found))
    assert "wasn't measured" in told
    assert "1,234 attributes were too rare" in told
    assert f"of users without one in training ({0:.1%} of users that the graph doesn't know)" in told
    assert "aren't those that it was trained on" not in told
    told = card.limits({**found, "trained_on_dataset": False, "inputs": {manifest.CTR: "elsewhere"}})
    assert told[0].endswith("aren't those that it was trained on (elsewhere).")
    constant = {**found["features"], "constant_statistics": ["price"]}
    told = card.limits({**found, "features": constant})
    assert "Statistics that never varied in training, and so count nothing: price." in told
    measured = card_facts.read_evaluation(f"{root}/evaluation", parts["trained"])
    measured["slices"]["item_frequency"]["0"] = {**measured["sources"]["all"], "auc": None, "impressions": 1000.0}
    told = "\n".join(card.limits({**found, "measured": measured}))
    assert "wasn't measured for" not in told
    assert "AUC is undefined, for want of a click or of a non-click, in: item_frequency 0" in told
    assert "hardly measured: item_frequency" in told  # 60 impressions in all


def test_an_evaluation_of_other_models_is_refused(chain, parts):
    root, _ = chain
    other = dataclasses.replace(parts["trained"], counts={"other": 1})
    with pytest.raises(DataError, match=f"judged mine {parts['trained'].fingerprint()}, not this model"):
        card_facts.read_evaluation(f"{root}/evaluation", other)


def test_names_cannot_break_a_limit(parts):
    found = card_facts.facts(**parts)
    named = {**found, "features": {**found["features"], "constant_statistics": ["<img src=x>\n## Good"]}}
    text = card.markdown(named).decode()
    assert "and so count nothing: &lt;img src=x> ## Good." in text
    assert "<img" not in text


def test_names_cannot_break_a_table():
    assert card._table(("a",), [["x|y\n<b>"]]) == "| a |\n| --- |\n| x\\|y &lt;b> |"
