"""Networks to compare K-DCN with, on the same inputs: embeddings of all ids, lists as means and sizes, statistics.

They know nothing of user state and dialogue interaction. Their embeddings are trained with the rest of the network
from random values; with `kdcn.pretrained` those of users, items and keywords start from the exported ones.
"""

from collections.abc import Sequence

import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.config_clicks import KdcnConfig
from kdcn_tf.layers.deep import Deep, DeepCross
from kdcn_tf.layers.wide import HashedCrosses, IdWeights
from kdcn_tf.models.click_model import ClickModel, Tensors

BEHAVIORS = "behaviors"
CROSSES = (
    (records.QUERY_KEYWORDS, records.TITLE_KEYWORDS),
    (records.QUERY_KEYWORDS, records.CATEGORIES),
    (records.QUERY_KEYWORDS, records.ITEM),
    (records.USER, records.CATEGORIES),
    (BEHAVIORS, records.ITEM),
    (BEHAVIORS, records.CATEGORIES),
)
"""Pairs of features that Wide & Deep crosses; BEHAVIORS are the items of all kinds."""

_CROSSED = tuple(dict.fromkeys(name for pair in CROSSES for name in pair))


class PooledModel(ClickModel):
    """Base: f holds the vectors of user and candidate, a mean per list and its size, category levels and statistics."""

    @classmethod
    def entity_types(cls, options: KdcnConfig) -> Sequence[str]:
        return list(ckg.CLICK_TYPES)

    def _feature_size(self) -> int:
        vectors = 4 + len(self.spec.behaviors)
        return vectors * self.dim + self.spec.max_categories * self.options.category_dim + self._number_count

    def _represent(self, inputs: Tensors) -> tuple[Tensors, Tensors]:
        found = self._look_up(inputs, means=(records.QUERY_KEYWORDS, records.TITLE_KEYWORDS))
        query, title = found.means
        context = {
            "user": found.user,
            "behaviors": tf.reshape(found.behaviors, [-1, len(self.spec.behaviors) * self.dim]),
            "query": query,
            **self._context_sizes(inputs),
        }
        candidate = {
            "item": found.item,
            "title": title,
            "categories": self.categories(inputs[records.CATEGORIES]),
            "statistics": self.statistics(inputs[records.DENSE]),
            **self._candidate_sizes(inputs),
        }
        return context, candidate

    def _features(self, context: Tensors, candidate: Tensors) -> list[tf.Tensor]:
        return [
            *(context[name] for name in ("user", "behaviors", "query")),
            *(candidate[name] for name in ("item", "title", "categories")),
            self._numbers(context, candidate),
        ]


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class DCN(PooledModel):
    """Deep & cross network (Wang et al., 2017; with `kdcn.cross` "matrix" or "low_rank" that of 2020)."""

    def _make_layers(self) -> None:
        options = self.options
        self.head = DeepCross(
            options.cross, options.cross_layers, options.cross_rank, options.deep_units, options.dropout, name="head"
        )
        self.head.build([None, self._feature_size()])

    def _score(self, context: Tensors, candidate: Tensors, training: bool | None) -> tf.Tensor:
        return self.head(tf.concat(self._features(context, candidate), axis=1), training=training)


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class DNN(PooledModel):
    """Deep layers alone."""

    def _make_layers(self) -> None:
        self.deep = Deep(self.options.deep_units, self.options.dropout, name="deep")
        self.logit = tf.keras.layers.Dense(1, name="logit")
        self.deep.build([None, self._feature_size()])
        self.logit.build([None, self.deep.output_size])

    def _score(self, context: Tensors, candidate: Tensors, training: bool | None) -> tf.Tensor:
        f = tf.concat(self._features(context, candidate), axis=1)
        return tf.squeeze(self.logit(self.deep(f, training=training)), axis=1)


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class WideDeep(DNN):
    r"""Wide & Deep (Cheng et al., 2016): the logit of the deep layers plus that of a linear model.

    $$ z = w_{deep}^T h + b + w_{wide}^T [x, \phi(x)] $$

    x are the one-hot ids in each of their roles and the statistics, \phi(x) the pairs of ids in `CROSSES`,
    hashed into `kdcn.wide_buckets` weights.
    """

    def _make_layers(self) -> None:
        super()._make_layers()
        spans = {**self.entities.get_config()["ranges"], ckg.CATEGORY: self.categories.get_config()["id_ranges"]}
        roles = {ckg.USER: 1, ckg.ITEM: 1 + len(self.spec.behaviors), ckg.KEYWORD: 2, ckg.CATEGORY: 1}
        self.ids = {name: IdWeights(spans.get(name, ()), count, name=f"wide_{name}") for name, count in roles.items()}
        places = [(_CROSSED.index(left), _CROSSED.index(right)) for left, right in CROSSES]
        self.crosses = HashedCrosses(places, self.options.wide_buckets, name="crosses")
        self.wide = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="wide")
        for weights in self.ids.values():
            weights.build()
        self.crosses.build()
        self.wide.build([None, len(self.spec.dense_mean)])

    @property
    def tables(self) -> list:
        return [*super().tables, *(layer.weights_of.table for layer in self.ids.values()), self.crosses.table]

    def _represent(self, inputs: Tensors) -> tuple[Tensors, Tensors]:
        context, candidate = super()._represent(inputs)
        behaviors = [inputs[records.behavior_key(kind)] for kind in self.spec.behaviors]
        query, title, levels = (inputs[k] for k in (records.QUERY_KEYWORDS, records.TITLE_KEYWORDS, records.CATEGORIES))
        (user,) = self.ids[ckg.USER]((inputs[records.USER],))
        item, *lists = self.ids[ckg.ITEM]((inputs[records.ITEM], *behaviors))
        asked, named = self.ids[ckg.KEYWORD]((query, title))
        (placed,) = self.ids[ckg.CATEGORY]((levels,))
        context["wide"] = user + asked + tf.add_n(lists)
        candidate["wide"] = item + named + placed + tf.squeeze(self.wide(candidate["statistics"]), axis=1)
        context |= _crossed({records.USER: inputs[records.USER][:, None], records.QUERY_KEYWORDS: query,
                             BEHAVIORS: tf.concat(behaviors, axis=1)})  # fmt: skip
        candidate |= _crossed({records.ITEM: inputs[records.ITEM][:, None], records.TITLE_KEYWORDS: title,
                               records.CATEGORIES: levels})  # fmt: skip
        return context, candidate

    def _score(self, context: Tensors, candidate: Tensors, training: bool | None) -> tf.Tensor:
        logits = super()._score(context, candidate, training) + context["wide"] + candidate["wide"]
        both = {**context, **candidate}
        return logits + self.crosses(tuple(both[f"{name} ids"] for name in _CROSSED))


def _crossed(ids: Tensors) -> Tensors:
    """Under names that the vectors of the same features don't have."""
    return {f"{name} ids": values for name, values in ids.items()}
