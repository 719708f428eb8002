"""Records put aside: where and why, and what stood in them only if the user asks for it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import apache_beam as beam

from kdcn_tf import keys
from pipelines.counting import DEAD
from pipelines.fields import RecordError
from pipelines.writing import WriteShards, json_lines, with_order

GROUP = "dead_letters"
_LINES_PER_FILE = 100_000


class DeadLetter(NamedTuple):
    """Where and why a record was put aside. `record` is its content, which may name people, so by default None."""

    stream: str
    file: str
    line: int
    field: str
    reason: str
    stage: str
    record: str | None = None

    def to_json(self) -> bytes:
        body = {"file": self.file, "line": self.line, "field": self.field, "reason": self.reason, "stage": self.stage}
        if self.record is not None:
            body["record"] = self.record
        return json.dumps(body, ensure_ascii=False).encode()


def dead_letter(
    stream: str, file: str, line: int, error: RecordError, stage: str, record: str | None = None
) -> beam.pvalue.TaggedOutput:
    # A plain tuple: Beam codes it without pickling.
    return beam.pvalue.TaggedOutput(
        DEAD, tuple(DeadLetter(stream, file, line, error.field, error.reason, stage, record))
    )


def shown(record: bytes | Mapping[str, Any], how: str) -> str | None:
    """What a dead letter shows of a record.

    Args:
        record: a line, or a Parquet row.
        how: a value of `logs.dead_letter_records`.

    Returns:
        none: None. raw: the text as it stands. redacted: JSON with the record's names of fields, in place of
        texts only their lengths and of numbers 0; of what isn't JSON, only the length.
    """
    if how == "none":
        return None
    if how == "raw":
        return record.decode(errors="backslashreplace") if isinstance(record, bytes) else _json(record)
    try:
        return _json(_redacted(json.loads(record.decode()) if isinstance(record, bytes) else record))
    except (ValueError, RecursionError):
        return f"<{len(record)} bytes>"


def _redacted(value: Any) -> Any:
    if value is None or isinstance(value, bool) or value == "":
        return value
    if isinstance(value, str):
        return f"<{len(value)} characters>"
    if isinstance(value, Mapping):
        return {name: _redacted(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(one) for one in value]
    return 0 if isinstance(value, (int, float)) else f"<{type(value).__name__}>"


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


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
        return dead | "ByStream" >> beam.Map(lambda letter: (f"dead.{letter[0]}", 1)) | "Sum" >> beam.CombinePerKey(sum)


def _row(letter: tuple) -> tuple[str, bytes]:
    body = DeadLetter(*letter).to_json()
    return GROUP, with_order(keys.stable_hash(body.decode()), body)


def _sorted_lines(payloads: list[bytes]) -> bytes:
    return json_lines(sorted(payloads))
