"""Takes finished comparisons of the same models together, as those of several periods of the same logs.

  kdcn pool comparison_60 comparison_70 comparison_80 comparison --output=pooled

A short test period has few users, and what it says of two models may be their taste. Each comparison counts the same.
Writes report.html, report.md and report.json with the mean gain over the comparisons, and with three intervals: over
seeds, over drawn test sessions, and over the comparisons.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, files, manifest, options
from kdcn_tf.errors import ConfigError, DataError

NAME = "pool"


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    values.set_gnu_getopt(True)
    command.output_flags(values, "the pool")
    return values


def _call(values: flags.FlagValues, rest: list[str]) -> None:
    rest = command.operands(NAME, rest)
    if len(rest) < 2:
        raise ConfigError(f"two comparisons are needed at the least, got {len(rest)}; see kdcn {NAME} --help")
    command.required(values, "output")
    command.output_apart(values, beside={directory: directory for directory in rest})
    read = {directory: manifest.read(directory, manifest.COMPARISON) for directory in rest}
    marks = [read[directory].fingerprint() for directory in rest]
    for place, (directory, mark) in enumerate(zip(rest, marks, strict=True)):
        if mark in marks[:place]:
            raise ConfigError(f"{directory}: the same comparison as {rest[marks.index(mark)]}")
    names = _names(rest)
    reports = {name: _report(directory, read[directory]) for name, directory in zip(names, rest, strict=True)}
    from kdcn_tf.report import pages, pooled, pooled_page

    pages.check()
    found = pooled.pool(reports)
    manifest.prepare_output(values.output, manifest.POOL, values.overwrite)
    with manifest.discarded_on_failure(values.output):
        written = pages.write_page(pooled_page.page(found), found, values.output)
        inputs = {f"{manifest.COMPARISON}/{name}": mark for name, mark in zip(names, marks, strict=True)}
        described = tuple(manifest.describe_file(values.output, name) for name in written)
        counts = {"comparisons": len(rest)}
        manifest.write(values.output, manifest.Manifest(manifest.POOL, {"report": described}, counts, inputs=inputs))
    print("\n".join(options.readable({name: value}) for name, value in found["figures"].items()))
    print(f"report: {files.join(values.output, written[-1])}")


def _names(directories: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [directory.rstrip("/").split("/") for directory in directories]
    for depth in range(1, max(map(len, parts)) + 1):
        found = ["/".join(path[-depth:]) for path in parts]
        if len(set(found)) == len(found):
            return found
    return list(directories)


def _report(directory: str, made: manifest.Manifest) -> Mapping[str, Any]:
    from kdcn_tf.report.pages import JSON_FILE

    for entry in made.group("report"):
        if entry.name == JSON_FILE:
            return json.loads(manifest.read_file(directory, entry))
    raise DataError(f"{directory}: the manifest names no {JSON_FILE}")


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv, pass_through=True)


if __name__ == "__main__":
    main()
