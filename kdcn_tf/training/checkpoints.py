"""Checkpoints: weights, optimizer slots and ledger in one commit."""

import tensorflow as tf

from kdcn_tf import files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from kdcn_tf.training.ledger import Ledger

CHECKPOINTS = "checkpoints"


class Checkpoints:
    """Saves and restores everything a run needs to go on.

    Args:
        directory: the run's output directory.
        ledger: progress, saved beside the weights.
        trackables: what else to save, by name. Optimizer slots must exist already.
    """

    def __init__(self, directory: str, ledger: Ledger, **trackables: tf.Module):
        self._checkpoint = tf.train.Checkpoint(ledger=ledger, **trackables)
        self._manager = tf.train.CheckpointManager(self._checkpoint, files.join(directory, CHECKPOINTS), max_to_keep=2)

    def restore(self) -> bool:
        """Restores the latest checkpoint; False where there is none."""
        if not self._manager.latest_checkpoint:
            return False
        self._checkpoint.restore(self._manager.latest_checkpoint).assert_existing_objects_matched()
        return True

    def save(self) -> None:
        self._manager.save()


def open_run(directory: str, config: Config, overwrite: bool) -> None:
    """Makes a run's output directory, or finds the unfinished run that it holds.

    Raises:
        ConfigError: the directory holds a finished run, a run of another configuration, or other files.
    """
    path = files.join(directory, manifest.CONFIG_FILE)
    text = options.to_yaml(config)
    unfinished = files.exists(path) and not files.exists(files.join(directory, manifest.MANIFEST))
    if not unfinished:
        manifest.prepare_output(directory, overwrite)
        files.write_atomic(path, text.encode())
    elif files.read_bytes(path).decode() != text:
        raise ConfigError(
            f"{directory}: holds an unfinished run of another configuration ({manifest.CONFIG_FILE} differs)"
        )


def save_weights(model: tf.keras.Model, directory: str) -> list[str]:
    """Writes the model's variables; returns the names of the files, relative to `directory`."""
    prefix = tf.train.Checkpoint(model=model).write(files.join(directory, "weights"))
    names = sorted(path.rsplit("/", 1)[-1] for path in files.match(f"{prefix}.*"))
    return names


def load_weights(model: tf.keras.Model, directory: str) -> None:
    """Reads what `save_weights` wrote; every variable of the model must be in it."""
    reader = tf.train.Checkpoint(model=model).read(files.join(directory, "weights"))
    reader.assert_existing_objects_matched().expect_partial()
