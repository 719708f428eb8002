"""Reading of small delimited and JSON Lines files, with errors that name file, line and field."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from kdcn_tf import files
from kdcn_tf.errors import DataError

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


def lines_of(path: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of a UTF-8 file, plain or gzip.

    Raises:
        DataError: the file is missing, empty, cut off or not UTF-8.
    """
    line = 0
    with files.open_read(path) as raw:
        stream = gzip.GzipFile(fileobj=raw) if path.endswith(".gz") else raw
        try:
            for line, text in enumerate(io.TextIOWrapper(stream, encoding="utf-8-sig", newline=""), start=1):  # type: ignore[arg-type]
                yield line, text
        except UnicodeDecodeError:
            raise DataError(f"{path}: not UTF-8, after line {line}") from None
        except (OSError, EOFError) as error:
            raise DataError(f"{path}: can't be read, after line {line}: {error}") from None
    if not line:
        raise DataError(f"{path}: the file is empty")


def csv_rows(path: str, columns: Sequence[str]) -> Iterator[Row]:
    """Rows of a CSV file with a header.

    Raises:
        DataError: a column is missing, or a row has another number of values than the header.
    """
    reader = csv.reader(text for _, text in lines_of(path))
    header = next(reader)
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path}:1: no column {missing[0]!r}; there are: {', '.join(header)}")
    for values in reader:
        if len(values) != len(header):
            raise DataError(f"{path}:{reader.line_num}: {len(values)} values, the header has {len(header)}")
        yield Row(path, reader.line_num, dict(zip(header, values, strict=True)))


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


def json_rows(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbered JSON objects, one a line.

    Raises:
        DataError: a line isn't a JSON object.
    """
    for line, text in lines_of(path):
        try:
            row = json.loads(text)
        except ValueError:
            raise DataError(f"{path}:{line}: malformed JSON") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}:{line}: not a JSON object")
        yield line, row
