"""From files to checked records, with file and line for what is wrong.

A file is read by one worker from its beginning, because a line number needs all lines before it:
split large logs into many files.
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as parquet

from kdcn_tf import files
from kdcn_tf.config import LogsConfig
from kdcn_tf.errors import DataError
from pipelines import logs
from pipelines.counting import COUNTS, DEAD, GOOD, CountingDoFn
from pipelines.dead_letters import dead_letter
from pipelines.fields import RecordError

_PARQUET_MAGIC, _GZIP_MAGIC = b"PAR1", b"\x1f\x8b"


def read_lines(path: str) -> Iterator[tuple[int, Any]]:
    """(number from 1, line as bytes or Parquet row as dict) of a file.

    Raises:
        DataError: the file is empty, or its compression or Parquet is broken.
    """
    number = 0
    try:
        with files.open_read(path) as stream:
            magic = stream.read(4)
            stream.seek(0)
            rows = _parquet_rows(stream) if magic == _PARQUET_MAGIC else _text_lines(stream, magic[:2] == _GZIP_MAGIC)
            for number, row in enumerate(rows, start=1):
                yield number, row
    except (EOFError, zlib.error, pa.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:
        raise DataError(f"{path}: broken after line {number}: {error}") from None
    if not number:
        raise DataError(f"{path}: the file is empty")


def _text_lines(stream: Any, compressed: bool) -> Iterator[bytes]:
    lines = gzip.GzipFile(fileobj=stream) if compressed else stream
    mark = codecs.BOM_UTF8  # some editors begin a file with it
    for line in io.BufferedReader(lines, 1 << 20) if compressed else lines:
        yield line.removeprefix(mark).rstrip(b"\r\n")
        mark = b""


def _parquet_rows(stream: Any) -> Iterator[dict[str, Any]]:
    for batch in parquet.ParquetFile(stream).iter_batches(batch_size=1024):
        yield from batch.to_pylist()


class ParseRecords(CountingDoFn):
    """Path of a file -> (record, file, line); dead letters and counts on the side."""

    def __init__(self, stream: str, config: LogsConfig):
        self._stream, self._config = stream, config

    def process(self, path: str):
        for number, line in read_lines(path):
            self.count(f"read.{self._stream}")
            if not line:
                self.count(f"filtered.{self._stream}.blank_line")
                continue
            try:
                record, unknown = logs.parse(self._stream, line, self._config)
            except RecordError as error:
                yield dead_letter(self._stream, path, number, error, "parse")
                continue
            if unknown:
                self.count(f"unknown_fields.{self._stream}", unknown)
            yield record, path, number


class ParseExtras(CountingDoFn):
    """Path of a TSV file -> ((head, relation, tail), file, line)."""

    def __init__(self, stream: str, head_type: str, tail_type: str):
        self._stream, self._types = stream, (head_type, tail_type)

    def process(self, path: str):
        for number, line in read_lines(path):
            self.count(f"read.{self._stream}")
            if not line:
                self.count(f"filtered.{self._stream}.blank_line")
                continue
            try:
                yield logs.parse_extra(line, *self._types), path, number
            except RecordError as error:
                yield dead_letter(self._stream, path, number, error, "parse")


class ReadFiles(beam.PTransform):
    """Files -> outputs GOOD (record, file, line), DEAD and COUNTS of a parsing DoFn."""

    def __init__(self, paths: tuple[str, ...], parse: CountingDoFn):
        super().__init__()
        self._paths, self._parse = paths, parse

    def expand(self, pipeline):
        return (
            pipeline
            | "Files" >> beam.Create(self._paths)
            # Without it a runner may fuse all files into one bundle.
            | "OnePerWorker" >> beam.Reshuffle()
            | "Parse" >> beam.ParDo(self._parse).with_outputs(COUNTS, DEAD, main=GOOD)
        )
