"""Stable 64-bit hashes of names, and of what is made of them. Pure NumPy, no Beam.

Between reading and numbering, an entity is the hash of its type and key, so that rows have a fixed size
and need no table. Whoever sees the names of a hash checks that there is only one (`pipelines.entities`).
"""

import hashlib
from collections.abc import Iterable

import numpy as np

BITS = 64
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

Hashes = np.ndarray
"""uint64, uniform over all values."""


def of_texts(texts: Iterable[str], prefix: str, salt: int = 0) -> Hashes:
    """Hashes of texts in the namespace `prefix`; another `salt` gives unrelated ones."""
    base = hashlib.blake2b(f"{prefix}\t".encode(), digest_size=8, key=salt.to_bytes(8, "little") if salt else b"")
    digests = []
    for text in texts:
        one = base.copy()
        one.update(text.encode())
        digests.append(one.digest())
    return np.frombuffer(b"".join(digests), "<u8")


def mixed(values: Hashes) -> Hashes:
    """A bijection of 64-bit numbers that spreads every bit over all (the finaliser of SplitMix64)."""
    found = values.astype(np.uint64)
    found = (found ^ (found >> np.uint64(30))) * _FIRST
    found = (found ^ (found >> np.uint64(27))) * _SECOND
    return found ^ (found >> np.uint64(31))


def combined(*columns: Hashes) -> Hashes:
    """Row-wise hash of several columns; their order matters."""
    found = columns[0]
    for column in columns[1:]:
        found = mixed(found + _GOLDEN) ^ column
    return mixed(found + _GOLDEN)


def of_pairs(heads: Hashes, tails: Hashes) -> Hashes:
    """Row-wise hash of unordered pairs."""
    return combined(np.minimum(heads, tails), np.maximum(heads, tails))


def parts(values: Hashes, number: int) -> np.ndarray:
    """Which of `number` equal ranges of the hashes' values each lies in: int64, rising with the hash."""
    return ((values >> np.uint64(32)) * np.uint64(number) >> np.uint64(32)).astype(np.int64)


def shares(values: Hashes) -> np.ndarray:
    """Each hash as a number in [0, 1)."""
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53
