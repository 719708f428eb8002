"""Pretrains GCN-TransE on a CKG dataset.

Alone it trains in this process. With TF_CONFIG set it takes its role in that parameter server cluster:
the chief schedules, workers and parameter servers serve until they are stopped (launch/train_ckg.sh
starts a local one). The same command with the same --output goes on where an interrupted run stopped.
"""

import logging
import os
from collections.abc import Sequence

from absl import flags

from kdcn_tf import command, costs, files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.runs import TENSORBOARD, open_run

NAME = "train-ckg"
_LARGE_STEP = 1 << 24
"""Products of a step that threads should share: the default's 4 million lose by it, 65 million gain."""
_LARGE_TABLE = 1 << 26
"""Bytes of an entity table whose rows are in no cache, so that threads should wait for memory together."""

log = logging.getLogger(__name__)


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    flags.DEFINE_string("ckg", None, "CKG dataset, from build-ckg", flag_values=values)
    flags.DEFINE_string(
        "warm_start", None, "model to start from, trained on --ckg's base (build-ckg --base) or ids", flag_values=values
    )
    command.output_flags(values, "the trained model")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "ckg", "output")
    command.output_apart(values, "ckg", "warm_start")
    ckg = manifest.read(values.ckg, manifest.CKG)
    config = command.resolve_config(values, {"ckg.stored_neighbors": ckg.number("stored_neighbors")})
    start = values.warm_start
    trained = manifest.read(start, manifest.CKG_MODEL) if start is not None else None
    _settle_tensorflow(config, ckg)
    from kdcn_tf.data import filesystems  # TensorFlow's import takes seconds; wrong flags shouldn't wait for it
    from kdcn_tf.data.failures import translated
    from kdcn_tf.training import cluster, warm_start

    filesystems.require(values.ckg, values.output, start)
    if trained is not None:
        warm_start.require_fit(start, trained, config, values.ckg, ckg)
    with translated("training"):
        _train(cluster.start(), config, ckg, values.ckg, values.output, values.overwrite, start, trained)


def _settle_tensorflow(config: Config, ckg: manifest.Manifest) -> None:
    """Sets what TensorFlow reads as it is imported, and the user has left open."""
    # oneDNN pays for large matrices; a step's are 64 wide, and take a quarter more processor time with it.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    # Threads that share an operation cost more than they save where operations are small and their rows in a cache;
    # independent operations still run beside each other.
    table_bytes = 4 * ckg.require_id_map().num_ids * config.encoder.dim
    if costs.scored_products(config) < _LARGE_STEP and table_bytes < _LARGE_TABLE:
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def _train(
    scheduler,
    config: Config,
    ckg: manifest.Manifest,
    directory: str,
    output: str,
    overwrite: bool,
    start: str | None,
    trained: manifest.Manifest | None,
) -> None:
    from kdcn_tf.training import warm_start
    from kdcn_tf.training.checkpoints import Checkpoints, save_weights
    from kdcn_tf.training.ledger import Ledger
    from kdcn_tf.training.loop import run_epochs
    from kdcn_tf.training.pretrain import Pretraining
    from kdcn_tf.training.watching import step_bytes

    inputs = {manifest.CKG: ckg.fingerprint()}
    if trained is not None:
        inputs[manifest.CKG_MODEL] = trained.fingerprint()
    open_run(output, manifest.CKG_MODEL, config, inputs, overwrite)
    run = Pretraining(scheduler, config, ckg, directory)
    ledger = Ledger([f.name for f in ckg.group("train")], config.pretrain.epochs, config.pretrain.seed)
    checkpoints = Checkpoints(output, ledger, model=run.model, optimizer=run.optimizer)
    if checkpoints.restore():
        log.info("resuming at epoch %d of %d", ledger.epoch + 1, ledger.epochs)
    elif start is not None and trained is not None:
        warm_start.load(run.model, start, trained.require_id_map(), run.optimizer)
    run.load_graph()
    run_epochs(
        scheduler=scheduler,
        ledger=ledger,
        checkpoints=checkpoints,
        train_file=run.train_file,
        path_of=run.path_of,
        rows_of={f.name: f.count for f in ckg.group("train")},
        end_of_epoch=lambda epoch: {},
        should_stop=lambda history: False,
        seed=config.pretrain.seed,
        unit="triples",
        checkpoint_every=config.pretrain.checkpoint_every,
        step_bytes=lambda counts: step_bytes(counts, config, scheduler.num_servers),
        tensorboard=files.join(output, TENSORBOARD),
    )
    metrics = {split: run.evaluate(split) for split in ("valid", "test")}
    for split, figures in metrics.items():
        log.info("%s: %s", split, options.readable(figures))
    names = save_weights(run.model, output, **run.optimizer.lasting)
    manifest.write(
        output,
        manifest.Manifest(
            kind=manifest.CKG_MODEL,
            files={"weights": tuple(manifest.describe_file(output, name) for name in names)},
            counts={"entities": run.id_map.num_ids - 1, "relations": len(run.id_map.relations)},
            id_map=run.id_map,
            config=options.to_dict(config),
            inputs=inputs,
            info={"metrics": metrics, "history": ledger.history},
        ),
    )


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
