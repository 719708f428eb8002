"""Mean and standard deviation of dense statistics over the training period.

The sums are integers in units of 2**-32, so that they are exact and equal for every order of the
input; sums of floats are not.
"""

import math
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

_UNIT = 1 << 32

Sums = tuple[int, int, int]
"""Number of values, their sum in units of 2**-32, sum of squares in units of 2**-64."""


def transform(value: float) -> float:
    """sign(x) * log1p(|x|): the scale on which the model sees a statistic."""
    return math.copysign(math.log1p(abs(value)), value)


def sums_of(value: float) -> Sums:
    fixed = round(transform(value) * _UNIT)
    return 1, fixed, fixed * fixed


def add(parts: Iterable[Sums]) -> Sums:
    number = total = squares = 0
    for part in parts:
        number, total, squares = number + part[0], total + part[1], squares + part[2]
    return number, total, squares


def mean_and_std(sums: Sums) -> tuple[float, float]:
    """Mean and population standard deviation; 1 in place of a deviation of 0, so that one may divide."""
    number, total, squares = sums
    variance = (number * squares - total * total) / (number * _UNIT) ** 2
    return total / (number * _UNIT), math.sqrt(variance) or 1.0


class _BundleSums(beam.DoFn):
    """(name, value) pairs of each record -> (name, `Sums`) once per bundle."""

    def start_bundle(self) -> None:
        self._sums: dict[str, Sums] = {}

    def process(self, stats: Iterable[tuple[str, float]]) -> None:
        for name, value in stats:
            self._sums[name] = add((self._sums.get(name, (0, 0, 0)), sums_of(value)))

    def finish_bundle(self) -> Iterator:
        for pair in sorted(self._sums.items()):
            yield GlobalWindows.windowed_value(pair)


class _Add(beam.CombineFn):
    """`add`, without the types: Beam's coder of typed ints stops at 64 bits."""

    def create_accumulator(self):
        return 0, 0, 0

    def add_input(self, accumulator, part):
        return add((accumulator, part))

    def merge_accumulators(self, accumulators):
        return add(accumulators)

    def extract_output(self, accumulator):
        return accumulator


class Moments(beam.PTransform):
    """Statistics of training impressions, as lists of pairs -> (name, `Sums`)."""

    def expand(self, stats):
        return stats | "PerBundle" >> beam.ParDo(_BundleSums()) | "PerName" >> beam.CombinePerKey(_Add())
