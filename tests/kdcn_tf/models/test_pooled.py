import numpy as np
import pytest
import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.config_clicks import KdcnConfig
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.models.pooled import CROSSES, DCN, DNN, WideDeep

E = float(np.e)
SPEC = CtrSpec(("click", "cart"), 3, 2, 2, 1, ("price",), (0.5,), (0.125,))
INPUTS = {
    records.behavior_key("click"): [[1, 2, 0]], records.behavior_key("cart"): [[0, 0, 0]],
    records.QUERY_KEYWORDS: [[3, 0]], records.TITLE_KEYWORDS: [[3, 4]], records.CATEGORIES: [[6]],
    records.USER: [5], records.ITEM: [2],
}  # fmt: skip
INPUTS = {key: tf.constant(ids, tf.int64) for key, ids in INPUTS.items()}
INPUTS |= {records.DENSE: tf.constant([[E - 1]])}

# With the rows below: user 7; means of the clicks 3 and 5, and of no cart; query 2; item 5; title (2 + 6) / 2;
# category 0.5; price (ln(1 + e - 1) - 0.5) / 0.125.
FEATURES = [7.0, 4.0, 0.0, 2.0, 5.0, 4.0, 0.5, 4.0]


def tiny(network, **options):
    """One dimension. Rows of the entity table: PAD, OOV, items 1 and 2, keywords 3 and 4, user 5; category 6."""
    plain = {"normalize_entities": False, "category_dim": 1, "dropout": 0.0, "wide_buckets": 1000, "list_sizes": False}
    model = network(spec=SPEC, options=KdcnConfig(**{**plain, **options}), dim=1, category_ranges=[(6, 7)],
                    entity_ranges={"item": [(1, 3)], "keyword": [(3, 5)], "user": [(5, 6)]})  # fmt: skip
    model.entities.set_weights([column(99, 0, 3, 5, 2, 6, 7)])
    model.categories.set_weights([column(99, 0, 0.5)])
    return model


def column(*values):
    return np.array(values, float)[:, None]


@pytest.mark.parametrize("list_sizes", [False, True])
def test_f_holds_ids_means_statistics_and_sizes(list_sizes):
    # Clicks 2 of 3, no cart, query 1 of 2, title 2 of 2, category 1 of 1.
    sizes = [np.log(3) / np.log(4), 0.0, np.log(2) / np.log(3), 1.0, 1.0] if list_sizes else []
    model, expected = tiny(DCN, cross_layers=0, deep_units=(), list_sizes=list_sizes), [*FEATURES, *sizes]
    read = []
    for index in range(len(expected)):
        model.head.logit.set_weights([np.eye(2 * len(expected))[:, index : index + 1], np.zeros(1)])
        read.append(float(model(INPUTS)[0]))
    assert read == pytest.approx(expected, rel=1e-5)


def test_dcn_by_hand():
    # Cross: f^T w = 7 - 5 = 2; 2 f + b + f = 3 f + b, of which element 1 is 12 + 1. Deep: 7 + 4 - 1 = 10.
    # Logit: 13 * 2 - 10 / 2 + 0.25.
    model = tiny(DCN, cross="vector", cross_layers=1, deep_units=(1,))
    model.head.crosses.set_weights([column(1, 0, 0, 0, -1, 0, 0, 0), np.eye(8)[1:2]])
    model.head.deep.layers[0].set_weights([column(1, 0, 0, 0, 0, 0, 0, 1), np.array([-1.0])])
    model.head.logit.set_weights([column(0, 2, 0, 0, 0, 0, 0, 0, -0.5), np.array([0.25])])
    np.testing.assert_allclose(model(INPUTS), [21.25], rtol=1e-5)


def with_deep_weights(model):
    # Deep 1: 7 - 4 + 1 = 4, and -7, which ReLU makes 0. Deep 2: 4 / 2 + 1 = 3. Logit: 3 * 2 - 1 = 5.
    first = np.zeros((8, 2))
    first[:, 0], first[0, 1] = [1, -1, 0, 0, 0, 0, 0, 0], -1
    model.deep.layers[0].set_weights([first, np.array([1.0, 0.0])])
    model.deep.layers[1].set_weights([column(0.5, 9), np.array([1.0])])
    model.logit.set_weights([column(2), np.array([-1.0])])
    return model


def test_dnn_by_hand():
    np.testing.assert_allclose(with_deep_weights(tiny(DNN, deep_units=(2, 1)))(INPUTS), [5.0], rtol=1e-5)


def test_wide_and_deep_by_hand():
    model = with_deep_weights(tiny(WideDeep, deep_units=(2, 1)))
    np.testing.assert_allclose(model(INPUTS), [5.0], rtol=1e-5)  # the wide part is zeros at first
    # Weights of ids by role. User: 1. Item 2 as the candidate: 10; items 1 and 2 as clicks: (20 + 40) / 2; none as
    # cart. Keyword 3 asked: 100; keywords 3 and 4 in the title: (200 + 400) / 2. Category: 1000. Price: 4 * 0.5.
    model.ids[ckg.USER].set_weights([column(0, 0, 1)])
    model.ids[ckg.ITEM].set_weights([np.array([[9, 9, 9], [0, 0, 0], [8, 20, 7], [10, 40, 7]], float)])
    model.ids[ckg.KEYWORD].set_weights([np.array([[9, 9], [0, 0], [100, 200], [9, 400]], float)])
    model.ids[ckg.CATEGORY].set_weights([column(9, 0, 1000)])
    model.wide.set_weights([column(0.5)])
    linear = 5 + 1 + 10 + 30 + 100 + 300 + 1000 + 2
    np.testing.assert_allclose(model(INPUTS), [linear], rtol=1e-5)
    # The pairs of this impression, in the order of CROSSES; padding makes none.
    pairs = [[(3, 3), (3, 4)], [(3, 6)], [(3, 2)], [(5, 6)], [(1, 2), (2, 2)], [(1, 6), (2, 6)]]
    table, expected = np.zeros(1000), float(linear)
    for number, found in enumerate(pairs):
        for weight, (left, right) in enumerate(found, start=1):
            bucket = int(model.crosses.bucket_of(number, tf.constant(left, tf.int64), tf.constant(right, tf.int64)))
            assert table[bucket] == 0  # no two of these nine pairs share one of 1000
            table[bucket] = weight * 10**number
            expected += weight * 10**number / len(found)
    model.crosses.set_weights([table[:, None]])
    assert len(pairs) == len(CROSSES)
    np.testing.assert_allclose(model(INPUTS), [expected], rtol=1e-5)


def test_pairs_that_never_met_a_weight_change_nothing():
    model = with_deep_weights(tiny(WideDeep, deep_units=(2, 1)))
    model.crosses.set_weights([np.full((1000, 1), 3.0)])
    nothing = {key: tf.zeros_like(ids) for key, ids in INPUTS.items()}
    assert float(model(nothing)[0]) == pytest.approx(float(tiny_deep_alone(nothing)))  # no pair without ids
    assert float(model(INPUTS)[0]) == pytest.approx(5 + 3 * len(CROSSES))


def tiny_deep_alone(inputs):
    return with_deep_weights(tiny(DNN, deep_units=(2, 1)))(inputs)[0]
