"""Reading of delimited files, with errors that name file, line and field."""

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from kdcn_tf.errors import DataError
from kdcn_tf.jsonl import lines_of

T = TypeVar("T")


class Row:
    """One line of a file: its values by column, and where it stands."""

    def __init__(self, path: str, line: int, values: dict[str, str]):
        self._path, self._line, self._values = path, line, values

    def text(self, column: str) -> str:
        return self._values[column]

    def id(self, column: str) -> str:
        """A value that mustn't be empty."""
        if not self._values[column]:
            raise self.error(column, "is empty")
        return self._values[column]

    def number(self, column: str, kind: Callable[[str], T]) -> T:
        try:
            return kind(self._values[column])
        except ValueError:
            raise self.error(column, f"not a number: {self._values[column][:40]!r}") from None

    def error(self, column: str, reason: str) -> DataError:
        return DataError(f"{self._path}:{self._line}: {column}: {reason}")


def csv_rows(path: str, columns: Sequence[str]) -> Iterator[Row]:
    """Rows of a CSV file with a header.

    Raises:
        DataError: a column is missing, or a row has another number of values than the header.
    """
    reader = csv.reader(text for _, text in lines_of(path))
    rows = _values(reader, path)
    header = next(rows)
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path}:1: no column {missing[0]!r}; there are: {', '.join(header)}")
    for values in rows:
        if len(values) != len(header):
            raise DataError(f"{path}:{reader.line_num}: {len(values)} values, the header has {len(header)}")
        yield Row(path, reader.line_num, dict(zip(header, values, strict=True)))


def _values(reader: Any, path: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}") from None


def tsv_rows(path: str, columns: Sequence[str]) -> Iterator[Row]:
    """Rows of a file without header, its values between tabs.

    Raises:
        DataError: a row has another number of values.
    """
    for line, text in lines_of(path):
        values = text.rstrip("\r\n").split("\t")
        if len(values) != len(columns):
            raise DataError(f"{path}:{line}: {len(values)} columns, expected {', '.join(columns)}")
        yield Row(path, line, dict(zip(columns, values, strict=True)))
