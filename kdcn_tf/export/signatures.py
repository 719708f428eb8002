"""Signatures of the served K-DCN: strings in, scores out, stock operations only."""

from collections.abc import Callable

import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.export.vocabulary import Vocabulary
from kdcn_tf.models.click_model import ClickModel

SERVING_DEFAULT, PREDICT, RANK = "serving_default", "predict", "rank"
LOGITS, PROBABILITIES = "logits", "probabilities"
EXAMPLES = "examples"

Tensors = dict[str, tf.Tensor]


def context_features(spec: CtrSpec) -> dict[str, list[int | None]]:
    """Request feature -> shape after the batch axis, of what a session's candidates share."""
    lists = [*map(records.behavior_key, spec.behaviors), records.QUERY_KEYWORDS]
    return {records.USER_ID: [], **{key: [None] for key in lists}}


def candidate_features(spec: CtrSpec) -> dict[str, list[int | None]]:
    """Request feature -> shape after the batch axis, of a candidate; all strings but DENSE, which is float."""
    shapes: dict[str, list[int | None]] = {records.ITEM_ID: []}
    shapes |= {records.TITLE_KEYWORDS: [None], records.CATEGORIES: [None]}
    return {**shapes, records.DENSE: [len(spec.dense_names)]}


class Server(tf.Module):
    """The functions to be saved, with the variables and tables that they use.

    The Keras model itself isn't tracked, so the SavedModel holds these functions alone.

    Args:
        model: trained, with plain variables.
        vocabularies: by entity type; a type without one has no known entity.
    """

    def __init__(self, model: ClickModel, vocabularies: dict[str, Vocabulary]):
        super().__init__(name="kdcn_server")
        self.weights = list(model.weights)
        self.tables = [vocabulary.table for vocabulary in vocabularies.values()]
        self._spec = model.spec
        score, rank = model.__call__, model.rank
        self.signatures_by_name = {
            SERVING_DEFAULT: self._of_examples(score, vocabularies),
            PREDICT: self._named(lambda inputs: score(inputs, training=False), vocabularies, context_rows=None),
            RANK: self._named(rank, vocabularies, context_rows=1),
        }

    def _named(
        self, score: Callable, vocabularies: dict[str, Vocabulary], context_rows: int | None
    ) -> tf.types.experimental.GenericFunction:
        spec = self._spec
        context, candidate = context_features(spec), candidate_features(spec)
        signature = {
            **{key: tf.TensorSpec([context_rows, *shape], tf.string, key) for key, shape in context.items()},
            **{key: tf.TensorSpec([None, *shape], _dtype(key), key) for key, shape in candidate.items()},
        }

        @tf.function(input_signature=[signature])
        def named(inputs: Tensors) -> Tensors:
            return _scores(score(to_ids(inputs, spec, vocabularies)))

        return named

    def _of_examples(
        self, score: Callable, vocabularies: dict[str, Vocabulary]
    ) -> tf.types.experimental.GenericFunction:
        spec = self._spec

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, EXAMPLES)])
        def of_examples(examples: tf.Tensor) -> Tensors:
            return _scores(score(to_ids(parse_requests(examples, spec), spec, vocabularies), training=False))

        return of_examples


def _dtype(key: str) -> tf.DType:
    return tf.float32 if key == records.DENSE else tf.string


def _scores(logits: tf.Tensor) -> Tensors:
    return {LOGITS: logits, PROBABILITIES: tf.sigmoid(logits)}


def parse_requests(examples: tf.Tensor, spec: CtrSpec) -> Tensors:
    """Request features of serialized tf.Examples; only ITEM_ID must be there, and no statistic means NaN.

    Args:
        examples: string [B].
        spec: the features.
    """
    features: dict[str, tf.io.FixedLenFeature | tf.io.RaggedFeature] = {}
    shapes = {**context_features(spec), **candidate_features(spec)}
    for key, shape in shapes.items():
        features[key] = tf.io.RaggedFeature(tf.string) if shape else tf.io.FixedLenFeature([], tf.string, "")
    features[records.ITEM_ID] = tf.io.FixedLenFeature([], tf.string)
    size = len(spec.dense_names)
    features[records.DENSE] = tf.io.FixedLenFeature([size], tf.float32, [float("nan")] * size)
    if not size:
        del features[records.DENSE]  # a feature of no values can't be parsed
    parsed = tf.io.parse_example(examples, features)
    found = {key: value.to_tensor("") if shapes[key] == [None] else value for key, value in parsed.items()}
    return {records.DENSE: tf.zeros([tf.size(examples), 0]), **found}


def to_ids(inputs: Tensors, spec: CtrSpec, vocabularies: dict[str, Vocabulary]) -> Tensors:
    """The model's inputs from a request's strings.

    Unknown users and items become OOV_ID; unknown keywords and categories are left out, as in training.
    """

    def known(key: str, entity_type: str) -> tf.Tensor:
        size = spec.list_sizes()[key]
        if entity_type not in vocabularies:
            return tf.zeros([tf.shape(inputs[key])[0], size], tf.int64)
        return vocabularies[entity_type].known_ids(inputs[key], size)

    items = vocabularies[ckg.ITEM]
    users = vocabularies.get(ckg.USER)
    unknown_users = tf.fill(tf.shape(inputs[records.USER_ID]), tf.constant(records.OOV_ID, tf.int64))
    ids = {
        records.USER: users.ids(inputs[records.USER_ID]) if users else unknown_users,
        records.ITEM: items.ids(inputs[records.ITEM_ID]),
        records.QUERY_KEYWORDS: known(records.QUERY_KEYWORDS, ckg.KEYWORD),
        records.TITLE_KEYWORDS: known(records.TITLE_KEYWORDS, ckg.KEYWORD),
        records.CATEGORIES: known(records.CATEGORIES, ckg.CATEGORY),
        records.DENSE: inputs[records.DENSE],
    }
    for kind in spec.behaviors:
        key = records.behavior_key(kind)
        ids[key] = items.padded_ids(inputs[key], spec.max_behaviors)
    return ids
