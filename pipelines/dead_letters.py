"""Records put aside: where and why, never what stood in them."""

import json
from typing import NamedTuple

import apache_beam as beam

from kdcn_tf import keys
from pipelines.counting import DEAD
from pipelines.fields import RecordError
from pipelines.writing import WriteShards, json_lines, with_order

GROUP = "dead_letters"
_LINES_PER_FILE = 100_000


class DeadLetter(NamedTuple):
    """Where and why a record was put aside; never its content, which may name people."""

    stream: str
    file: str
    line: int
    field: str
    reason: str
    stage: str

    def to_json(self) -> bytes:
        body = {"file": self.file, "line": self.line, "field": self.field, "reason": self.reason, "stage": self.stage}
        return json.dumps(body, ensure_ascii=False).encode()


def dead_letter(stream: str, file: str, line: int, error: RecordError, stage: str) -> beam.pvalue.TaggedOutput:
    # A plain tuple: Beam codes it without pickling.
    return beam.pvalue.TaggedOutput(DEAD, tuple(DeadLetter(stream, file, line, error.field, error.reason, stage)))


class WriteDeadLetters(beam.PTransform):
    """Dead letters -> FileRow of JSON Lines files; (`dead.<stream>`, number) comes from `CountDeadLetters`."""

    def __init__(self, directory: str):
        super().__init__()
        self._directory = directory

    def expand(self, dead):
        return (
            dead
            | "ToRow" >> beam.Map(_row)
            | WriteShards(self._directory, rows_per_file=_LINES_PER_FILE, encode=_sorted_lines, extension="jsonl")
        )


class CountDeadLetters(beam.PTransform):
    """Dead letters -> (`dead.<stream>`, number)."""

    def expand(self, dead):
        return dead | beam.Map(lambda letter: (f"dead.{letter[0]}", 1)) | beam.CombinePerKey(sum)


def _row(letter: tuple) -> tuple[str, bytes]:
    body = DeadLetter(*letter).to_json()
    return GROUP, with_order(keys.stable_hash(body.decode()), body)


def _sorted_lines(payloads: list[bytes]) -> bytes:
    return json_lines(sorted(payloads))
