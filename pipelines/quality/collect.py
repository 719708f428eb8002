"""From a finished dataset to its statistics, as one Beam job: a summary per file, added up."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apache_beam as beam

from kdcn_tf import files, manifest
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from kdcn_tf.places import Places
from pipelines import job
from pipelines.quality import cells, examples_summary, graph_summary, named

SPLITS = ("train", "valid", "test")
_ADJACENCY = "adjacency"
_FACT = "statistics"
KINDS = (manifest.CKG, manifest.CTR)

Task = tuple[str, str | None]
"""A group of files and one of them; None asks for the summary of nothing, so that every split is there."""


def read_dataset(directory: str) -> Manifest:
    """Manifest of a graph or of CTR examples.

    Raises:
        DataError: it isn't finished, is of another kind, or its files aren't those of the manifest.
    """
    kind = manifest.kind_of(directory)
    if kind not in KINDS:
        raise DataError(f"{directory}: a dataset of kind {kind!r}, expected {' or '.join(map(repr, KINDS))}")
    return manifest.read(directory, kind)


def _tasks(directory: str, made: Manifest) -> list[Task]:
    groups = (*SPLITS, _ADJACENCY) if made.kind == manifest.CKG else SPLITS
    found: list[Task] = [(group, None) for group in groups]
    return found + [(group, files.join(directory, f.name)) for group in groups for f in made.files.get(group, ())]


class _Summarize(beam.DoFn):
    """`Task` -> `cells.Summary`."""

    def __init__(self, shape: graph_summary.Shape | examples_summary.Shape):
        self._shape = shape

    def process(self, task: Task) -> Iterable[cells.Summary]:
        group, path = task
        if isinstance(self._shape, examples_summary.Shape):
            yield examples_summary.of_examples(path, group, self._shape)
        elif group == _ADJACENCY:
            yield graph_summary.of_adjacency(path, self._shape)
        else:
            yield graph_summary.of_triples(path, group, self._shape)


def shape_of(directory: str, made: Manifest) -> graph_summary.Shape | examples_summary.Shape:
    """What the files of a dataset have to fit.

    Raises:
        DataError: the manifest doesn't say it.
    """
    id_map = made.require_id_map()
    if made.kind == manifest.CKG:
        return graph_summary.Shape.of(id_map)
    try:
        behaviors, dense = made.info["behaviors"], made.info["dense"]["names"]
        places = {name: Places(id_map.spans(name)) for name in id_map.ranges}
        return examples_summary.Shape(tuple(map(str, behaviors)), tuple(map(str, dense)), places)
    except (LookupError, TypeError) as error:
        raise DataError(f"{directory}: the manifest names no behaviours or dense statistics: {error!r}") from None


def run(
    directory: str,
    made: Manifest,
    then: Callable[[dict[str, Any]], None],
    *,
    names_from: str | None,
    scratch: str,
    beam_arguments: Sequence[str],
) -> None:
    """Counts everything about a dataset and calls `then` with it, as plain data (`statistics.json`).

    Args:
        directory: the dataset.
        made: its manifest, from `read_dataset`.
        then: gets the statistics; can be pickled, as an engine that a job is handed over to calls it on a worker.
        names_from: graph whose keys name the categories of a CTR dataset, if there is one.
        scratch: directory that every worker can write to; what fails leaves nothing in it.
        beam_arguments: the user's options for Beam.

    Raises:
        DataError: a file isn't as the contract says.
    """
    shape, tasks = shape_of(directory, made), _tasks(directory, made)
    graph = None
    if names_from is not None:
        graph = manifest.read(names_from, manifest.CKG)
        manifest.require_same_ids(made, graph)
    size = sum(entry.bytes for group in made.files.values() for entry in group)

    def build(pipeline: beam.Pipeline) -> job.Outputs:
        nothing = pipeline | "Nothing" >> beam.Create([])
        merged = (
            pipeline
            | "Files" >> beam.Create(tasks)
            | "Spread" >> beam.Reshuffle()
            | "Summarize" >> beam.ParDo(_Summarize(shape))
            | "Merge" >> beam.CombineGlobally(cells.merge)
            | "Fact" >> beam.Map(lambda summary: (_FACT, cells.to_json(summary)))
        )
        return job.Outputs(files=[nothing], counts=[nothing], facts=[merged], dead=[nothing])

    finish = functools.partial(_finish, directory, made, names_from, graph, then)
    job.run(build, finish, directory=scratch, beam_config=job.beam_options(beam_arguments, size))


def _finish(
    directory: str,
    made: Manifest,
    names_from: str | None,
    graph: Manifest | None,
    then: Callable[[dict[str, Any]], None],
    results: job.Results,
) -> None:
    found = results.facts[_FACT]
    found["splits"] = {split: found["splits"][split] for split in SPLITS}
    head = {
        "format": cells.FORMAT, "kind": made.kind, "dataset": made.fingerprint(),
        "id_map": made.require_id_map().fingerprint, "counts": made.counts,
    }  # fmt: skip
    if made.kind == manifest.CKG:
        then(head | named.graph(found, directory, made))
    else:
        then(head | named.examples(found, made, names_from, graph))
