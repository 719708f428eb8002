"""Ids of one entity type, whose ranges may lie apart, as places 0, 1, 2, ... and back."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Places:
    """Numbers the ids of some ranges [first, last) one after the other.

    Args:
        spans: disjoint, in id order, as of `IdMap.spans`; () for a type that isn't there.
    """

    spans: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return sum(last - first for first, last in self.spans)

    def of(self, ids: np.ndarray) -> np.ndarray:
        """int64, same shape: place of each id, -1 for those outside the ranges."""
        found = np.full(np.shape(ids), -1, np.int64)
        start = 0
        for first, last in self.spans:
            found = np.where((ids >= first) & (ids < last), ids - first + start, found)
            start += last - first
        return found

    def id_of(self, place: int) -> int:
        """Raises: IndexError: there is no such place."""
        for first, last in self.spans:
            if 0 <= place < last - first:
                return first + place
            place -= last - first
        raise IndexError(f"no such place among the ids {self.spans}")
