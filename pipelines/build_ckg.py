"""Builds the knowledge graph dataset from raw logs, as a Beam job.

  kdcn build-ckg --raw RAW --output CKG [Beam options such as --runner=...]
  kdcn build-ckg --items='logs/items*.gz' --sessions='logs/sessions*' --set time.train_end=1700000000 --output CKG

Items are required; a stream that isn't there adds no triples. Only users, items, and the sessions and
behaviours before time.train_end count. Arguments that aren't kdcn's go to Beam.
"""

import functools
import logging
from collections.abc import Sequence

from absl import flags

from kdcn_tf import ckg, command, manifest, options
from kdcn_tf.config import Config
from pipelines import base, batches, exchange, graph, ids, inputs, job, triples

_STREAMS = ("users", "items", "sessions", "behaviors")


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    inputs.define_flags(values, _STREAMS, with_extra=True)
    flags.DEFINE_string(
        "base", None, "knowledge graph dataset whose entities and relations keep their ids", flag_values=values
    )
    command.output_flags(values, "the knowledge graph")
    return values


def build(values: flags.FlagValues, beam_arguments: Sequence[str]) -> None:
    command.required(values, "output")
    command.output_apart(values, "raw", "base")
    source = inputs.from_flags(values, _STREAMS)
    config = command.resolve_config(values, source.suggested)
    graph.train_end(config)
    source.require("items")
    grown_from = base.read(values.base, config) if values.base else None
    beam_config = job.beam_options(beam_arguments, source.bytes())
    manifest.prepare_output(values.output, manifest.CKG, values.overwrite)
    with exchange.for_job(batches.number_of_parts(source.sizes()), values.output, beam_config) as to:
        job.run(
            lambda pipeline: graph.build(pipeline, source, config, values.output, to, grown_from),
            functools.partial(_finish, values.output, source, config, grown_from),
            directory=values.output,
            beam_config=beam_config,
        )


def _finish(
    directory: str, source: inputs.Inputs, config: Config, grown_from: base.Base | None, results: job.Results
) -> None:
    counts = results.counts
    splits = {name: sum(f.count for f in results.files.get(name, ())) for name in graph.SPLITS}
    counts["used.triples"] = sum(splits.values())
    patterns = triples.relation_patterns(
        [ckg.Pattern(*names) for names in results.facts["patterns"]],
        config.ckg.relation_mode,
        grown_from.patterns if grown_from else (),
    )
    groups = {name: parts for name, parts in results.files.items() if name.startswith("entities/")}
    id_map = ids.id_map(groups, patterns)
    made = manifest.Manifest(
        kind=manifest.CKG,
        files={**dict.fromkeys(graph.SPLITS, ()), **results.files},
        counts=counts,
        id_map=id_map,
        config=options.to_dict(config),
        inputs={**source.fingerprints, **({"base": grown_from.graph.fingerprint()} if grown_from else {})},
        info={
            "stored_neighbors": config.ckg.stored_neighbors,
            "relation_mode": config.ckg.relation_mode,
            "relation_patterns": patterns,
            "time": {"train_end": config.time.train_end},
            **({"base": grown_from.info(id_map)} if grown_from else {}),
        },
    )
    streams = [*source.only(graph.streams(config)), *(extra.stream for extra in source.extras)]
    job.finish(directory, results, made, config, [*streams, "triples"], needed=[triples.TRAIN, "entities/item"])
    job.log_counts("build-ckg", counts, source)
    entity_count = made.require_id_map().num_ids - 1
    logging.info("build-ckg: entities %s, triples %s", f"{entity_count:,}", job.readable(splits))


def main(argv: Sequence[str] | None = None) -> None:
    command.run("build-ckg", __doc__ or "", _flags(), build, argv, pass_through=True)


if __name__ == "__main__":
    main()
