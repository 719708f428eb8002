"""Running a pipeline and getting back what it wrote and counted."""

import contextlib
import io
import json
import logging
import os
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
from pipelines import counting, dead_letters
from pipelines.entities import type_order
from pipelines.inputs import Inputs

_ERRORS = {kind.__name__: kind for kind in (ConfigError, DataError, UnavailableError, TryAgainError)}
_RAISED = re.compile(rf"\b({'|'.join(_ERRORS)}): (.*)")
_RESULTS = ".job.json"  # hidden, so that no glob of a dataset's files finds it
# Measured on 2 cores: worker processes cost 2 s to start and code every element between stages, which
# pays only for inputs that take minutes; a single process also shares one keyword dictionary.
_MULTI_PROCESS_BYTES = 64 << 20


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


def beam_options(arguments: Sequence[str], input_bytes: int) -> PipelineOptions:
    """The user's Beam options, with a local runner that fits the input where none is named.

    Raises:
        ConfigError: an argument that neither kdcn nor Beam knows, or a value that Beam doesn't take.
    """
    arguments = list(arguments)
    given = {argument.split("=")[0] for argument in arguments}
    if "--runner" not in given:
        _refuse_unknown(arguments)
        # DirectRunner would first try to download another runner.
        arguments.append("--runner=FnApiRunner")
        if "--direct_running_mode" not in given and input_bytes > _MULTI_PROCESS_BYTES:
            arguments.append("--direct_running_mode=multi_processing")
            if "--direct_num_workers" not in given:
                arguments.append(f"--direct_num_workers={os.cpu_count()}")
    return _parsed(arguments)


def _parsed(arguments: Sequence[str]) -> PipelineOptions:
    """Beam reads its options late, by argparse, which prints its usage and exits."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = PipelineOptions(arguments)
            parsed.get_all_options()
    except SystemExit:
        raise ConfigError(said.getvalue().strip().split("error: ")[-1]) from None
    return parsed


def _refuse_unknown(arguments: Sequence[str]) -> None:
    """Beam drops what it doesn't know, typing errors too. Other runners bring options of their own."""
    known = PipelineOptions([]).get_all_options()
    before = ""
    for argument in arguments:
        name = argument.split("=")[0]
        if name.startswith("-") and name.lstrip("-").removeprefix("no_") not in known:
            raise ConfigError(f"{name}: neither an option of this command nor of Beam")
        if not name.startswith("-") and (not before.startswith("-") or "=" in before):
            raise ConfigError(f"unexpected argument {argument!r}")
        before = argument


def run(build: Callable[[beam.Pipeline], Outputs], *, directory: str, beam_config: PipelineOptions) -> Results:
    """Runs the pipeline that `build` makes.

    Args:
        build: adds the steps to a pipeline.
        directory: of the dataset; the file rows name files in it.
        beam_config: from `beam_options`.

    Raises:
        KdcnError: a step met data it can't go on with, a disk that is full, or a runner that can't be reached.
    """
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    path = files.join(directory, _RESULTS)
    try:
        with _without_known_tracebacks(), _pipeline(beam_config) as pipeline:
            _collect(build(pipeline), directory, path)
    except BaseException as error:
        discard(directory)
        known = _known(error)
        if known is None:
            raise
        raise known from None
    body = json.loads(files.read_bytes(path))
    files.remove(path)
    return _results(body)


def _pipeline(beam_config: PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(options=beam_config)
    except ValueError as error:  # an unknown runner, or one that lacks an option
        raise ConfigError(f"--runner: {' '.join(str(error).split())}") from None


@contextlib.contextmanager
def _without_known_tracebacks() -> Iterator[None]:
    """Keeps Beam from logging the traceback of an error whose message ends the command anyway."""

    def shown(record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        told = _RAISED.search(f"{type(raised).__name__}: {raised} {record.getMessage()}")
        return not (told and record.name.startswith("apache_beam"))

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
    found = _RAISED.findall(f"{type(error).__name__}: {error}")
    if not found:
        return None
    name, message = found[-1]
    return _ERRORS[name](message.split(" [while running")[0])


def _collect(outputs: Outputs, directory: str, path: str) -> None:
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
    (
        parts
        | "Results" >> beam.Flatten()
        | "OneKey" >> beam.Map(lambda part: (None, part))
        | "Together" >> beam.GroupByKey()
        | "WriteResults" >> beam.Map(_write_results, path)
    )


def _write_results(together: tuple[None, Any], path: str) -> None:
    body: dict[str, list] = {"counts": [], "files": [], "facts": []}
    for kind, part in together[1]:
        body[kind].append(part)
    files.write_atomic(path, json.dumps(body).encode())


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
