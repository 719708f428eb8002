"""Checkpoints: weights, optimizer slots and ledger in one commit."""

from collections.abc import Callable

import tensorflow as tf

from kdcn_tf import files
from kdcn_tf.data.failures import reason, translated
from kdcn_tf.errors import DataError
from kdcn_tf.runs import CHECKPOINTS
from kdcn_tf.training.finite import require_weights
from kdcn_tf.training.ledger import Ledger


class Checkpoints:
    """Saves and restores everything a run needs to go on.

    Args:
        directory: the run's output directory.
        ledger: progress, saved beside the weights.
        trackables: what else to save, by name. Optimizer slots must exist already.
    """

    def __init__(self, directory: str, ledger: Ledger, **trackables: tf.Module):
        self._checkpoint = tf.train.Checkpoint(ledger=ledger, **trackables)
        self._trained = [v for trackable in trackables.values() for v in getattr(trackable, "trained", ())]
        self._directory = files.join(directory, CHECKPOINTS)
        self._manager = tf.train.CheckpointManager(self._checkpoint, self._directory, max_to_keep=2)

    def restore(self) -> bool:
        """Restores the latest checkpoint; False where there is none.

        Raises:
            DataError: it is corrupt, or of another model.
        """
        if not self._manager.latest_checkpoint:
            if found := files.listed(self._directory, "ckpt-*.index"):
                raise DataError(f"{self._directory}/checkpoint: doesn't name {found[-1]}, which is there")
            return False
        _read(self._checkpoint.restore, self._manager.latest_checkpoint)
        return True

    def save(self) -> None:
        """Saves a checkpoint; of older ones the latest stays.

        Raises:
            DataError: a trained weight isn't finite; nothing is saved.
            TryAgainError: the disk is full.
        """
        with translated(self._directory):
            require_weights(self._trained, self._directory)
            self._manager.save()


def save_weights(model: tf.keras.Model, directory: str, **beside: list) -> list[str]:
    """Writes the model's variables, and `beside` them lists of others; returns file names, relative to `directory`."""
    with translated(directory):
        tf.train.Checkpoint(model=model, **beside).write(files.join(directory, "weights"))
    names = sorted(files.last_name(path) for path in files.listed(directory, "weights.*"))
    return names


def load_weights(model: tf.keras.Model, directory: str) -> None:
    """Reads what `save_weights` wrote; every variable of the model must be in it.

    Raises:
        DataError: the files are missing or corrupt, or hold another model.
    """
    _read(tf.train.Checkpoint(model=model).read, files.join(directory, "weights"))


def load_part(model: tf.keras.Model, name: str, directory: str) -> None:
    """Like `load_weights`, of one attribute of the model.

    Raises:
        DataError: the files are missing or corrupt, or hold another model.
    """
    part = tf.Module()
    setattr(part, name, getattr(model, name))
    _read(tf.train.Checkpoint(model=part).read, files.join(directory, "weights"))


def _read(read: Callable, path: str) -> None:
    """Calls a checkpoint's `read` or `restore`; every variable must be found, in its shape."""
    with translated(path):
        try:
            read(path).assert_existing_objects_matched().expect_partial()
        except (AssertionError, ValueError) as error:
            raise DataError(f"{path}: doesn't hold this model: {reason(str(error)).split(', likely')[0]}") from error
        except (IndexError, RuntimeError) as error:  # what TensorFlow's reader makes of OUT_OF_RANGE and others
            raise DataError(f"{path}: {reason(str(error))}") from error
