import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from support.click_models import DESCRIBED, SMALL, padding_of, small, some_inputs
from support.ctr_data import ID_MAP

from kdcn_tf import config, records
from kdcn_tf.config_clicks import KdcnConfig
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.errors import ConfigError
from kdcn_tf.losses import log_loss
from kdcn_tf.models.kdcn import KDCN
from kdcn_tf.models.networks import build_model

LN3, E = float(np.log(3.0)), float(np.e)


def test_types_of_several_ranges_have_rows_for_all():
    """20 keywords, 30 users and 40 + 3 items; 6 + 2 categories; two more rows each."""
    grown = dataclasses.replace(ID_MAP, grown={"item": ((100, 103),), "category": ((103, 105),)})
    described = dataclasses.replace(DESCRIBED, id_map=grown)
    model = build_model(config.resolve(assignments=[*SMALL, "kdcn.candidate=true"]), described)
    assert (model.entities.num_rows, model.categories.embedding.num_rows) == (95, 10)
    rows = model.entities.rows_of(tf.constant([70, 100, 102, 103, 80], tf.int64)).numpy()
    assert rows.tolist() == [41, 42, 44, 1, 45]  # items first; 103 is a category, which has no row here
    again = KDCN.from_config(json.loads(json.dumps(model.get_config())))
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def tiny(**options):
    """One behaviour kind of one item, one keyword in query and title, one category, one statistic; d = 1.

    Rows of the entity table: PAD, OOV, items 1 and 2, keywords 3 and 4, user 5; of the categories: PAD, OOV, 6.
    """
    spec = CtrSpec(("click",), 1, 1, 1, 1, ("price",), (0.5,), (0.125,))
    plain = {"candidate": False, "widths": (1,), "filters": 1, "heads": 1, "scale_attention": False, "match_dim": 1,
             "normalize_entities": False, "category_dim": 1, "dropout": 0.0, "knowledge_scale": 1.0,
             "list_sizes": False, "similarities": False}  # fmt: skip
    model = KDCN(spec=spec, options=KdcnConfig(**{**plain, **options}), dim=1, category_ranges=[(6, 7)],
                 entity_ranges={"item": [(1, 3)], "keyword": [(3, 5)], "user": [(5, 6)]})  # fmt: skip
    model.entities.set_weights([column(99, 0, 3, 5, 0, 1, 7)])
    model.categories.set_weights([column(99, 0, 0.5)])
    model.user_state.set_weights([np.array([[[1.0]]]), np.array([-2.0])])
    model.dialogue.set_weights([np.array([[1.0]]), np.array([[LN3]]), np.array([[4.0]])])
    return model


def column(*values):
    return np.array(values, float)[:, None]


TINY_INPUTS = {
    records.behavior_key("click"): tf.constant([[1]]), records.QUERY_KEYWORDS: tf.constant([[3]]),
    records.TITLE_KEYWORDS: tf.constant([[4]]), records.CATEGORIES: tf.constant([[6]]), records.USER: tf.constant([5]),
    records.ITEM: tf.constant([2]), records.DENSE: tf.constant([[E - 1]]),
}  # fmt: skip
TINY_INPUTS = {k: v if v.dtype == tf.float32 else tf.cast(v, tf.int64) for k, v in TINY_INPUTS.items()}


def features_of(model):
    """f, read through a network without cross and deep layers: logits are [f, f] times the last kernel."""
    size = model.head.logit.kernel.shape[0]
    read = []
    for index in range(size // 2):
        model.head.logit.set_weights([np.eye(size)[:, index : index + 1], np.zeros(1)])
        read.append(float(model(TINY_INPUTS)[0]))
    return read


def test_equation_9_order_of_the_parts():
    # Category 6: 0.5. Statistic e - 1: (ln(1 + e - 1) - 0.5) / 0.125 = 4.
    # u: item 1 is 3, convolution 3 * 1 - 2 = 1. d: w_q = 0, w_t = 1, M_a = 1, M_b = ln 3, W_v = 4.
    # Query: scores 0 and 0, so 0 / 2 + 4 / 2 = 2. Title: scores 0 and ln 3, so 0 / 4 + 4 * 3/4 = 3.
    paper = [0.5, 4.0, 1.0, 2.0, 3.0]
    assert features_of(tiny(cross_layers=0, deep_units=())) == pytest.approx(paper, rel=1e-4)
    # The candidate's own parts follow: item 2 is 5, user 5 is 7; products P x * Q y with P = 1 and Q = 1, 10, 100:
    # with the user 5 * 7, with the mean behaviour 5 * 3 * 10, with the mean query keyword (w_q = 0) 0.
    model = tiny(cross_layers=0, deep_units=(), candidate=True)
    for match, right in zip(model.matches, (1.0, 10.0, 100.0), strict=True):
        match.set_weights([column(1), column(right)])
    assert features_of(model) == pytest.approx([*paper, 5.0, 7.0, 35.0, 150.0, 0.0], rel=1e-4)


def test_similarities_are_numbers_of_f():
    # Item 2 is 5, and 1 is the items' mean: with the click, item 1, (5 - 1) * (3 - 1); with the query's keyword, which
    # is 0, nothing; with the user (5 - 1) * 7.
    model = tiny(cross_layers=0, deep_units=(), candidate=True, similarities=True, knowledge_scale=0.1)
    model.assign_center("item", np.ones(1))
    assert features_of(model)[:6] == pytest.approx([0.5, 4.0, 8.0, 0.0, 28.0, 0.1], rel=1e-4)
    # No click: nothing to be similar to, where an entity of zeros would be (5 - 1) * (0 - 1).
    nobody = {**TINY_INPUTS, records.behavior_key("click"): tf.constant([[0]], tf.int64)}
    size = model.head.logit.kernel.shape[0]
    model.head.logit.set_weights([np.eye(size)[:, 2:3], np.zeros(1)])
    assert float(model(nobody)[0]) == 0.0


def test_knowledge_is_scaled_and_the_rest_is_not():
    # All four lists have one place, which is taken.
    model = tiny(cross_layers=0, deep_units=(), knowledge_scale=0.1, list_sizes=True)
    assert features_of(model) == pytest.approx([0.5, 4.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.2, 0.3], rel=1e-4)


def test_dialogue_lies_side_by_side_or_as_means():
    pooled, apart = small("kdcn.cross=vector"), small("kdcn.cross=vector", "kdcn.pool_dialogue=false")
    # (3 + 4 keywords) * 8 in place of 2 means * 8.
    assert apart.head.crosses.kernels.shape[0] - pooled.head.crosses.kernels.shape[0] == 56 - 16


def test_training_drops_knowledge_and_keeps_the_rest():
    """Of category and statistic, 0.5 and 4, everything passes; of u, 1, and d, 2 and 3, nothing or double."""
    model = tiny(cross_layers=0, deep_units=(), knowledge_dropout=0.5)
    size = model.head.logit.kernel.shape[0]
    seen = []
    for index in range(size // 2):
        model.head.logit.set_weights([np.eye(size)[:, index : index + 1], np.zeros(1)])
        seen.append({round(float(model(TINY_INPUTS, training=True)[0]), 3) for _ in range(40)})
    assert seen == [{0.5}, {4.0}, {0.0, 2.0}, {0.0, 4.0}, {0.0, 6.0}]


def test_equations_10_to_13_by_hand():
    # f = [0.5, 4, 1, 2, 3], as above.
    # Cross 1: f^T w = 0.5 * 2 + 3 = 4; 4 f + b + f = 5 f - [0, 0, 0, 0, 5] = [2.5, 20, 5, 10, 10].
    # Cross 2: 2.5 * 0.8 - 10 * 0.1 = 1; 1 f + b + x = f + [1, 0, 0, 0, 0] + x = [4, 24, 6, 12, 13].
    # Deep 1: 0.5 * 2 + 4 - 1 = 4, and 1 + 2 - 2 * 3 + 1 = -2, which ReLU makes 0. Deep 2: 4 * 0.5 + 0 * 3 + 1 = 3.
    # Logit: 4 - 24 / 2 + 6 + 2 * 3 + 0.5 = 4.5. Log loss of a click: ln(1 + e^-4.5) = 0.01105.
    model = tiny(cross_layers=2, cross="vector", deep_units=(2, 1))
    crosses, deep = model.head.crosses, model.head.deep.layers
    kernels, biases = [[2.0, 0, 0, 0, 1], [0.8, 0, 0, 0, -0.1]], [[0.0, 0, 0, 0, -5], [1.0, 0, 0, 0, 0]]
    crosses.set_weights([np.array(kernels).T, np.array(biases)])
    deep[0].set_weights([np.array([[2.0, 0], [1, 0], [0, 1], [0, 1], [0, -2]]), np.array([-1.0, 1.0])])
    deep[1].set_weights([column(0.5, 3), np.array([1.0])])
    model.head.logit.set_weights([column(1, -0.5, 1, 0, 0, 2), np.array([0.5])])
    logits = model(TINY_INPUTS)
    np.testing.assert_allclose(logits, [4.5], rtol=1e-4)
    assert float(log_loss(tf.constant([1.0]), logits)) == pytest.approx(0.01105, abs=1e-5)


@pytest.mark.parametrize("empty", [False, True], ids=["some", "all padding"])
@pytest.mark.parametrize(
    "switches",
    [[], ["user_state=false"], ["dialogue=false"], ["candidate=false"], ["cross=matrix"], ["cross=low_rank"],
     ["user_state=false", "dialogue=false", "candidate=false"], ["cross_layers=0"], ["deep_units=[]"],
     ["normalize_entities=false", "scale_attention=false"], ["widths=[6]"]],
    ids=lambda switches: " ".join(switches) or "default",
)  # fmt: skip
def test_every_network_runs_and_trains_all_its_weights(switches, empty):
    model = small(*(f"kdcn.{switch}" for switch in switches))
    inputs = padding_of(some_inputs(6)) if empty else some_inputs(6)
    with tf.GradientTape() as tape:
        logits = model(inputs, training=True)
        loss = log_loss(tf.constant([1.0, 0, 0, 1, 0, 0]), logits)
    assert logits.shape == (6,)
    weights = model.trainable_weights
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        # Without any of u, d and the candidate, no entity is looked up for a reason.
        unused = weight is model.entities.table and len(switches) == 3
        assert (gradient is None) == unused, weight.name
        assert unused or np.all(np.isfinite(tf.convert_to_tensor(gradient))), weight.name


@pytest.mark.parametrize(
    ("part", "size"), [("user_state", 12), ("dialogue", 16), ("candidate", 37), ("similarities", 6)]
)
def test_a_switch_takes_its_part_out_of_f(part, size):
    # u: (3 + 1 positions) * 3 filters. d: 2 means * 8. Candidate: 2 vectors * 8 + 3 products * 5 + 4 + 2 similarities.
    full, without = small("kdcn.cross=vector"), small("kdcn.cross=vector", f"kdcn.{part}=false")
    assert full.head.crosses.kernels.shape[0] - without.head.crosses.kernels.shape[0] == size


def test_heads_that_do_not_divide_the_embedding_size():
    with pytest.raises(ConfigError, match=r"kdcn\.heads: must divide dim=8"):
        small("kdcn.heads=3")
    assert small("kdcn.heads=3", "kdcn.dialogue=false").dialogue is None
    assert small("kdcn.heads=3", "kdcn.network=dnn").dim == 8
