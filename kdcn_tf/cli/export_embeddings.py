"""Exports entity embeddings of a trained GCN-TransE model.

Writes npy files, one per id map file of the CKG, for K-DCN and for any other reader. Vectors that are longer than
encoder.export_dim (with --vectors=surrounded twice that) become their principal components, as far as those differ
between the users, items and keywords of the graph. --format adds other formats:

  parquet    columns id, type, key, vector; a file per npy file
  word2vec   text, a file per npy file; white space and % in keys are percent-encoded, as in URLs
  projector  folder for TensorBoard's embedding projector; of each type at most 5000 entities, evenly spaced by id
  faiss      an index per type by Euclidean distance, exact up to 100,000 entities, above that IVF (approximate)
"""

from collections.abc import Sequence
from dataclasses import replace

from absl import flags, logging

from kdcn_tf import command, files, manifest, options
from kdcn_tf.config import Config, from_dict
from kdcn_tf.errors import ConfigError, DataError

NAME = "export-embeddings"


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("model", None, "trained model, from train-ckg", flag_values=values)
    flags.DEFINE_string("ckg", None, "the CKG dataset it was trained on", flag_values=values)
    flags.DEFINE_list("types", None, "entity types to export; all by default", flag_values=values)
    flags.DEFINE_enum(
        "vectors", "gcn", ["gcn", "table", "surrounded"],
        "the GCN's output, the raw table E, or the GCN's output with the means of an entity's neighbours beside it, "
        "twice as long", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "dim", None, "in place of the model's encoder.export_dim: numbers of a vector at the most; 0: all",
        lower_bound=0, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_list("format", ["npy"], "formats to write, by commas; npy is always written", flag_values=values)
    command.output_flags(values, "the embeddings")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "model", "ckg", "output")
    command.output_apart(values, "model", "ckg")
    from kdcn_tf.export import formats

    if unknown := [name for name in values.format if name not in formats.NAMES]:
        raise ConfigError(f"--format: unknown {unknown[0]!r}; expected some of {', '.join(formats.NAMES)}")
    directory, ckg_directory, output = (str(values[name].value) for name in ("model", "ckg", "output"))
    trained = manifest.read(directory, manifest.CKG_MODEL)
    ckg = manifest.read(ckg_directory, manifest.CKG)
    manifest.require_same_ids(trained, ckg)
    trained_on = trained.inputs.get(manifest.CKG)
    if trained_on != ckg.fingerprint():
        raise DataError(f"{directory}: was trained on CKG {trained_on}, {ckg_directory} is {ckg.fingerprint()}")
    from kdcn_tf.data.entities import spans_of

    types = list(dict.fromkeys(values.types or ckg.require_id_map().ranges))
    for entity_type in types:
        spans_of(ckg, entity_type)
    manifest.prepare_output(output, manifest.EMBEDDINGS, values.overwrite)
    from kdcn_tf.data import filesystems  # TensorFlow's import takes seconds; wrong flags shouldn't wait for it
    from kdcn_tf.data.failures import translated

    filesystems.require(directory, ckg_directory, output)
    with manifest.discarded_on_failure(output), translated(directory):
        _export(directory, trained, _config(trained, values.dim), ckg_directory, ckg, output, types, values)


def _config(trained: manifest.Manifest, dim: int | None) -> Config:
    """The model's configuration, with the size of its vectors that is asked for."""
    config = from_dict(trained.config)
    return config if dim is None else replace(config, encoder=replace(config.encoder, export_dim=dim or None))


def _export(directory, trained, config, ckg_directory, ckg, output, types, values) -> None:
    from kdcn_tf.data.entities import ENTITIES, read_keys, spans_of
    from kdcn_tf.export import embeddings, formats
    from kdcn_tf.training import cluster
    from kdcn_tf.training.checkpoints import load_weights
    from kdcn_tf.training.pretrain import Pretraining

    run = Pretraining(cluster.InlineScheduler(), config, ckg, ckg_directory)
    load_weights(run.model, directory)
    run.load_graph()
    encode, dim = _vectors(run, config, ckg, types, values.vectors)
    exported = []
    for entity_type in types:
        entries = embeddings.write_type(output, entity_type, spans_of(ckg, entity_type), encode)
        sources = dict(zip(entries, ckg.group(f"{ENTITIES}{entity_type}"), strict=True))

        def keys_of(entry: manifest.DataFile, sources=sources) -> list[str]:
            return read_keys(ckg_directory, sources[entry])

        exported.append(formats.Exported(output, entity_type, entries, keys_of))
    groups = {each.entity_type: each.entries for each in exported}
    for name in (name for name in formats.OF_A_TYPE if name in values.format):
        groups |= {f"{name}/{each.entity_type}": tuple(formats.OF_A_TYPE[name](each)) for each in exported}
    if formats.PROJECTOR in values.format:
        groups[formats.PROJECTOR] = formats.write_projector(output, exported)
    files.write_atomic(files.join(output, manifest.CONFIG_FILE), options.to_yaml(config).encode())
    manifest.write(
        output,
        manifest.Manifest(
            kind=manifest.EMBEDDINGS,
            files=groups,
            counts={name: sum(f.count for f in groups[name]) for name in types},
            id_map=ckg.id_map,
            config=options.to_dict(config),
            inputs={manifest.CKG_MODEL: trained.fingerprint()},
            info={"dim": dim, "vectors": values.vectors},
        ),
    )


def _vectors(run, config, ckg, types, kind):
    """What gives the vectors of an id range, and their size; long ones as the components of what click models read."""
    from kdcn_tf.ckg import CLICK_TYPES
    from kdcn_tf.data.entities import spans_of
    from kdcn_tf.export import components

    encode = {"gcn": run.encoded, "table": run.table_rows, "surrounded": run.surrounded}[kind]
    parts = 2 if kind == "surrounded" else 1
    dim, limit = parts * config.encoder.dim, parts * (config.encoder.export_dim or config.encoder.dim)
    if dim <= limit:
        return encode, dim
    judged = [name for name in types if name in CLICK_TYPES] or types
    directions, share = components.fit(encode, [spans_of(ckg, name) for name in judged], limit)
    logging.info("%d of %d numbers per vector, with %.0f%% of the variance", limit, dim, 100 * share)
    return components.projected(encode, directions), limit


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
