"""From files to checked records, one element each, with file and line for what is wrong."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from kdcn_tf.config import LogsConfig
from pipelines import logs
from pipelines.counting import COUNTS, DEAD, GOOD, CountingDoFn
from pipelines.dead_letters import dead_letter, shown
from pipelines.fields import RecordError
from pipelines.parsing import chunks


def read_lines(path: str) -> Iterator[tuple[int, Any]]:
    """(number from 1, line as bytes or Parquet row as dict) of a file.

    Raises:
        DataError: the file is empty, or its compression or Parquet is broken.
    """
    for chunk in chunks.read_chunks(path):
        yield from chunks.rows_of(chunk)


class ParseRecords(CountingDoFn):
    """Path of a file -> (record, file, line), or (record, digest of its line); dead letters and counts on the side."""

    def __init__(self, stream: str, config: LogsConfig, digests: bool = False):
        self._stream, self._config, self._digests = stream, config, digests

    def process(self, path: str):
        for number, line in read_lines(path):
            self.count(f"read.{self._stream}")
            if not line:
                self.count(f"filtered.{self._stream}.blank_line")
                continue
            try:
                record, unknown = logs.parse(self._stream, line, self._config)
            except RecordError as error:
                content = shown(line, self._config.dead_letter_records)
                yield dead_letter(self._stream, path, number, error, "parse", content)
                continue
            if unknown:
                self.count(f"unknown_fields.{self._stream}", unknown)
            yield (record, chunks.digest_number(line)) if self._digests else (record, path, number)


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
