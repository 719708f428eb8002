"""Numbered lines and JSON objects of text files, with errors that name file and line."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from typing import Any

from kdcn_tf import files
from kdcn_tf.errors import DataError


def lines_of(path: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of a UTF-8 file, plain or gzip (*.gz).

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
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: can't be read, after line {line}: {error}") from None
    if not line:
        raise DataError(f"{path}: the file is empty")


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
