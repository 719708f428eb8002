"""Records that name an item must name one of the items stream; the others become dead letters."""

from typing import Any

import apache_beam as beam

from pipelines.counting import COUNTS, DEAD, GOOD, CountingDoFn
from pipelines.dead_letters import dead_letter
from pipelines.fields import RecordError

Row = tuple[str, Any, str, int]
"""Stream, payload, file and line."""


class _Match(CountingDoFn):
    def __init__(self, field: str, stage: str):
        self._field, self._stage = field, stage

    def process(self, element):
        _, values = element
        facts = next((value[1] for value in values if value[0] is None), None)
        # Passed over twice instead of gathered: a hot item may have more rows than fit in memory.
        for value in values:
            if value[0] is None:
                continue
            stream, _, file, line = value
            if facts is None:
                yield dead_letter(stream, file, line, RecordError(self._field, "unknown item"), self._stage)
            else:
                yield facts, value


class JoinItems(beam.PTransform):
    """{"rows": (item key, Row), "items": (item key, facts)} -> outputs GOOD (facts, Row), DEAD, COUNTS.

    Args:
        field: the field that names the item, for dead letters.
        stage: likewise.
    """

    def __init__(self, field: str, stage: str):
        super().__init__()
        self._field, self._stage = field, stage

    def expand(self, inputs):
        items = inputs["items"] | "Facts" >> beam.MapTuple(lambda key, facts: (key, (None, facts)))
        return (
            (inputs["rows"], items)
            | beam.Flatten()
            | "PerItem" >> beam.GroupByKey()
            | "Match" >> beam.ParDo(_Match(self._field, self._stage)).with_outputs(COUNTS, DEAD, main=GOOD)
        )
