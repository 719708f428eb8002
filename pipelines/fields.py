"""Typed access to the fields of one log record. Pure, no Beam."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

LARGEST = 3.4e38  # examples hold 32-bit floats; above this they would hold infinity
LARGEST_WHOLE = 2**53 - 1  # above this, a float may stand for another whole number


class RecordError(ValueError):
    """A record breaks the input contract; `field` is empty where the whole record does."""

    def __init__(self, field: str, reason: str):
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field, self.reason = field, reason

    def __reduce__(self):
        return RecordError, (self.field, self.reason)


class Fields:
    """Fields of one record; null counts as absent."""

    def __init__(self, row: Mapping[str, Any]):
        self._row = row

    def has(self, name: str) -> bool:
        return self._row.get(name) is not None

    def value(self, name: str) -> Any:
        return self._row.get(name)

    def require(self, name: str) -> Any:
        value = self._row.get(name)
        if value is None:
            raise RecordError(name, "is missing")
        return value

    def text(self, name: str) -> str:
        """A required text that isn't empty; whole numbers are common as ids and become decimal text."""
        value = self.require(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise RecordError(name, "not a text")
        if not value:
            raise RecordError(name, "is empty")
        return _valid(name, value)

    def texts(self, name: str) -> list[str]:
        """A list of texts; one text is a list of one, absent is empty."""
        value = self._row.get(name)
        if value is None:
            return []
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, (list, tuple)) or not all(isinstance(one, str) for one in found):
            raise RecordError(name, "not a list of texts")
        return [_valid(name, one) for one in found]

    def number(self, name: str) -> float:
        return _finite(name, self.require(name))

    def whole_number(self, name: str) -> int:
        """A required whole number, 0 or more; a Parquet column with gaps may hold it as a float."""
        number = self.number(name)
        if not number.is_integer():
            raise RecordError(name, "not a whole number")
        if number < 0:
            raise RecordError(name, "is negative")
        if number > LARGEST_WHOLE:
            raise RecordError(name, "is too large")
        return int(number)

    def numbers(self, name: str) -> tuple[tuple[str, float], ...]:
        """(name, number) pairs of a mapping, sorted by name; null values are absent."""
        return tuple(sorted((key, _finite(name, value)) for key, value in self.mapping(name)))

    def mapping(self, name: str) -> Iterable[tuple[str, Any]]:
        """Pairs of an object, without null values; Parquet readers give a map as a list of pairs."""
        value = self._row.get(name)
        if value is None:
            return []
        pairs = list(value.items()) if isinstance(value, Mapping) else value
        if not isinstance(pairs, list) or not all(isinstance(p, tuple) and len(p) == 2 for p in pairs):
            raise RecordError(name, "not an object")
        if not all(isinstance(key, str) and key for key, _ in pairs):
            raise RecordError(name, "has an empty name")
        return [(_valid(name, key), one) for key, one in pairs if one is not None]

    @staticmethod
    def as_text(name: str, value: Any) -> str:
        """A property's value as text: whole numbers by their digits, others by 12 at the most, truth values as in JSON.

        A float stands for a whole number where no other one could be meant, so 1 and 1.0 are one value.
        """
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            number = _finite(name, value)
            is_whole = isinstance(value, int) or (number.is_integer() and abs(number) <= LARGEST_WHOLE)
            return str(int(value)) if is_whole else f"{number:.12g}"
        if not isinstance(value, str):
            raise RecordError(name, "not a text or number")
        return _valid(name, value)


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecordError(name, "not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RecordError(name, "is not finite")
    if abs(number) > LARGEST:
        raise RecordError(name, "is too large")
    return number


def _valid(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can escape
        raise RecordError(name, "not valid Unicode") from None
    return value
