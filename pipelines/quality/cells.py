"""Parts of a summary: each is bounded, and adding is associative and commutative, exactly.

So a summary is the same for every order in which files are read and summaries added, and no step holds more than
these. Sums of real numbers are kept as integers; sums of floats would depend on the order.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from kdcn_tf import keys

FORMAT = 1
"""Of `statistics.json` and `drift.json`."""

_UNIT = 1 << 128
_BUCKETS_PER_OCTAVE = 4
_BUCKET_OF_ONE = 601  # float32 reaches down to 2**-149, so that every bucket's number is positive
_POPCOUNT = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


@dataclass(frozen=True)
class Total:
    """A number."""

    number: int = 0

    def __add__(self, other: "Total") -> "Total":
        return Total(self.number + other.number)

    def to_json(self) -> int:
        return self.number


@dataclass(frozen=True)
class Counts:
    """How often each key occurs; of more than `limit` keys, those with the smallest stable hash, the others together.

    A key that is among the kept ones of all was among the kept ones of every part, so the kept counts are exact.
    """

    numbers: Mapping[Any, int] = field(default_factory=dict)
    others: int = 0
    limit: int = 10_000

    @classmethod
    def of(cls, values: np.ndarray, **options: int) -> "Counts":
        found, numbers = np.unique(values, return_counts=True)
        return cls({}, **options) + cls(dict(zip(found.tolist(), numbers.tolist(), strict=True)), **options)

    def __add__(self, other: "Counts") -> "Counts":
        merged = dict(self.numbers)
        for key, number in other.numbers.items():
            merged[key] = merged.get(key, 0) + number
        others = self.others + other.others
        if len(merged) > self.limit:
            ordered = sorted(merged, key=lambda key: (keys.stable_hash(str(key)), str(key)))
            others += sum(merged[key] for key in ordered[self.limit :])
            merged = {key: merged[key] for key in ordered[: self.limit]}
        return Counts(merged, others, self.limit)

    def to_json(self) -> dict:
        return {"numbers": {str(key): self.numbers[key] for key in sorted(self.numbers)}, "others": self.others}


@dataclass(frozen=True)
class Moments:
    """Numbers of one feature: how many, missing, zero, extremes, exact sums, and a histogram of their size.

    `total` is in units of 2**-128, `squares` too: each file's sums are rounded once.
    """

    number: int = 0
    missing: int = 0
    zeros: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: int = 0
    squares: int = 0
    buckets: Counts = field(default_factory=Counts)

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """Moments of a file's numbers; NaN and infinite ones are missing."""
        values = np.asarray(values, np.float64)
        there = values[np.isfinite(values)]
        if not len(there):
            return cls(missing=len(values))
        return cls(
            number=len(there),
            missing=len(values) - len(there),
            zeros=int((there == 0).sum()),
            low=float(there.min()),
            high=float(there.max()),
            total=round(Fraction(math.fsum(there)) * _UNIT),
            squares=round(Fraction(math.fsum(there * there)) * _UNIT),
            buckets=Counts.of(bucket_of(there)),
        )

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.number + other.number,
            self.missing + other.missing,
            self.zeros + other.zeros,
            min(self.low, other.low),
            max(self.high, other.high),
            self.total + other.total,
            self.squares + other.squares,
            self.buckets + other.buckets,
        )

    def to_json(self) -> dict:
        body: dict[str, Any] = {"number": self.number, "missing": self.missing}
        if self.number:
            mean = Fraction(self.total, self.number * _UNIT)
            variance = Fraction(self.squares, self.number * _UNIT) - mean * mean
            body |= {"zeros": self.zeros, "min": self.low, "max": self.high, "mean": float(mean)}
            body |= {"std": math.sqrt(max(variance, Fraction(0))), "buckets": self.buckets.to_json()["numbers"]}
        return body


def bucket_of(values: np.ndarray) -> np.ndarray:
    """Number of the bucket of each value: 0 for 0, else by sign and size, four buckets to a doubling."""
    with np.errstate(divide="ignore"):
        size = np.floor(_BUCKETS_PER_OCTAVE * np.log2(np.abs(values))) + _BUCKET_OF_ONE
    return np.where(values == 0, 0, np.sign(values) * np.maximum(size, 1)).astype(np.int64)


def bucket_edges(bucket: int) -> tuple[float, float]:
    """The values that a bucket holds: from (included, for positive ones) and to."""
    if not bucket:
        return 0.0, 0.0
    low, high = (2.0 ** ((abs(bucket) - _BUCKET_OF_ONE + end) / _BUCKETS_PER_OCTAVE) for end in (0, 1))
    return (low, high) if bucket > 0 else (-high, -low)


@dataclass(frozen=True)
class Distinct:
    """The distinct ids of a range, exactly: sorted while they are few, then a bit per id of the range."""

    first: int
    size: int
    ids: np.ndarray | None = None
    bits: np.ndarray | None = None

    @classmethod
    def of(cls, ids: np.ndarray, first: int, last: int) -> "Distinct":
        return cls(first, last - first, np.unique(ids))

    def __add__(self, other: "Distinct") -> "Distinct":
        if self.ids is not None and other.ids is not None:
            together = np.union1d(self.ids, other.ids)
            if 8 * together.nbytes <= self.size:
                return Distinct(self.first, self.size, together)
            return Distinct(self.first, self.size, bits=self._bitmap(together))
        return Distinct(self.first, self.size, bits=self._as_bits() | other._as_bits())

    def _as_bits(self) -> np.ndarray:
        return self._bitmap(self.ids) if self.ids is not None else self.bits  # type: ignore[return-value]

    def _bitmap(self, ids: np.ndarray) -> np.ndarray:
        bits = np.zeros(-(-self.size // 8), np.uint8)
        places = ids - self.first
        np.bitwise_or.at(bits, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))
        return bits

    def to_json(self) -> int:
        if self.bits is None:
            return len(self.ids) if self.ids is not None else 0
        return int(_POPCOUNT[self.bits].sum(dtype=np.int64))


@dataclass(frozen=True)
class Largest:
    """The `limit` largest (number, id), ties by the smaller id."""

    rows: tuple[tuple[int, int], ...] = ()
    limit: int = 10

    @classmethod
    def of(cls, numbers: np.ndarray, ids: np.ndarray, limit: int = 10) -> "Largest":
        order = np.lexsort((ids, -numbers))[:limit]
        return cls(tuple(zip(numbers[order].tolist(), ids[order].tolist(), strict=True)), limit)

    def __add__(self, other: "Largest") -> "Largest":
        merged = sorted(self.rows + other.rows, key=lambda row: (-row[0], row[1]))
        return Largest(tuple(merged[: self.limit]), self.limit)

    def to_json(self) -> list[list[int]]:
        return [[entity, number] for number, entity in self.rows]


Summary = dict[tuple[str, ...], Any]
"""Path in the statistics -> a cell."""


def merge(parts: Iterable[Summary]) -> Summary:
    """The sum of summaries, cell by cell."""
    merged: Summary = {}
    for part in parts:
        for path, cell in part.items():
            merged[path] = merged[path] + cell if path in merged else cell
    return merged


def to_json(summary: Summary) -> dict:
    """Nested objects by path."""
    body: dict = {}
    for path in sorted(summary):
        place = body
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = summary[path].to_json()
    return body
