"""Counts that leave a job as data, and the check that nothing got lost.

Counts are an output like any other, not runner metrics: a bundle that is run again doesn't count
twice, on any runner. Names: `read.<stream>`, `used.<stream>`, `dead.<stream>`,
`filtered.<stream>.<reason>`, `unknown_fields.<stream>`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from kdcn_tf.errors import DataError
from pipelines import memory

COUNTS, DEAD, GOOD = "counts", "dead", "good"
"""Tags of outputs: (name, number) pairs, dead letters, the records themselves."""


class CountingDoFn(beam.DoFn):
    """A DoFn that counts into its output `COUNTS`, once per bundle."""

    def infer_output_type(self, input_type: Any) -> Any:
        return Any  # Beam would take a tagged output for an element of the main one

    def start_bundle(self) -> None:
        memory.give_back()  # what the step before has freed
        self._counts: Counter[str] = Counter()

    def count(self, name: str, number: int = 1) -> None:
        self._counts[name] += number

    def finish_bundle(self) -> Iterator[beam.pvalue.TaggedOutput]:
        for pair in sorted(self._counts.items()):
            yield beam.pvalue.TaggedOutput(COUNTS, GlobalWindows.windowed_value(pair))


class SumCounts(beam.PTransform):
    """(name, number) pairs of all steps -> one pair per name."""

    def expand(self, counts):
        return counts | "SumPerName" >> beam.CombinePerKey(sum)


def reconcile(counts: Mapping[str, int], streams: Iterable[str]) -> None:
    """Checks input = output + dead letters + filtered, per stream.

    Raises:
        DataError: naming the stream whose records don't add up.
    """
    for stream in streams:
        read = counts.get(f"read.{stream}", 0)
        used, dead = counts.get(f"used.{stream}", 0), counts.get(f"dead.{stream}", 0)
        filtered = sum(n for name, n in counts.items() if name.startswith(f"filtered.{stream}."))
        if read != used + dead + filtered:
            raise DataError(
                f"{stream}: {read} records read, but {used} used + {dead} dead letters + {filtered} filtered "
                f"make {used + dead + filtered}"
            )


def check_bad_share(counts: Mapping[str, int], streams: Iterable[str], limit: float, where: str) -> None:
    """Refuses input with too many dead letters.

    Raises:
        DataError: naming the stream, the share and where the dead letters are.
    """
    for stream in streams:
        read, dead = counts.get(f"read.{stream}", 0), counts.get(f"dead.{stream}", 0)
        if dead > limit * read:
            raise DataError(
                f"{stream}: {dead} of {read} records are bad, more than logs.max_bad_share={limit:g}; {where}"
            )
