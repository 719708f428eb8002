"""K-DCN: user state, dialogue interaction, categories and statistics in a deep and cross network."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.config import Config, KdcnConfig
from kdcn_tf.data.ctr import CtrSpec, spec_of
from kdcn_tf.errors import DataError
from kdcn_tf.layers.category import CategoryEmbedding
from kdcn_tf.layers.cross import make_cross
from kdcn_tf.layers.dense import DenseTransform
from kdcn_tf.layers.dialogue import DialogueInteraction
from kdcn_tf.layers.embedding import EntityEmbedding, Spans
from kdcn_tf.layers.masking import mask_of, masked_mean
from kdcn_tf.layers.matching import Match
from kdcn_tf.layers.user_state import UserState
from kdcn_tf.manifest import Manifest

MATCHED = ("user", "behaviors", "query")
"""Context vectors that the candidate is multiplied with: the user's own, and two means."""

Tensors = dict[str, tf.Tensor]


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class KDCN(tf.keras.Model):
    r"""K-DCN of the paper, III-B-3.

    $$ f = [c^{(1)}, \ldots, c^{(C)}, x_{dense}, u, d] $$ (equation 9) goes into the cross layers
    (equation 10) and the deep layers (equation 11) in parallel; their outputs, concatenated, into one
    logit (equation 12).

    With `options.candidate`, f also holds the entity vectors of the candidate and the user, and the
    candidate's products with user, mean behaviour and mean query keyword (`Match`); the paper has none of
    these. Variables are made by the constructor.

    Args:
        spec: features and their sizes.
        options: what the network consists of.
        entity_ranges: entity type -> id ranges of the pretrained table; users, items, keywords.
        category_ranges: id ranges of the categories.
        dim: entity embedding size d.
        seed: of the tables' initial values.

    Input:
        Dict by feature key, as `kdcn_tf.data.ctr` yields it. Those of `CONTEXT` have B rows in `call` and
        one row in `rank`; the candidate's have B rows.

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
            entity_ranges, dim, seed=seed, normalize=options.normalize_entities,
            trainable=not options.freeze_entities, name="entities",
        )  # fmt: skip
        self.categories = CategoryEmbedding(category_ranges, options.category_dim, seed, name="categories")
        self.statistics = DenseTransform(spec.dense_mean, spec.dense_std, name="statistics")
        self.user_state = UserState(options.widths, options.filters, name="user_state") if options.user_state else None
        self.dialogue = (
            DialogueInteraction(options.heads, options.scale_attention, name="dialogue") if options.dialogue else None
        )
        self.matches = [Match(options.match_dim, name=f"match_{n}") for n in MATCHED] if options.candidate else []
        self.crosses = [make_cross(options.cross, options.cross_rank) for _ in range(options.cross_layers)]
        self.deep = [
            tf.keras.layers.Dense(units, "relu", name=f"deep_{i}") for i, units in enumerate(options.deep_units)
        ]
        self.dropout = tf.keras.layers.Dropout(options.dropout)
        self.logit = tf.keras.layers.Dense(1, name="logit")
        self._build_layers()

    def _build_layers(self) -> None:
        spec, options = self.spec, self.options
        self.entities.build()
        self.categories.build([None, spec.max_categories])
        self.statistics.build([None, len(spec.dense_mean)])
        width = spec.max_categories * options.category_dim + len(spec.dense_mean)
        if self.user_state:
            lists = [None, len(spec.behaviors), spec.max_behaviors]
            self.user_state.build([[*lists, self.dim], lists])
            width += self.user_state.output_size
        if self.dialogue:
            keywords = spec.max_query_keywords + spec.max_title_keywords
            self.dialogue.build([[None, keywords, self.dim], [None, keywords]])
            width += keywords * self.dim
        for match in self.matches:
            match.build([[None, self.dim], [None, self.dim]])
        if options.candidate:
            width += 2 * self.dim + len(MATCHED) * options.match_dim
        for cross in self.crosses:
            cross.build([[None, width], [None, width]])
        deep_width = width
        for layer in self.deep:
            layer.build([None, deep_width])
            deep_width = layer.units
        self.logit.build([None, width + deep_width])
        self.built = True

    def call(self, inputs: Tensors, training: bool | None = None) -> tf.Tensor:
        """Logits [B] of B impressions, each with its own context."""
        if training and self.options.unknown_share:
            inputs = {**inputs, **{key: self._some_unknown(inputs[key]) for key in (records.USER, records.ITEM)}}
        context, candidate = self._represent(inputs)
        return self._score(context, candidate, training)

    def _some_unknown(self, ids: tf.Tensor) -> tf.Tensor:
        """Training sees only entities that the graph knows: without these, the vector of unknown ones is noise."""
        unknown = tf.random.uniform(tf.shape(ids)) < self.options.unknown_share
        return tf.where(unknown, tf.constant(records.OOV_ID, ids.dtype), ids)

    def rank(self, inputs: Tensors) -> tf.Tensor:
        """Logits [n] of n candidates in one context, whose lookups and user state are computed once.

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
        """Everything about the context, and everything about the candidate, by one lookup."""
        behaviors = tf.stack([inputs[records.behavior_key(kind)] for kind in self.spec.behaviors], axis=1)
        query, title = inputs[records.QUERY_KEYWORDS], inputs[records.TITLE_KEYWORDS]
        found = self.entities([behaviors, query, title, inputs[records.USER], inputs[records.ITEM]])
        item_lists, query_vectors, title_vectors, user, item = found
        context = {"query_vectors": query_vectors, "query_mask": mask_of(query)}
        if self.user_state:
            context["user_state"] = self.user_state((item_lists, mask_of(behaviors)))
        if self.options.candidate:
            size = len(self.spec.behaviors) * self.spec.max_behaviors
            flat = tf.reshape(item_lists, [-1, size, self.dim])
            context["user"] = user
            context["behaviors"] = masked_mean(flat, tf.reshape(mask_of(behaviors), [-1, size]))
            context["query"] = masked_mean(query_vectors, context["query_mask"])
        candidate = {
            "item": item,
            "title_vectors": title_vectors,
            "title_mask": mask_of(title),
            "categories": self.categories(inputs[records.CATEGORIES]),
            "statistics": self.statistics(inputs[records.DENSE]),
        }
        return context, candidate

    def _score(self, context: Tensors, candidate: Tensors, training: bool | None) -> tf.Tensor:
        f = tf.concat(self._features(context, candidate), axis=1)
        crossed = f
        for cross in self.crosses:
            crossed = cross((f, crossed))
        deep = f
        for layer in self.deep:
            deep = self.dropout(layer(deep), training=training)
        return tf.squeeze(self.logit(tf.concat([crossed, deep], axis=1)), axis=1)

    def _features(self, context: Tensors, candidate: Tensors) -> list[tf.Tensor]:
        """The parts of f, equation 9, in its order."""
        parts = [candidate["categories"], candidate["statistics"]]
        if self.user_state:
            parts.append(context["user_state"])
        if self.dialogue:
            vectors = tf.concat([context["query_vectors"], candidate["title_vectors"]], axis=1)
            mask = tf.concat([context["query_mask"], candidate["title_mask"]], axis=1)
            parts.append(self.dialogue((vectors, mask)))
        if self.options.candidate:
            parts += [candidate["item"], context["user"]]
            parts += [
                match((candidate["item"], context[name])) for name, match in zip(MATCHED, self.matches, strict=True)
            ]
        return parts

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


def build_kdcn(config: Config, described: Manifest) -> KDCN:
    """K-DCN for the features and ids of a CTR dataset.

    Sets TensorFlow's random seed to `finetune.seed`, so that equal configurations start equal.

    Args:
        config: resolved configuration.
        described: manifest of a CTR dataset, or of a model trained on one.

    Raises:
        ConfigError: the configuration doesn't fit together.
        DataError: the manifest doesn't describe a dataset that K-DCN can be made for.
    """
    id_map = described.require_id_map()
    options = config.kdcn
    wanted = {ckg.ITEM: options.user_state or options.candidate, ckg.KEYWORD: options.dialogue or options.candidate,
              ckg.USER: options.candidate}  # fmt: skip
    if ckg.ITEM not in id_map.ranges:
        raise DataError(f"{described.kind} manifest: the id map has no entities of type {ckg.ITEM!r}")
    tf.keras.utils.set_random_seed(config.finetune.seed)
    return KDCN(
        spec=spec_of(described),
        options=options,
        entity_ranges={name: id_map.spans(name) for name, needed in wanted.items() if needed and name in id_map.ranges},
        category_ranges=id_map.spans(ckg.CATEGORY) if ckg.CATEGORY in id_map.ranges else (),
        dim=config.encoder.dim,
        seed=config.finetune.seed,
    )
