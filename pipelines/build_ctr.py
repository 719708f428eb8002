"""Builds CTR examples from raw logs and a knowledge graph dataset, as a Beam job.

  kdcn build-ctr --raw RAW --ckg CKG --output CTR [Beam options such as --runner=...]
  kdcn build-ctr --items=GLOB --behaviors=GLOB --impressions=GLOB --ckg CKG --output CTR

Items and impressions are required. An example holds what was known before its impression; the split
is by time. Arguments that aren't kdcn's go to Beam.
"""

import functools
import logging
from collections.abc import Sequence

from absl import flags

from kdcn_tf import command, manifest, options, records
from kdcn_tf.config import Config
from kdcn_tf.errors import DataError
from pipelines import ctr, inputs, job, leaks, triples

_SPLITS = (triples.TRAIN, triples.VALID, triples.TEST)
_MOMENTS = "moments/"


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    inputs.define_flags(values, ctr.STREAMS, with_extra=False)
    flags.DEFINE_string("ckg", None, "knowledge graph dataset whose ids the examples use", flag_values=values)
    command.output_flags(values, "the examples")
    return values


def build(values: flags.FlagValues, beam_arguments: Sequence[str]) -> None:
    command.required(values, "ckg", "output")
    command.output_apart(values, "raw", "ckg")
    source = inputs.from_flags(values, ctr.STREAMS)
    source.require("items", "impressions")
    config = command.resolve_config(values, source.suggested)
    graph = manifest.read(values.ckg, manifest.CKG)
    _check_times(config, graph)
    manifest.require_entities(values.ckg, graph)
    beam_config = job.beam_options(beam_arguments, source.bytes())
    manifest.prepare_output(values.output, manifest.CTR, values.overwrite)
    job.run(
        lambda pipeline: ctr.build(pipeline, source, graph, values.ckg, config, values.output),
        functools.partial(_finish, values.output, source, graph, config),
        directory=values.output,
        beam_config=beam_config,
    )


def _check_times(config: Config, graph: manifest.Manifest) -> None:
    train_end, _ = ctr.times(config)
    time = graph.info.get("time")
    cutoff = time.get("train_end") if isinstance(time, dict) else None
    if not isinstance(cutoff, (int, float)):
        raise DataError(f"the knowledge graph's manifest has no info.time.train_end, but {time!r}")
    if cutoff > train_end:
        raise DataError(
            f"the knowledge graph holds events up to {cutoff}, after time.train_end={train_end}: "
            "it would leak what happened later into training; build it with the same cutoff"
        )


def _finish(
    directory: str, source: inputs.Inputs, graph: manifest.Manifest, config: Config, results: job.Results
) -> None:
    counts = results.counts
    try:
        counts.update(leaks.check(results.facts, graph, config.ctr.max_leaked_share))
    except DataError:
        job.discard(directory)
        raise
    splits = {name: sum(f.count for f in results.files.get(name, ())) for name in _SPLITS}
    counts["used.impressions"] = sum(splits.values())
    made = manifest.Manifest(
        kind=manifest.CTR,
        files={**dict.fromkeys(_SPLITS, ()), **results.files},
        counts=counts,
        id_map=graph.require_id_map(),
        config=options.to_dict(config),
        inputs={**source.fingerprints, manifest.CKG: graph.fingerprint()},
        info=_info(config, results),
    )
    job.finish(directory, results, made, config, list(source.only(ctr.STREAMS)), needed=[triples.TRAIN])
    job.log_counts("build-ctr", counts, source)
    logging.info("build-ctr: examples %s", job.readable(splits))
    if counts.get("leak_check.leaked"):
        logging.warning("build-ctr: %s held-out clicks stand in the graph", f"{counts['leak_check.leaked']:,}")
    for split in (name for name, number in splits.items() if not number):
        logging.warning("build-ctr: no examples in split %r; see time.train_end and time.valid_end", split)


def _info(config: Config, results: job.Results) -> dict:
    found = {k.removeprefix(_MOMENTS): v for k, v in sorted(results.facts.items()) if k.startswith(_MOMENTS)}
    return {
        "behaviors": list(config.logs.behaviors),
        "max_behaviors": config.ctr.max_behaviors,
        "max_query_keywords": config.ctr.max_query_keywords,
        "max_title_keywords": config.ctr.max_title_keywords,
        "max_categories": config.ctr.max_categories,
        # For requests to the trained model, which have to be made alike.
        "max_keywords": config.logs.max_keywords,
        "history_days": config.ctr.history_days,
        "dense": {
            "names": list(found),
            "mean": [mean for mean, _ in found.values()],
            "std": [std for _, std in found.values()],
        },
        "unknown": _unknown(results),
        "time": {"train_end": config.time.train_end, "valid_end": config.time.valid_end},
    }


def _unknown(results: job.Results) -> dict[str, float]:
    """Shares of validation's examples whose user, or candidate, the graph doesn't know; nothing without examples."""
    judged = sum(file.count for file in results.files.get(triples.VALID, ()))
    counted = {records.USER: ctr.UNKNOWN_USERS, records.ITEM: ctr.UNKNOWN_CANDIDATES}
    return {key: results.counts.get(name, 0) / judged for key, name in counted.items() if judged}


def main(argv: Sequence[str] | None = None) -> None:
    command.run("build-ctr", __doc__ or "", _flags(), build, argv, pass_through=True)


if __name__ == "__main__":
    main()
