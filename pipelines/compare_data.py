"""Shows how two datasets differ: distributions, rates, names that only one has.

  kdcn compare-data A B --output DRIFT [Beam options such as --runner=...]
  kdcn compare-data YESTERDAY TODAY --fail_over=0.1 --output DRIFT     exit code 65 if they differ by more

A and B are two knowledge graphs or two CTR datasets, or what describe-data wrote of them. Writes drift.json and
report.html. Categories of CTR datasets with different id maps are compared if describe-data got --ckg for both.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, extras, manifest
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.pages import html
from kdcn_tf.pages.content import Page
from pipelines.describe_data import REPORT_FILE, STATISTICS_FILE, split_arguments, write_parts
from pipelines.quality import collect, drift, pages

_DRIFT = "drift.json"
_PRINTED = 10


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    values.set_gnu_getopt(True)
    flags.DEFINE_float("fail_over", None, "exit with 65 if a divergence is larger", 0, flag_values=values)
    command.output_flags(values, "the comparison")
    return values


def build(values: flags.FlagValues, rest: Sequence[str]) -> None:
    directories, beam_arguments = split_arguments(rest, "A", "B")
    command.required(values, "output")
    if values.fail_over is not None and not math.isfinite(values.fail_over):
        raise ConfigError(f"--fail_over: must be a finite number, got {values.fail_over}")
    command.output_apart(values, beside=dict(zip(("A", "B"), directories, strict=True)))
    extras.check(*extras.PAGES)
    for directory in directories:
        if manifest.kind_of(directory) != manifest.STATISTICS:
            collect.read_dataset(directory)
    manifest.prepare_output(values.output, manifest.DRIFT, values.overwrite)
    with manifest.discarded_on_failure(values.output):
        a, b = (_statistics(directory, values.output, beam_arguments) for directory in directories)
        found = drift.drift(a, b)
        _write(values.output, found, directories)
    print(_table(found))
    over = [row for row in drift.worst(found) if values.fail_over is not None and row[0] > values.fail_over]
    if over:
        value, measure, name = over[0]
        raise DataError(
            f"{len(over)} divergences exceed --fail_over={values.fail_over:g}; the largest: {measure} {value:.4g} of "
            f"{name!r}; see {values.output}"
        )


def _statistics(directory: str, scratch: str, beam_arguments: Sequence[str]) -> dict[str, Any]:
    """What describe-data wrote, or would write, of a directory."""
    if manifest.kind_of(directory) == manifest.STATISTICS:
        made = manifest.read(directory, manifest.STATISTICS)
        (entry,) = made.group(STATISTICS_FILE)
        return json.loads(manifest.read_file(directory, entry))
    found: list[dict[str, Any]] = []
    collect.run(
        directory,
        collect.read_dataset(directory),
        found.append,
        names_from=None,
        scratch=scratch,
        beam_arguments=beam_arguments,
    )
    if not found:
        raise ConfigError(
            "a job that is handed over gives no numbers back: use describe-data, then compare what it wrote"
        )
    return found[0]


def _write(output: str, found: dict[str, Any], directories: Sequence[str]) -> None:
    where = f"A: {directories[0]} ({found['a']}), B: {directories[1]} ({found['b']})"
    page = html.render(Page("Drift", where, pages.drifted(found)))
    body = (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode()
    write_parts(output, manifest.DRIFT, {_DRIFT: body, REPORT_FILE: page}, {"a": found["a"], "b": found["b"]}, {})


def _table(found: dict[str, Any]) -> str:
    """The distributions and rates that drifted most, a line each."""
    moved = sorted(found["distributions"].items(), key=lambda row: (-row[1]["jensen_shannon"], row[0]))
    changed = sorted(found["rates"].items(), key=lambda row: (-abs(row[1]["change"]), row[0]))
    lines = ["  ".join((*(f"{measure:>15}" for measure in drift.MEASURES), "distribution"))]
    for name, body in moved[:_PRINTED]:
        lines.append("  ".join((*(f"{body[measure]:15.4f}" for measure in drift.MEASURES), name)))
    lines.append("  ".join((*(f"{title:>15}" for title in ("A", "B", "change")), "rate")))
    for name, body in changed[:_PRINTED]:
        lines.append(f"{body['a']:15.4f}  {body['b']:15.4f}  {body['change']:+15.4f}  {name}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    command.run("compare-data", __doc__ or "", _flags(), build, argv, pass_through=True)


if __name__ == "__main__":
    main()
