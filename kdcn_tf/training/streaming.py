"""Exact metrics of impressions that arrive in parts."""

import numpy as np

from kdcn_tf.training import metrics
from kdcn_tf.training.metrics import Figures, SessionSums

_Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Labels (bool), logits (as they came), sessions (int64)."""


class Stream:
    """The figures of `metrics.summarize`, to rounding, of impressions added bit by bit.

    In memory it holds

    - of sessions that are known to be whole: two counts and the value of each distinct logit (24 bytes), and sums;
    - of all others each impression's label, logit and session (13 bytes with float32 logits), for a session's AUC and
      NDCG need all its impressions, and those of a shuffled dataset lie anywhere in it.

    So it never holds an example's features, and with whole sessions it grows with distinct logits only.
    """

    def __init__(self) -> None:
        self._logits, self._clicks, self._shown = np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
        self._sums = SessionSums()
        self._open: list[_Rows] = []

    def add(self, labels: np.ndarray, logits: np.ndarray, sessions: np.ndarray, *, whole: bool = False) -> None:
        """Takes in impressions.

        Args:
            labels: [n], 0 or 1.
            logits: [n].
            sessions: [n], session of each impression.
            whole: none of these sessions has impressions in another call.

        Raises:
            ValueError: logits that are NaN or infinite; nothing is taken in.
        """
        metrics.require_finite(logits)
        rows = np.asarray(labels).astype(bool), np.array(logits), np.array(sessions, np.int64)
        if whole:
            self._fold(rows)
        else:
            self._carry(rows)

    def merge(self, other: "Stream") -> None:
        """Takes in all that another stream did; sessions that both carry become one."""
        self._count(other._logits, other._clicks, other._shown)
        self._sums = self._sums.plus(other._sums)
        for rows in other._open:
            self._carry(rows)

    def summarize(self) -> Figures:
        """Figures of everything so far; more may be added afterwards."""
        total = Stream()
        total._count(self._logits, self._clicks, self._shown)
        total._sums = self._sums
        if self._open:
            total._fold(_joined(self._open))
        return metrics.figures(total._clicks, total._logits, total._shown, total._sums)

    def _carry(self, rows: _Rows) -> None:
        """Keeps rows of sessions that may go on; parts are joined so that there are few, each row a few times."""
        self._open.append(rows)
        while len(self._open) > 1 and len(self._open[-2][0]) <= len(self._open[-1][0]):
            self._open[-2:] = [_joined(self._open[-2:])]

    def _fold(self, rows: _Rows) -> None:
        labels, logits, _ = rows
        self._count(logits, labels, np.ones(len(labels), np.int64))
        self._sums = self._sums.plus(SessionSums.of(*rows))

    def _count(self, logits: np.ndarray, clicks: np.ndarray, shown: np.ndarray) -> None:
        """Adds clicks and impressions to those of each distinct logit."""
        every = np.concatenate([self._logits, logits])
        self._logits, places = np.unique(every, return_inverse=True)
        added = np.zeros((2, len(self._logits)), np.int64)
        for row, old, new in ((added[0], self._clicks, clicks), (added[1], self._shown, shown)):
            np.add.at(row, places.reshape(-1), np.concatenate([old, new.astype(np.int64)]))
        self._clicks, self._shown = added


def _joined(parts: list[_Rows]) -> _Rows:
    labels, logits, sessions = (np.concatenate(column) for column in zip(*parts, strict=True))
    return labels, logits, sessions
