"""K-DCN: user state, dialogue interaction, categories and statistics in a deep and cross network."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.config_clicks import KdcnConfig
from kdcn_tf.layers.deep import DeepCross
from kdcn_tf.layers.dialogue import DialogueInteraction
from kdcn_tf.layers.masking import mask_of, masked_mean
from kdcn_tf.layers.matching import Match, Similarities
from kdcn_tf.layers.user_state import UserState
from kdcn_tf.models.click_model import ClickModel, Tensors

USER_STATE, DIALOGUE = "user_state", "dialogue"
"""The representations u and d, by name."""

MATCHED = ("user", "behaviors", "query")
"""Context vectors that the candidate is multiplied with: the user's own, and two means."""

_COMPARED = "compared"
"""Under this name the context holds what the candidate's similarity to is a number of f: the mean of each behaviour
kind, the mean query keyword, the user."""

_DIALOGUE_FEATURES = (records.QUERY_KEYWORDS, records.TITLE_KEYWORDS)
"""What interacts: a list of the context, and one of the candidate."""


@tf.keras.utils.register_keras_serializable(package="kdcn_tf")
class KDCN(ClickModel):
    r"""K-DCN of the paper, III-B-3.

    $$ f = [c^{(1)}, \ldots, c^{(C)}, x_{dense}, u, d] $$ (equation 9) goes into the cross layers
    (equation 10) and the deep layers (equation 11) in parallel; their outputs, concatenated, into one
    logit (equation 12).

    With `options.candidate`, f also holds the entity vectors of the candidate and the user, and the
    candidate's products with user, mean behaviour and mean query keyword (`Match`), with `options.similarities` also
    its similarity to them and to the mean of each behaviour kind, with `options.list_sizes` how full the lists are;
    the paper has none of these.
    """

    @classmethod
    def entity_types(cls, options: KdcnConfig) -> Sequence[str]:
        used = {ckg.ITEM: options.user_state or options.candidate, ckg.KEYWORD: options.dialogue or options.candidate,
                ckg.USER: options.candidate}  # fmt: skip
        return [name for name, needed in used.items() if needed]

    def _make_layers(self) -> None:
        options = self.options
        self.user_state = UserState(options.widths, options.filters, name="user_state") if options.user_state else None
        lists = (self.spec.max_query_keywords, self.spec.max_title_keywords) if options.pool_dialogue else None
        self.dialogue = (
            DialogueInteraction(options.heads, options.scale_attention, lists, name="dialogue")
            if options.dialogue
            else None
        )
        self.matches = [Match(options.match_dim, name=f"match_{n}") for n in MATCHED] if options.candidate else []
        similar = options.candidate and options.similarities
        compared = [*(ckg.ITEM for _ in self.spec.behaviors), ckg.KEYWORD, ckg.USER]
        self.similarities = Similarities(ckg.ITEM, compared, name="similarities") if similar else None
        self.head = DeepCross(
            options.cross, options.cross_layers, options.cross_rank, options.deep_units, options.dropout, name="head"
        )
        self.knowledge_dropout = tf.keras.layers.Dropout(options.knowledge_dropout)
        self._build_layers()

    def _build_layers(self) -> None:
        spec, options = self.spec, self.options
        width = spec.max_categories * options.category_dim + self._number_count
        if self.user_state:
            self.user_state.build([None, len(spec.behaviors), self.dim])
            width += self.user_state.output_size
        if self.dialogue:
            keywords = spec.max_query_keywords + spec.max_title_keywords
            self.dialogue.build([[None, keywords, self.dim], [None, keywords]])
            width += self.dialogue.output_size
        if self.similarities:
            compared = self.similarities.output_size
            self.similarities.build([[None, self.dim], [None, compared, self.dim], [None, compared]])
            width += compared
        for match in self.matches:
            match.build([[None, self.dim], [None, self.dim]])
        if options.candidate:
            width += 2 * self.dim + len(MATCHED) * options.match_dim
        self.head.build([None, width])

    def _represent(self, inputs: Tensors) -> tuple[Tensors, Tensors]:
        means = [records.QUERY_KEYWORDS] if self.options.candidate else []
        found = self._look_up(inputs, means, _DIALOGUE_FEATURES if self.dialogue else ())
        context = self._context_sizes(inputs)
        candidate = {
            "item": found.item,
            "categories": self.categories(inputs[records.CATEGORIES]),
            "statistics": self.statistics(inputs[records.DENSE]),
            **self._candidate_sizes(inputs),
        }
        if self.user_state:
            context[USER_STATE] = self.user_state(found.behaviors)
        if self.options.candidate:
            context["user"] = found.user
            counts = self._behavior_counts(inputs)
            context["behaviors"] = masked_mean(found.behaviors, counts)
            (context["query"],) = found.means
            if self.similarities:
                singles = [context[name][:, None] for name in ("query", "user")]
                context[_COMPARED] = tf.concat([found.behaviors, *singles], axis=1)
                context[_mask_name(_COMPARED)] = self._present(inputs, counts)
        if self.dialogue:
            # Distinct vectors belong to no row, so they go with what isn't repeated for all candidates.
            candidate["keywords"] = found.keywords.vectors
            for key, place, part in zip(_DIALOGUE_FEATURES, found.keywords.places, (context, candidate), strict=True):
                part |= {key: place, _mask_name(key): mask_of(inputs[key])}
        return context, candidate

    @staticmethod
    def _present(inputs: Tensors, counts: tf.Tensor) -> tf.Tensor:
        """Which vectors of `_COMPARED` there are [B, k + 2]: not the mean of an empty list."""
        asked = tf.reduce_max(mask_of(inputs[records.QUERY_KEYWORDS]), axis=1, keepdims=True)
        return tf.concat([tf.minimum(counts, 1.0), asked, mask_of(inputs[records.USER])[:, None]], axis=1)

    def assign_center(self, entity_type: str, mean: np.ndarray) -> None:
        if self.similarities:
            self.similarities.assign_center(entity_type, mean)

    def _behavior_counts(self, inputs: Tensors) -> tf.Tensor:
        """How many items [B, k] of each kind there are."""
        return tf.reduce_sum(mask_of(self._behaviors(inputs)), axis=-1)

    def _features(self, context: Tensors, candidate: Tensors) -> list[tf.Tensor]:
        """The parts of f, equation 9, in its order."""
        numbers = self._numbers(context, candidate)
        if self.similarities:
            compared = self.similarities((candidate["item"], context[_COMPARED], context[_mask_name(_COMPARED)]))
            numbers = tf.concat([numbers, compared], axis=1)
        parts = [candidate["categories"], numbers]
        if self.user_state:
            parts.append(context[USER_STATE])
        if self.dialogue:
            interaction = candidate[DIALOGUE] if DIALOGUE in candidate else self._interact(context, candidate)[0]
            parts.append(interaction)
        if self.options.candidate:
            parts += [candidate["item"], context["user"]]
            parts += [
                match((candidate["item"], context[name])) for name, match in zip(MATCHED, self.matches, strict=True)
            ]
        return parts

    def _interact(self, context: Tensors, candidate: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """D and its attention weights."""
        if self.dialogue is None:
            raise ValueError("the network has no dialogue interaction")
        both = {**context, **candidate}
        places = tf.concat([both[key] for key in _DIALOGUE_FEATURES], axis=1)
        mask = tf.concat([both[_mask_name(key)] for key in _DIALOGUE_FEATURES], axis=1)
        return self.dialogue.attend_placed(candidate["keywords"], places, mask)

    def attention(self, inputs: Tensors) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits [B] and the attention weights [B, h, M + N, M + N] that they were made with.

        Places are the query's keywords, then the title's; see `DialogueInteraction.attend`.

        Raises:
            ValueError: the network has no dialogue interaction.
        """
        context, candidate = self._represent(inputs)
        interaction, weights = self._interact(context, candidate)
        return self._score(context, {**candidate, DIALOGUE: interaction}, training=False), weights

    def without(self, inputs: Tensors, component: str) -> tf.Tensor:
        """Logits [B] with u as if there were no behaviours, or d as if there were no keywords, and all else as it is.

        Args:
            inputs: as for `call`.
            component: one of `components`.
        """
        context, candidate = self._represent(inputs)
        if component == USER_STATE:
            kinds = map(records.behavior_key, self.spec.behaviors)
            nothing = {**inputs, **{key: tf.zeros_like(inputs[key]) for key in kinds}}
            context = {**context, USER_STATE: self._represent(nothing)[0][USER_STATE]}
        else:
            asked, named = map(_mask_name, _DIALOGUE_FEATURES)
            silent = context | {asked: tf.zeros_like(context[asked])}
            candidate |= {named: tf.zeros_like(candidate[named])}
            candidate[DIALOGUE] = self._interact(silent, candidate)[0]
        return self._score(context, candidate, training=False)

    @property
    def components(self) -> list[str]:
        """Which of u and d the network has."""
        return [name for name, layer in ((USER_STATE, self.user_state), (DIALOGUE, self.dialogue)) if layer]

    def _score(self, context: Tensors, candidate: Tensors, training: bool | None) -> tf.Tensor:
        categories, numbers, *knowledge = self._features(context, candidate)
        parts = [categories, numbers]
        if knowledge:
            known = self.options.knowledge_scale * tf.concat(knowledge, axis=1)
            parts.append(self.knowledge_dropout(known, training=training))
        return self.head(tf.concat(parts, axis=1), training=training)


def _mask_name(key: str) -> str:
    return f"{key} mask"
