"""Golden requests: held-out examples as a client would send them, to prove an export before it is served."""

import numpy as np
import tensorflow as tf

from kdcn_tf import ckg, records
from kdcn_tf.ckg import PAD_ID
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.errors import DataError
from kdcn_tf.export import lookup
from kdcn_tf.export.signatures import EXAMPLES, LOGITS, PREDICT, RANK, SERVING_DEFAULT, context_features
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.click_model import ClickModel

TOLERANCE = 1e-4
"""Largest difference of logits between the loaded SavedModel and the Keras model: float32 rounding."""

_UNKNOWN = b"\x1f"  # no key holds a control character

Request = dict[str, np.ndarray]


def wanted_ids(batch: dict[str, np.ndarray], spec: CtrSpec) -> dict[str, np.ndarray]:
    """Distinct ids of a batch by entity type."""
    behaviors = [batch[records.behavior_key(kind)].ravel() for kind in spec.behaviors]
    keywords = [batch[records.QUERY_KEYWORDS].ravel(), batch[records.TITLE_KEYWORDS].ravel()]
    return {
        ckg.USER: np.unique(batch[records.USER]),
        ckg.ITEM: np.unique(np.concatenate([batch[records.ITEM], *behaviors])),
        ckg.KEYWORD: np.unique(np.concatenate(keywords)),
        ckg.CATEGORY: np.unique(batch[records.CATEGORIES]),
    }


def keys_of(ckg_directory: str, graph: Manifest, ids: dict[str, np.ndarray]) -> dict[int, bytes]:
    """Keys of ids, as requests hold them."""
    return {PAD_ID: b"", **{i: key.encode() for i, key in lookup.keys_of(ckg_directory, graph, ids).items()}}


def to_request(batch: dict[str, np.ndarray], spec: CtrSpec, keys: dict[int, bytes]) -> Request:
    """The batch with keys in place of ids, named as the signatures name them."""

    def strings(ids: np.ndarray) -> np.ndarray:
        flat = [keys.get(int(i), _UNKNOWN) for i in ids.ravel()]
        return np.array(flat, object).reshape(ids.shape)

    lists = [*map(records.behavior_key, spec.behaviors)]
    lists += [records.QUERY_KEYWORDS, records.TITLE_KEYWORDS, records.CATEGORIES]
    request = {key: strings(batch[key]) for key in lists}
    request |= {records.USER_ID: strings(batch[records.USER]), records.ITEM_ID: strings(batch[records.ITEM])}
    return {**request, records.DENSE: batch[records.DENSE]}


def to_examples(request: Request) -> list[bytes]:
    """A serialized tf.Example per row of a request."""
    examples = []
    for row in range(len(request[records.ITEM_ID])):
        texts = {k: [s for s in np.atleast_1d(v[row]) if s] for k, v in request.items() if k != records.DENSE}
        floats = {records.DENSE: request[records.DENSE][row].tolist()}
        texts[records.ITEM_ID] = [request[records.ITEM_ID][row]]
        examples.append(records.encode(floats=floats, texts=texts))
    return examples


def one_context(request: Request, spec: CtrSpec) -> Request:
    """All candidates of a request, in the context of its first row."""
    shared = context_features(spec)
    return {key: value[:1] if key in shared else value for key, value in request.items()}


def check(path: str, model: ClickModel, batch: dict[str, np.ndarray], request: Request) -> float:
    """Scores the request by all signatures of the SavedModel at `path`; returns the largest difference.

    Raises:
        DataError: a score isn't the Keras model's.
    """
    signatures = tf.saved_model.load(path).signatures
    ids = {key: tf.constant(value) for key, value in batch.items() if value.dtype != object}
    expected = model(ids, training=False).numpy()
    context = {records.USER, records.QUERY_KEYWORDS, *map(records.behavior_key, model.spec.behaviors)}
    shared = {key: tf.repeat(v[:1], len(expected), axis=0) if key in context else v for key, v in ids.items()}
    scored = {
        PREDICT: (_call(signatures[PREDICT], request), expected),
        SERVING_DEFAULT: (_call(signatures[SERVING_DEFAULT], {EXAMPLES: to_examples(request)}), expected),
        RANK: (
            _call(signatures[RANK], one_context(request, model.spec)),
            model(shared, training=False).numpy(),
        ),
    }
    worst = 0.0
    for name, (found, wanted) in scored.items():
        difference = float(np.max(np.abs(found - wanted))) if found.shape == wanted.shape else float("inf")
        if not difference <= TOLERANCE:
            raise DataError(f"{path}: signature {name!r} differs by {difference} from the model in training")
        worst = max(worst, difference)
    return worst


def _call(signature, request) -> np.ndarray:
    return signature(**{key: tf.constant(value) for key, value in request.items()})[LOGITS].numpy()
