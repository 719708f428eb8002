"""Describes a finished dataset: statistics, schema and a report, as a Beam job over its files.

  kdcn describe-data DATASET --output STATISTICS [Beam options such as --runner=...]
  kdcn describe-data CTR --ckg CKG --output STATISTICS     with the names of categories

DATASET is a knowledge graph or CTR examples. Writes statistics.json, schema.pbtxt and stats.tfrecord (protos of
tensorflow-metadata) and report.html. Arguments that aren't kdcn's go to Beam, behind DATASET.
"""

import functools
import json
import logging
from collections.abc import Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, extras, files, manifest
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import DataFile, Manifest
from kdcn_tf.pages import html
from kdcn_tf.pages.content import Page
from pipelines import writing
from pipelines.quality import collect, pages, protos

STATISTICS_FILE, REPORT_FILE = "statistics.json", "report.html"
_SCHEMA, _STATS = "schema.pbtxt", "stats.tfrecord"


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    values.set_gnu_getopt(True)
    flags.DEFINE_string("ckg", None, "knowledge graph that names the categories of CTR examples", flag_values=values)
    command.output_flags(values, "the statistics")
    return values


def split_arguments(rest: Sequence[str], *names: str) -> tuple[list[str], list[str]]:
    """The positional arguments that a command needs, and the others, for Beam.

    Raises:
        ConfigError: one is missing.
    """
    given = [argument for argument in rest[: len(names)] if argument and not argument.startswith("-")]
    if len(given) < len(names):
        raise ConfigError(f"{names[len(given)]}: is required, in front of all options")
    return given, list(rest[len(names) :])


def build(values: flags.FlagValues, rest: Sequence[str]) -> None:
    (directory,), beam_arguments = split_arguments(rest, "DATASET")
    command.required(values, "output")
    command.output_apart(values, "ckg", beside={"DATASET": directory})
    made = collect.read_dataset(directory)
    if values.ckg and made.kind != manifest.CTR:
        raise ConfigError(f"--ckg: names the categories of CTR examples; {directory} is a {made.kind} dataset")
    extras.check(*extras.PAGES, protos.LIBRARY)
    manifest.prepare_output(values.output, manifest.STATISTICS, values.overwrite)
    collect.run(
        directory,
        made,
        functools.partial(write, values.output, made),
        names_from=values.ckg,
        scratch=values.output,
        beam_arguments=beam_arguments,
    )


def write(output: str, made: Manifest, found: dict[str, Any]) -> None:
    """Writes what was found out about the dataset of manifest `made`, the manifest of it last."""
    with manifest.discarded_on_failure(output):
        text_format = extras.load("google.protobuf.text_format")
        title = f"{'Knowledge graph' if made.kind == manifest.CKG else 'CTR examples'} {found['dataset']}"
        page = html.render(Page(title, f"Ids: {found['id_map']}", pages.statistics(found)))
        stats = protos.statistics(found).SerializeToString(deterministic=True)
        parts = {
            STATISTICS_FILE: (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode(),
            _SCHEMA: text_format.MessageToString(protos.schema(found, made), as_utf8=True).encode(),
            _STATS: writing.tfrecord([stats]),
            REPORT_FILE: page,
        }
        write_parts(output, manifest.STATISTICS, parts, {made.kind: found["dataset"]}, {"of": made.kind})
    logging.info("describe-data: %s", files.join(output, REPORT_FILE))


def write_parts(
    output: str, kind: str, parts: dict[str, bytes], inputs: dict[str, str], info: dict[str, Any]
) -> None:  # fmt: skip
    """Writes files and their manifest; a file's group is its name."""
    for name, data in parts.items():
        files.write_atomic(files.join(output, name), data)
    groups: dict[str, tuple[DataFile, ...]] = {name: (manifest.describe_file(output, name),) for name in parts}
    manifest.write(output, Manifest(kind, groups, inputs=inputs, info=info))


def main(argv: Sequence[str] | None = None) -> None:
    command.run("describe-data", __doc__ or "", _flags(), build, argv, pass_through=True)


if __name__ == "__main__":
    main()
