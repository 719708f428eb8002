"""Gradient boosted trees to compare K-DCN with, on the same inputs, by LightGBM."""

import logging
from typing import Any

import numpy as np

from kdcn_tf import records
from kdcn_tf.config_clicks import GbdtConfig
from kdcn_tf.data.ctr import CtrSpec
from kdcn_tf.models.tabular import Columns, Examples, Table

log = logging.getLogger(__name__)

METRIC = "binary_logloss"
"""What the number of trees is chosen by. By AUC growing may stop at the first few, whose order can't get better for a
hundred more."""


class BoostedTrees:
    """LightGBM on the columns of `Table`; the number of trees is chosen on held-out examples.

    They are chosen by log loss (`METRIC`). Equal for equal seeds.

    Args:
        spec: the features.
        options: of the trees and of the columns.
        seed: of folds, bagging and feature fractions.
    """

    def __init__(self, spec: CtrSpec, options: GbdtConfig, seed: int):
        self._options, self._seed = options, seed
        self._table = Table(spec, options.smoothing, options.folds, seed)
        self._booster: Any = None

    def fit(self, train: Examples, valid: Examples) -> "BoostedTrees":
        """Boosts until `patience` trees in a row haven't made the log loss of `valid` smaller.

        Args:
            train: examples by feature key, as `kdcn_tf.data.ctr.read_all` gives them.
            valid: examples to choose by.
        """
        import lightgbm

        columns = self._table.fit(train)
        names = list(columns)

        def dataset(columns: Columns, examples: Examples, reference: Any = None) -> Any:
            return lightgbm.Dataset(
                _matrix(columns), examples[records.LABEL], weight=examples[records.WEIGHT], reference=reference,
                feature_name=[f"f{i}" for i in range(len(names))], params={"verbosity": -1},
                categorical_feature=[names.index(name) for name in self._table.categorical],
            )  # fmt: skip

        inputs = dataset(columns, train)
        self._booster = lightgbm.train(
            self._parameters(),
            inputs,
            self._options.rounds,
            valid_sets=[dataset(self._table.of(valid), valid, inputs)],
            callbacks=[lightgbm.early_stopping(self._options.patience, verbose=False)],
        )
        log.info("gbdt: %d trees, validation log loss %.4f", self._booster.best_iteration,
                 self._booster.best_score["valid_0"][METRIC])  # fmt: skip
        gains = self._booster.feature_importance("gain")
        order = np.argsort(-gains, kind="stable")[:10]
        log.info("gbdt: most gain by %s", ", ".join(f"{names[i]} {gains[i] / max(gains.sum(), 1):.0%}" for i in order))
        return self

    def logits(self, examples: Examples) -> np.ndarray:
        """Logits [n] of n examples."""
        return self._booster.predict(_matrix(self._table.of(examples)), raw_score=True)

    @property
    def trees(self) -> int:
        """Number of trees chosen."""
        return self._booster.best_iteration

    def _parameters(self) -> dict[str, Any]:
        options = self._options
        return {
            "objective": "binary",
            "metric": METRIC,
            "learning_rate": options.learning_rate,
            "num_leaves": options.leaves,
            "min_data_in_leaf": options.min_leaf_rows,
            "feature_fraction": options.feature_fraction,
            "bagging_fraction": options.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": options.l2,
            "seed": self._seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


def _matrix(columns: Columns) -> np.ndarray:
    return np.stack([np.asarray(column, np.float64) for column in columns.values()], axis=1)
