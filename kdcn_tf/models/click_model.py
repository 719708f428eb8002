"""What all click models on a CTR dataset share: inputs, tables, statistics, many candidates in one context."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kdcn_tf import records
from kdcn_tf.config_clicks import KdcnConfig
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.layers.category import CategoryEmbedding
from kdcn_tf.layers.dense import DenseTransform
from kdcn_tf.layers.embedding import EntityEmbedding, Placed, Spans
from kdcn_tf.layers.masking import fullness

Tensors = dict[str, tf.Tensor]

_SIZES = "list_sizes"
"""Under this name context and candidate each hold how full their lists are, if `kdcn.list_sizes` says so."""


LEAST_UNKNOWN = 0.01
"""Share of users and of candidates treated as unknown where validation has none: one day there will be some."""


class EntityVectors(NamedTuple):
    """Vectors of an example's entities: of user and item [B, d] each; means of the behaviours of each kind [B, k, d];
    means of the lists of keywords that were asked for [B, d], and the distinct vectors of those that were."""

    user: tf.Tensor
    item: tf.Tensor
    behaviors: tf.Tensor
    means: list[tf.Tensor]
    keywords: Placed


class ClickModel(tf.keras.Model):
    """Base of the click models. Variables are made by the constructor.

    A subclass says which types of entities it looks up (`entity_types`), makes its layers (`_make_layers`, called
    once the tables are there; it builds them too), and scores: `_represent` turns inputs into what belongs to the
    context and what to the candidate, `_features` joins the two to the features f, `_score` makes a logit of it all.

    Args:
        spec: features and their sizes.
        options: what the network consists of.
        entity_ranges: entity type -> id ranges of the entity table.
        category_ranges: id ranges of the categories.
        dim: entity embedding size d.
        seed: of the tables' initial values.

    Input:
        Dict by feature key, as `kdcn_tf.data.ctr` yields it. User, behaviours and query keywords, the context, have
        B rows in `call` and one row in `rank`; the candidate's features have B rows.

    Output shape:
        Logits [B]; the click probability is their sigmoid.
    """

    def __init__(
        self,
        *,
        spec: CtrSpec,
        options: KdcnConfig,
        entity_ranges: Mapping[str, Spans],
        category_ranges: Spans,
        dim: int,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.spec, self.options, self.dim, self._seed = spec, options, dim, seed
        self.entities = EntityEmbedding(
            entity_ranges, dim, seed=seed, normalize=options.normalize_entities and options.pretrained,
            trainable=not options.freeze_entities, name="entities",
        )  # fmt: skip
        self.categories = CategoryEmbedding(category_ranges, options.category_dim, seed, name="categories")
        self.statistics = DenseTransform(spec.dense_mean, spec.dense_std, name="statistics")
        self.entities.build()
        self.categories.build([None, spec.max_categories])
        self.statistics.build([None, len(spec.dense_mean)])
        self._make_layers()
        self.built = True

    @property
    def tables(self) -> list[tf.Variable]:
        """Embedding tables, plain or sharded, whose gradients have only the rows that a step looked up."""
        return [self.entities.table, self.categories.embedding.table]

    @property
    def pretrained_tables(self) -> list[tf.Variable]:
        """Those of `tables` that start from exported vectors."""
        return [self.entities.table] if self.options.pretrained else []

    @classmethod
    def entity_types(cls, options: KdcnConfig) -> Sequence[str]:
        """Types of entities whose vectors the network uses."""
        raise TypeError(f"{cls.__name__} is not a click model: it doesn't say which entities it uses")

    def assign_center(self, entity_type: str, mean: np.ndarray) -> None:
        """Tells the network the mean of the vectors that entities of a type start with, float [d]."""

    def _make_layers(self) -> None:
        raise TypeError(f"{type(self).__name__} is not a click model: it has no layers")

    def call(self, inputs: Tensors, training: bool | None = None) -> tf.Tensor:
        """Logits [B] of B impressions, each with its own context."""
        if training:
            inputs = {**inputs, **{key: _some_unknown(inputs[key], s) for key, s in self.unknown_shares.items() if s}}
        context, candidate = self._represent(inputs)
        return self._score(context, candidate, training)

    @property
    def unknown_shares(self) -> dict[str, float]:
        """Shares of users and of candidates, by feature key, that a training step treats as unknown.

        As many as validation has, from `LEAST_UNKNOWN` up to `kdcn.unknown_share`: a network that is judged by known
        ones alone needn't learn to do without them.
        """
        found = {records.USER: self.spec.unknown_users, records.ITEM: self.spec.unknown_items}
        return {key: min(self.options.unknown_share, max(share, LEAST_UNKNOWN)) for key, share in found.items()}

    def rank(self, inputs: Tensors) -> tf.Tensor:
        """Logits [n] of n candidates in one context, whose lookups and representation are computed once.

        Args:
            inputs: USER [1], behaviours [1, L], QUERY_KEYWORDS [1, M]; ITEM [n], TITLE_KEYWORDS [n, N],
                CATEGORIES [n, C], DENSE [n, D].
        """
        context, candidate = self._represent(inputs)
        rows = tf.shape(inputs[records.ITEM])[0]
        shared = {k: tf.broadcast_to(v, tf.concat([[rows], tf.shape(v)[1:]], 0)) for k, v in context.items()}
        shared = {k: tf.ensure_shape(v, [None, *context[k].shape[1:]]) for k, v in shared.items()}
        return self._score(shared, candidate, training=False)

    def _represent(self, inputs: Tensors) -> tuple[Tensors, Tensors]:
        """Everything about the context, and everything about the candidate, each by name."""
        raise TypeError(f"{type(self).__name__} is not a click model: it represents nothing")

    def _features(self, context: Tensors, candidate: Tensors) -> list[tf.Tensor]:
        """The parts of f, [B, n] each, in order."""
        raise TypeError(f"{type(self).__name__} is not a click model: it has no features")

    def _score(self, context: Tensors, candidate: Tensors, training: bool | None) -> tf.Tensor:
        """Logits [B]; the context has B rows here."""
        raise TypeError(f"{type(self).__name__} is not a click model: it has no score")

    def _behaviors(self, inputs: Tensors) -> tf.Tensor:
        """Ids [B, k, L] of the items of each behaviour kind."""
        return tf.stack([inputs[records.behavior_key(kind)] for kind in self.spec.behaviors], axis=1)

    @property
    def _number_count(self) -> int:
        """How many numbers `_numbers` has."""
        return len(self.spec.dense_mean) + (len(self.spec.list_sizes()) if self.options.list_sizes else 0)

    def _numbers(self, context: Tensors, candidate: Tensors) -> tf.Tensor:
        """The part of f that is no vector [B, n]: statistics, and how full the lists are."""
        sizes = [part[_SIZES] for part in (context, candidate) if _SIZES in part]
        return tf.concat([candidate["statistics"], *sizes], axis=1)

    def _sizes(self, inputs: Tensors, keys: Sequence[str]) -> Tensors:
        return {_SIZES: fullness(*(inputs[key] for key in keys))} if self.options.list_sizes else {}

    def _context_sizes(self, inputs: Tensors) -> Tensors:
        return self._sizes(inputs, [*map(records.behavior_key, self.spec.behaviors), records.QUERY_KEYWORDS])

    def _candidate_sizes(self, inputs: Tensors) -> Tensors:
        return self._sizes(inputs, [records.TITLE_KEYWORDS, records.CATEGORIES])

    def _look_up(self, inputs: Tensors, means: Sequence[str] = (), placed: Sequence[str] = ()) -> EntityVectors:
        """Vectors of all entities by one lookup.

        Args:
            inputs: as for `call`.
            means: features whose keywords are wanted as their mean.
            placed: features whose keywords are wanted one by one.
        """
        singles, lists = [inputs[records.USER], inputs[records.ITEM]], [self._behaviors(inputs)]
        (user, item), (behaviors, *found), keywords = self.entities.look_up(
            singles, [*lists, *(inputs[key] for key in means)], [inputs[key] for key in placed]
        )
        return EntityVectors(user, item, behaviors, found, keywords)

    def get_config(self) -> dict[str, Any]:
        return {
            "spec": dataclasses.asdict(self.spec),
            "options": dataclasses.asdict(self.options),
            "entity_ranges": self.entities.get_config()["ranges"],
            "category_ranges": self.categories.get_config()["id_ranges"],
            "dim": self.dim,
            "seed": self._seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        spec = CtrSpec(**_tuples(config["spec"]))
        options = KdcnConfig(**_tuples(config["options"]))
        return cls(**{**config, "spec": spec, "options": options})


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as the tuples that they were before they went through JSON."""
    return {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in fields.items()}


def _some_unknown(ids: tf.Tensor, share: float) -> tf.Tensor:
    """Training sees only entities that the graph knows: without these, the vector of unknown ones is noise."""
    unknown = tf.random.uniform(tf.shape(ids)) < share
    return tf.where(unknown, tf.constant(records.OOV_ID, ids.dtype), ids)
