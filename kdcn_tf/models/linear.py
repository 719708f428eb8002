"""Logistic regression to compare K-DCN with, on the same inputs, by scikit-learn."""

import logging
from typing import Any

import numpy as np

from kdcn_tf import records
from kdcn_tf.ckg import PAD_ID
from kdcn_tf.config_clicks import LrConfig
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.layers.dense import DenseTransform
from kdcn_tf.records import OOV_ID

log = logging.getLogger(__name__)

Examples = dict[str, np.ndarray]


class LogisticRegression:
    """Logistic regression over one-hot ids and standardised statistics, its strength chosen on held-out examples.

    Every id feature of K-DCN is there: user, candidate, keywords, categories and the items of each
    behaviour kind; a list is the mean of its one-hot rows. Ids that training didn't see count nothing.

    Args:
        spec: the features.
        options: strengths to choose from, and how long one is fitted.
        seed: taken as other models take one; nothing here is random.
    """

    def __init__(self, spec: CtrSpec, options: LrConfig, seed: int = 0):
        self.spec, self._options = spec, options
        self.chosen: float | None = None
        self._columns: dict[str, np.ndarray] = {}
        self._model: Any = None

    def fit(self, train: Examples, valid: Examples) -> "LogisticRegression":
        """Fits a model per strength, in order, until the log loss on `valid` no longer falls; keeps the best.

        Args:
            train: examples by feature key, as `kdcn_tf.data.ctr.read_all` gives them.
            valid: examples to choose by.
        """
        from sklearn.linear_model import LogisticRegression as Fitted
        from sklearn.metrics import log_loss

        self._columns = {key: _seen(train[key]) for key in self._id_features()}
        inputs, held_out = self._matrix(train), self._matrix(valid)
        best = np.inf
        for strength in sorted(self._options.strengths):
            fitted = Fitted(C=strength, max_iter=self._options.iterations)
            fitted.fit(inputs, train[records.LABEL], sample_weight=train[records.WEIGHT])
            loss = log_loss(valid[records.LABEL], fitted.predict_proba(held_out)[:, 1], labels=[0, 1])
            log.info("logistic regression, C = %g: validation log loss %.4f", strength, loss)
            if loss >= best:
                break  # less regularisation only fits slower and worse from here on
            best, self.chosen, self._model = loss, strength, fitted
        return self

    def logits(self, examples: Examples) -> np.ndarray:
        """Logits [n] of n examples."""
        return self._model.decision_function(self._matrix(examples))

    def _id_features(self) -> list[str]:
        return [records.USER, records.ITEM, *self.spec.list_sizes()]

    def _matrix(self, examples: Examples) -> Any:
        from scipy import sparse

        parts = [_one_hot(examples[key], self._columns[key]) for key in self._id_features()]
        return sparse.hstack([*parts, sparse.csr_matrix(self._statistics(examples))], format="csr")

    def _statistics(self, examples: Examples) -> np.ndarray:
        """Standardised as K-DCN does it."""
        return DenseTransform(self.spec.dense_mean, self.spec.dense_std)(examples[records.DENSE]).numpy()


def _seen(ids: np.ndarray) -> np.ndarray:
    """Distinct ids, sorted, without those that stand for no entity."""
    distinct = np.unique(ids)
    return distinct[(distinct != PAD_ID) & (distinct != OOV_ID)]


def _one_hot(ids: np.ndarray, columns: np.ndarray) -> Any:
    """CSR [n, len(columns)]: rows of ids [n] or [n, L], each known id with weight one over their number."""
    from scipy import sparse

    ids = ids.reshape(len(ids), -1)
    places = np.minimum(np.searchsorted(columns, ids), max(len(columns) - 1, 0))
    known = columns[places] == ids if len(columns) else np.zeros(ids.shape, bool)
    rows, inside = np.nonzero(known)
    sizes = np.bincount(rows, minlength=len(ids))
    shape = (len(ids), len(columns))
    return sparse.csr_matrix((1.0 / sizes[rows], (rows, places[rows, inside])), shape=shape)
