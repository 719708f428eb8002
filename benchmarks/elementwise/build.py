"""The baseline of `benchmarks/pipelines.py`: the knowledge graph by a Beam job with one Python object per record.

    python -m benchmarks.elementwise.build --raw=RAW --output=DIR [--set=SECTION.FIELD=VALUE] [Beam options]

This folder is frozen, so that a comparison keeps its meaning while `pipelines` changes: every record, triple, entity
and edge is an element of its own, shuffled as text or a tuple. It shares with the real job what a record means
(`pipelines.logs`) and leaves out what a benchmark's clean logs never need: dead letters, extra
triples, behaviours, the manifest. Writes triples, adjacency and id maps as `kdcn build-ckg` does, and
DIR/counts.json: what was counted, and the rows of every file group as `rows.<group>`.
"""

import json
import logging
import sys
from collections.abc import Sequence

import apache_beam as beam
from absl import flags

from benchmarks.elementwise import graph
from kdcn_tf import command, files
from pipelines import inputs, job

STREAMS = ("users", "items", "sessions")
COUNTS_FILE = "counts.json"


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    inputs.define_flags(values, STREAMS, with_extra=False)
    command.output_flags(values, "the knowledge graph")
    return values


def _write_counts(counts: list[tuple[str, int]], path: str) -> None:
    files.write_atomic(path, json.dumps(dict(sorted(counts)), indent=1).encode())


def _call(values: flags.FlagValues, beam_arguments: Sequence[str]) -> None:
    command.required(values, "output")
    source = inputs.from_flags(values, STREAMS)
    config = command.resolve_config(values, source.suggested)
    options = job.beam_options(beam_arguments, source.bytes())
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    files.make_dirs(values.output)
    with beam.Pipeline(options=options) as pipeline:
        counts = graph.build(pipeline, source.only(STREAMS), config, values.output)
        path = files.join(values.output, COUNTS_FILE)
        _ = counts | "Gather" >> beam.combiners.ToList() | "WriteCounts" >> beam.Map(_write_counts, path)


def main(argv: Sequence[str]) -> None:
    command.run("elementwise", __doc__ or "", _flags(), _call, argv, pass_through=True)


if __name__ == "__main__":
    main(sys.argv[1:])
