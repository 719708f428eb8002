"""Exports entity embeddings of a trained GCN-TransE model.

Writes npy files, one per id map file of the CKG, for K-DCN and for any other reader; --format=parquet
adds Parquet files with columns id, type, key, vector.
"""

from collections.abc import Sequence

from absl import flags

from kdcn_tf import command, files, manifest, options
from kdcn_tf.errors import DataError

NAME = "export-embeddings"


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("model", None, "trained model, from train-ckg", flag_values=values)
    flags.DEFINE_string("ckg", None, "the CKG dataset it was trained on", flag_values=values)
    flags.DEFINE_list("types", None, "entity types to export; all by default", flag_values=values)
    flags.DEFINE_enum("vectors", "gcn", ["gcn", "table"], "the GCN's output or the raw table E", flag_values=values)
    flags.DEFINE_enum("format", "npy", ["npy", "parquet"], "also write Parquet", flag_values=values)
    command.output_flags(values, "the embeddings")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "model", "ckg", "output")
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
    from kdcn_tf.data.failures import translated  # TensorFlow's import takes seconds; wrong flags shouldn't wait for it

    with manifest.discarded_on_failure(output), translated(directory):
        _export(directory, trained, ckg_directory, ckg, output, types, values.vectors, values.format)


def _export(directory, trained, ckg_directory, ckg, output, types, vectors, file_format) -> None:
    from kdcn_tf.config import from_dict
    from kdcn_tf.data.entities import read_keys, spans_of
    from kdcn_tf.export import embeddings
    from kdcn_tf.training import cluster
    from kdcn_tf.training.checkpoints import load_weights
    from kdcn_tf.training.pretrain import Pretraining

    config = from_dict(trained.config)
    run = Pretraining(cluster.InlineScheduler(), config, ckg, ckg_directory)
    load_weights(run.model, directory)
    run.load_graph()
    encode = run.encoded if vectors == "gcn" else run.table_rows
    groups = {}
    for entity_type in types:
        groups[entity_type] = embeddings.write_type(output, entity_type, spans_of(ckg, entity_type), encode)
        if file_format == embeddings.PARQUET:
            groups[f"parquet/{entity_type}"] = tuple(
                embeddings.write_parquet(output, entity_type, entry, read_keys(ckg_directory, source))
                for entry, source in zip(groups[entity_type], ckg.group(f"entities/{entity_type}"), strict=True)
            )
    files.write_atomic(files.join(output, manifest.CONFIG_FILE), options.to_yaml(config).encode())
    manifest.write(
        output,
        manifest.Manifest(
            kind=manifest.EMBEDDINGS,
            files=groups,
            counts={name: sum(f.count for f in groups[name]) for name in types},
            id_map=ckg.id_map,
            config=trained.config,
            inputs={manifest.CKG_MODEL: trained.fingerprint()},
            info={"dim": config.encoder.dim, "vectors": vectors},
        ),
    )


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
