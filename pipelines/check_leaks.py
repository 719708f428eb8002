"""Looks for clicks of validation and test that the knowledge graph already holds, as a Beam job.

  kdcn check-leaks --ckg CKG --ctr CTR [Beam options such as --runner=...]

Exit code 65 if more than ctr.max_leaked_share of the clicks are there; the dataset's own value counts where
nothing else is set. A graph without relations between users and items passes without being read. build-ctr makes the
same check. Arguments that aren't kdcn's go to Beam.
"""

import contextlib
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from absl import flags

from kdcn_tf import command, files, manifest
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest
from pipelines import job, leaks


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    flags.DEFINE_string("ckg", None, "knowledge graph", flag_values=values)
    flags.DEFINE_string("ctr", None, "CTR examples with its ids", flag_values=values)
    flags.DEFINE_string(
        "scratch", None, "directory for the result that all of a remote runner's workers see", flag_values=values
    )
    return values


def build(values: flags.FlagValues, beam_arguments: Sequence[str]) -> None:
    command.required(values, "ckg", "ctr")
    graph = manifest.read(values.ckg, manifest.CKG)
    examples = manifest.read(values.ctr, manifest.CTR)
    manifest.require_same_ids(examples, graph)
    own = examples.config.get("ctr", {}).get("max_leaked_share")
    config = command.resolve_config(values, {} if own is None else {"ctr.max_leaked_share": own})
    if not leaks.relations(graph):
        print("no leaks: the graph has no relation between users and items")
        return
    with _scratch(values.scratch) as scratch:
        facts = _run(values, graph, examples, scratch, beam_arguments)
    counts = leaks.check(facts, graph, config.ctr.max_leaked_share)
    print(f"{counts['leak_check.leaked']} of {counts['leak_check.clicks']} held-out clicks are in the graph")


@contextlib.contextmanager
def _scratch(within: str | None) -> Iterator[str]:
    """A directory of this call's own, which goes with it."""
    if not within:
        with tempfile.TemporaryDirectory() as local:
            yield local
        return
    directory = files.join(within, f"check-leaks-{uuid.uuid4().hex}")
    files.make_dirs(directory)
    try:
        yield directory
    finally:
        files.remove_empty_dir(directory)


def _run(
    values: flags.FlagValues, graph: Manifest, examples: Manifest, scratch: str, beam_arguments: Sequence[str]
) -> dict[str, Any]:
    tasks = [(split, files.join(values.ctr, f.name)) for split in leaks.HELD_OUT for f in examples.files.get(split, ())]
    size = sum(entry.bytes for group in graph.files.values() for entry in group)
    facts: dict[str, Any] = {}

    def steps(pipeline: beam.Pipeline) -> job.Outputs:
        nothing = pipeline | "Nothing" >> beam.Create([])
        clicks = (
            pipeline
            | "ExampleFiles" >> beam.Create(tasks)
            | "SpreadExamples" >> beam.Reshuffle()
            | "Clicks" >> beam.Map(leaks.clicks_of_file, leaks.Pairs.of(graph))
        )
        found = clicks | "FindLeaks" >> leaks.FindLeaks(values.ckg, graph)
        return job.Outputs(files=[nothing], counts=[nothing], facts=[found], dead=[nothing])

    beam_config = job.beam_options(beam_arguments, size)
    job.run(steps, lambda results: facts.update(results.facts), directory=scratch, beam_config=beam_config)
    if not facts:
        raise ConfigError("a job that is handed over gives no answer back; build-ctr checks inside its own job")
    return facts


def main(argv: Sequence[str] | None = None) -> None:
    command.run("check-leaks", __doc__ or "", _flags(), build, argv, pass_through=True)


if __name__ == "__main__":
    main()
