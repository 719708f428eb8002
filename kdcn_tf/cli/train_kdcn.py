"""Trains K-DCN on a CTR dataset.

With --embeddings its entity table starts from an export; without, or with --set kdcn.pretrained=false,
from random values. Alone it trains in this process; with TF_CONFIG set it takes its role in that
parameter server cluster (launch/train_kdcn.sh starts a local one). The same command with the same
--output goes on where an interrupted run stopped.
"""

import logging
from collections.abc import Sequence
from typing import Any

from absl import flags

from kdcn_tf import command, files, manifest, options
from kdcn_tf.cli import ctr_inputs
from kdcn_tf.config import Config
from kdcn_tf.runs import BEST, TENSORBOARD, open_run
from kdcn_tf.training.metrics import selection_score

NAME = "train-kdcn"
log = logging.getLogger(__name__)


def _flags() -> flags.FlagValues:
    values = command.new_flags()
    ctr_inputs.define(values)
    command.output_flags(values, "the trained model")
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "ctr", "output")
    command.output_apart(values, "ctr", "embeddings")
    found = ctr_inputs.read(values)
    marks = found.fingerprints(found.config.kdcn.pretrained)
    from kdcn_tf.data import filesystems  # TensorFlow's import takes seconds; wrong flags shouldn't wait for it
    from kdcn_tf.data.failures import translated
    from kdcn_tf.training import cluster

    filesystems.require(values.ctr, values.embeddings, values.output)
    with translated("training"):
        _train(cluster.start(), found.config, found.ctr, marks, values)


def _train(scheduler, config: Config, ctr: manifest.Manifest, inputs: dict[str, str], values: flags.FlagValues) -> None:
    from kdcn_tf.training.checkpoints import Checkpoints, load_weights, save_weights
    from kdcn_tf.training.drift import Drift
    from kdcn_tf.training.finetune import Finetuning
    from kdcn_tf.training.ledger import Ledger
    from kdcn_tf.training.loop import run_epochs

    output = values.output
    open_run(output, manifest.KDCN_MODEL, config, inputs, values.overwrite)
    run = Finetuning(scheduler, config, ctr, values.ctr)
    ledger = Ledger([f.name for f in ctr.group("train")], config.finetune.epochs, config.finetune.seed)
    network, table = run.optimizers[1], run.optimizers[0]
    checkpoints = Checkpoints(output, ledger, model=run.model, network=network, table=table)
    if checkpoints.restore():
        log.info("resuming at epoch %d of %d", ledger.epoch + 1, ledger.epochs)
    elif config.kdcn.pretrained:
        log.info("entity table: %d pretrained rows", run.load_pretrained(values.embeddings))

    tuned = config.kdcn.pretrained and not config.kdcn.freeze_entities
    drift = Drift(run.model.entities, values.embeddings, config.kdcn.standardize_entities) if tuned else None
    best = files.join(output, BEST)
    files.make_dirs(best)

    def judge(epoch: int) -> dict:
        with run.averaged():
            figures: dict[str, Any] = run.evaluate("valid")
            if drift:
                figures["drift"] = drift.figures()
            if _is_best(figures, ledger.history):
                save_weights(run.model, best)
        return figures

    run_epochs(
        scheduler=scheduler,
        ledger=ledger,
        checkpoints=checkpoints,
        train_file=run.train_file,
        path_of=run.path_of,
        rows_of={f.name: f.count for f in ctr.group("train")},
        end_of_epoch=judge,
        should_stop=lambda history: _stale(history) >= config.finetune.patience,
        seed=config.finetune.seed,
        unit="examples",
        checkpoint_every=config.finetune.checkpoint_every,
        tensorboard=files.join(output, TENSORBOARD),
    )
    load_weights(run.model, best)
    names = save_weights(run.model, output)
    manifest.write(
        output,
        manifest.Manifest(
            kind=manifest.KDCN_MODEL,
            files={"weights": tuple(manifest.describe_file(output, name) for name in names)},
            id_map=ctr.id_map,
            config=options.to_dict(config),
            inputs=inputs,
            info={**ctr.info, "history": ledger.history},
        ),
    )


def _is_best(figures: dict, history: list[dict]) -> bool:
    return all(_score(figures) > _score(earlier) for earlier in history)


def _score(figures: dict) -> float:
    return selection_score(figures["valid_auc"], figures["valid_log_loss"])


def _stale(history: list[dict]) -> int:
    """Epochs since the best one."""
    scores = [_score(figures) for figures in history]
    return len(scores) - 1 - scores.index(max(scores))


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main()
