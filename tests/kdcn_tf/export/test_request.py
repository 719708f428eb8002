"""Training and serving see the same: requests made from raw logs against the examples of build-ctr."""

import numpy as np
import pytest
import tensorflow as tf
from support import served

from kdcn_tf import ckg, keys, manifest, records
from kdcn_tf.data import ctr as ctr_files
from kdcn_tf.errors import DataError
from kdcn_tf.export import raw_logs
from kdcn_tf.export.request import RankRequest
from kdcn_tf.export.signatures import LOGITS, RANK


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return served.make(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def request_of(shop):
    return RankRequest(manifest.read(shop.version, manifest.SERVING))


def in_training(shop) -> dict[tuple[int, int], float]:
    """(session hash, item id) -> logit, of every example that build-ctr made."""
    found = {}
    for split in ("train", "valid", "test"):
        for batch in ctr_files.batches_of(str(shop.root / "ctr"), shop.ctr, split, 3):
            logits = shop.model(batch, training=False).numpy()
            for session, item, logit in zip(batch[records.SESSION], batch[records.ITEM], logits, strict=True):
                found[int(session), int(item)] = float(logit)
    return found


def item_ids(shop) -> dict[str, int]:
    graph = manifest.read(str(shop.root / "ckg"), manifest.CKG)
    lines = [
        (key, entry.first + place)
        for entry in graph.group("entities/item")
        for place, key in enumerate((shop.root / "ckg" / entry.name).read_text().splitlines())
    ]
    return dict(lines)


def served_logits(shop, request_of, session: str) -> dict[str, float]:
    directory, raw = str(shop.root / "raw"), manifest.read(str(shop.root / "raw"), manifest.RAW)
    asked = raw_logs.find_session(directory, raw, session)
    history = raw_logs.find_history(
        directory, raw, asked.user_id, asked.timestamp, request_of.spec.behaviors, request_of.spec.max_behaviors,
        request_of.history_days,
    )  # fmt: skip
    candidates = [str(impression["item_id"]) for impression in asked.impressions]
    known = raw_logs.find_items(directory, raw, candidates)
    inputs = request_of.inputs(
        user=asked.user_id, query=asked.query, history=history, items=[known[item] for item in candidates],
        stats=[impression.get("stats") or {} for impression in asked.impressions],
    )  # fmt: skip
    signature = tf.saved_model.load(shop.version).signatures[RANK]
    logits = signature(**{key: tf.constant(value) for key, value in inputs.items()})[LOGITS].numpy()
    return dict(zip(candidates, logits.tolist(), strict=True))


@pytest.mark.parametrize(("session", "shown"), [("s1", "abc"), ("s2", "4ad"), ("s3", "ec"), ("5", "ab4d")])
def test_a_request_from_raw_logs_scores_as_its_training_example(shop, request_of, session, shown):
    examples, ids = in_training(shop), item_ids(shop)
    hashed = keys.stable_hash(f"{ckg.SESSION}\t{keys.entity_key(ckg.SESSION, session)}")
    expected = {item: examples[hashed, ids[item]] for item in shown}
    found = served_logits(shop, request_of, session)
    assert found == pytest.approx(expected, abs=1e-5)
    assert len(set(np.round(list(found.values()), 4))) == len(shown)


def test_inputs_by_hand(request_of):
    inputs = request_of.inputs(
        user="u1",
        query="The red running shoe, one more red word",  # three keywords at the most
        history={"click": ["b", "c"], "cart": []},
        items=[served.ITEMS[0], served.ITEMS[3]],
        stats=[{"price": 1.5, "score": None}, {}],
    )
    texts = {key: np.char.decode(value.astype("S")).tolist() for key, value in inputs.items() if key != records.DENSE}
    assert texts == {
        records.USER_ID: [keys.entity_key(ckg.USER, "u1")],
        records.QUERY_KEYWORDS: [["red", "running", "shoe"]],
        "behavior_click": [["b", "c"]], "behavior_cart": [[]], "behavior_favorite": [[]], "behavior_purchase": [[]],
        records.ITEM_ID: ["a", "4"],
        records.TITLE_KEYWORDS: [["red", "running", "shoe"], ["red", "shoe", "café"]],
        records.CATEGORIES: [["Sport", "Sport/Shoes|Boots"], ["Books", ""]],
    }  # fmt: skip
    assert request_of.spec.dense_names == ("price", "score")
    np.testing.assert_array_equal(inputs[records.DENSE], np.array([[1.5, np.nan], [np.nan, np.nan]], np.float32))


def test_an_unknown_user_has_no_pseudonym(request_of):
    inputs = request_of.inputs(user="", query=[], history={}, items=served.ITEMS[:1])
    assert inputs[records.USER_ID].tolist() == [b""]
    assert inputs[records.QUERY_KEYWORDS].shape == (1, 0)


def test_a_statistic_that_is_no_number_names_the_item(request_of):
    wrong = {"cheap": "not a number", "12": "not a number", True: "not a number"}
    wrong |= {10**400: "is too large", 1e39: "is too large", float("nan"): "is too large or not finite"}
    for price, message in wrong.items():
        item = served.ITEMS[0] | {"stats": {"price": price}}
        with pytest.raises(DataError, match=f"item 'a': stats: {message}"):
            request_of.inputs(user="", query="", history={}, items=[item])
