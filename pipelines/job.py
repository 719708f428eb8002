"""Running a pipeline and getting back what it wrote and counted."""

import contextlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from kdcn_tf import files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError, DataError, KdcnError, TryAgainError, UnavailableError
from kdcn_tf.manifest import DataFile
from pipelines import counting, dead_letters, engines
from pipelines.engines import beam_options as beam_options
from pipelines.ids import type_order
from pipelines.inputs import Inputs

_ERRORS = {kind.__name__: kind for kind in (ConfigError, DataError, UnavailableError, TryAgainError)}
_RAISED = re.compile(rf"\b({'|'.join(_ERRORS)}): (.*)")
_LOST = re.compile(r"StatusCode\.UNAVAILABLE\s+details = \"([^\"]*)\"")  # a gRPC error, as text
_RESULTS = ".job.json"  # hidden, so that no glob of a dataset's files finds it


@dataclass
class Outputs:
    """PCollections that a pipeline hands back: `FileRow`s, (name, number) counts, (name, JSON) facts."""

    files: list[Any] = field(default_factory=list)
    counts: list[Any] = field(default_factory=list)
    facts: list[Any] = field(default_factory=list)
    dead: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Results:
    """What a finished job wrote, by file group, and what it counted."""

    files: dict[str, tuple[DataFile, ...]]
    counts: dict[str, int]
    facts: dict[str, Any]


def run(
    build: Callable[[beam.Pipeline], Outputs],
    finish: Callable[[Results], None],
    *,
    directory: str,
    beam_config: PipelineOptions,
) -> None:
    """Runs the pipeline that `build` makes, then calls `finish`.

    A job that is handed over to its engine (`engines.is_handed_over`) calls `finish` in its last step, on a worker.

    Args:
        build: adds the steps to a pipeline.
        finish: makes a dataset of what was written and counted; can be pickled.
        directory: of the dataset; the file rows name files in it.
        beam_config: from `beam_options`.

    Raises:
        KdcnError: a step met data it can't go on with, a disk that is full, or a runner that can't be reached.
    """
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    path = files.join(directory, _RESULTS)
    handed_over = engines.is_handed_over(beam_config)
    try:
        with manifest.terminated_as_interrupted(), _without_known_tracebacks(), _pipeline(beam_config) as pipeline:
            together = _collect(build(pipeline), directory)
            last = beam.Map(_finish_results, finish) if handed_over else beam.Map(_write_results, path)
            _ = together | ("Finish" if handed_over else "WriteResults") >> last
    except BaseException as error:
        discard(directory)
        if str(error).startswith(KeyboardInterrupt.__name__):  # in a step, Beam makes an error of it
            raise KeyboardInterrupt from None
        known = _known(error)
        if known is None:
            raise
        raise known from None
    if handed_over:
        logging.info("%s: its manifest is written by the last step of the job", directory)
        return
    body = json.loads(files.read_bytes(path))
    files.remove(path)
    finish(_results(body))


def _pipeline(beam_config: PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(options=beam_config)
    except ValueError as error:  # an unknown runner, or one that lacks an option
        raise ConfigError(f"--runner: {' '.join(str(error).split())}") from None
    except ImportError as error:  # Dataflow's runner needs apache-beam[gcp]
        raise UnavailableError(f"--runner: {error}; see docs/engines.md") from None


@contextlib.contextmanager
def _without_known_tracebacks() -> Iterator[None]:
    """Keeps Beam from logging the traceback of an error whose message ends the command anyway.

    Nor does a job service's chatter pass, which Beam hands to the root logger.
    """

    def shown(record: logging.LogRecord) -> bool:
        of_service = record.module == "portable_runner"
        raised = record.exc_info[1] if record.exc_info else None
        text = f"{type(raised).__name__}: {raised} {record.getMessage()}"
        told = _RAISED.search(text) or _LOST.search(text) or (of_service and record.levelno < logging.WARNING)
        return not (told and (of_service or record.name.startswith("apache_beam")))

    handlers = logging.getLogger().handlers
    for handler in handlers:
        handler.addFilter(shown)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(shown)


def _known(error: BaseException) -> KdcnError | None:
    """The error of this system that a step raised, without what runners add before and after its message.

    Runners give a worker's exception back with more text, or as text inside an exception of their own.
    """
    if type(error).__module__.split(".")[0] == "grpc":
        return UnavailableError(f"the runner can't be reached: {str(error) or type(error).__name__}".split("\n")[0])
    text = f"{type(error).__name__}: {error}"
    found = _RAISED.findall(text)
    if found:
        name, message = found[-1]
        return _ERRORS[name](message.split(" [while running")[0])
    lost = _LOST.search(text)
    return UnavailableError(f"the runner can't reach its workers: {lost[1]}") if lost else None


def _collect(outputs: Outputs, directory: str) -> Any:
    """All rows, counts and facts as one element (None, parts)."""
    dead = outputs.dead | "AllDeadLetters" >> beam.Flatten()
    outputs.files.append(dead | "WriteDeadLetters" >> dead_letters.WriteDeadLetters(directory))
    outputs.counts.append(dead | "CountDeadLetters" >> dead_letters.CountDeadLetters())
    counts = outputs.counts | "AllCounts" >> beam.Flatten() | "Sum" >> counting.SumCounts()
    rows = outputs.files | "AllFiles" >> beam.Flatten()
    parts = [
        counts | "TagCounts" >> beam.Map(lambda pair: ("counts", pair)),
        rows | "TagFiles" >> beam.Map(lambda row: ("files", row)),
        *(facts | f"TagFacts{i}" >> beam.Map(lambda pair: ("facts", pair)) for i, facts in enumerate(outputs.facts)),
    ]
    return (
        parts
        | "Results" >> beam.Flatten()
        | "OneKey" >> beam.Map(lambda part: (None, part))
        | "Together" >> beam.GroupByKey()
    )


def _body(together: tuple[None, Any]) -> dict[str, list]:
    body: dict[str, list] = {"counts": [], "files": [], "facts": []}
    for kind, part in together[1]:
        body[kind].append(part)
    return body


def _write_results(together: tuple[None, Any], path: str) -> None:
    files.write_atomic(path, json.dumps(_body(together)).encode())


def _finish_results(together: tuple[None, Any], finish: Callable[[Results], None]) -> None:
    finish(_results(_body(together)))


def _results(body: dict[str, list]) -> Results:
    groups: dict[str, list[DataFile]] = {}
    for group, *described in body["files"]:
        groups.setdefault(group, []).append(DataFile(*described))
    ordered = {name: tuple(sorted(groups[name], key=lambda f: f.name)) for name in sorted(groups, key=_group_order)}
    return Results(ordered, dict(sorted(body["counts"])), dict(body["facts"]))


def _group_order(group: str) -> tuple:
    """Entity groups come in the order of their ids."""
    kind, _, entity_type = group.partition("/")
    return (kind, type_order(entity_type)) if entity_type else (kind, (-1, ""))


def finish(
    directory: str,
    results: Results,
    made: manifest.Manifest,
    config: Config,
    streams: Sequence[str],
    *,
    needed: Sequence[str],
) -> None:
    """Checks the counts and writes config and manifest; a job that fails leaves its dead letters only.

    Raises:
        DataError: records got lost, too many are bad, or a file group of `needed` is empty.
    """
    letters = [files.join(directory, f.name) for f in results.files.get(dead_letters.GROUP, ())]
    try:
        counting.reconcile(results.counts, streams)
        where = f"see {', '.join(letters)}"
        counting.check_bad_share(results.counts, streams, config.logs.max_bad_share, where)
        for group in needed:
            if not results.files.get(group):
                counted = {name: number for name, number in results.counts.items() if number}
                raise DataError(f"the input yields nothing for {group!r}; counted: {readable(counted)}")
    except DataError:
        discard(directory)
        raise
    files.write_atomic(files.join(directory, manifest.CONFIG_FILE), options.to_yaml(config).encode())
    manifest.write(directory, made)


def discard(directory: str) -> None:
    """Removes what a job wrote to its fresh directory, except the dead letters."""
    for path in (*files.listed(directory), files.join(directory, _RESULTS)):
        if not path[len(directory) :].lstrip("/").startswith(dead_letters.GROUP):
            files.remove(path)


def readable(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())


def log_counts(command: str, counts: Mapping[str, int], inputs: Inputs) -> None:
    """One line per stream: what was read, used, filtered, put aside."""
    for stream in (*inputs.streams, *(extra.stream for extra in inputs.extras)):
        mine = {name: number for name, number in sorted(counts.items()) if name.split(".")[1:2] == [stream] and number}
        if mine:
            logging.info("%s: %s", command, readable(mine))
