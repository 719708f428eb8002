"""Checkpoints: weights, optimizer slots and ledger in one commit."""

import itertools
from collections.abc import Callable, Mapping

import tensorflow as tf

from kdcn_tf import files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.data.failures import reason, translated
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.training.finite import require_weights
from kdcn_tf.training.ledger import Ledger

CHECKPOINTS, BEST, TENSORBOARD = "checkpoints", "best", "tensorboard"
"""Folders of a run: to resume from, the weights of the best epoch so far, and scalars to look at."""


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


def require_plain(directory: str) -> None:
    """Refuses a name in which TensorFlow, looking for checkpoint files, would see a pattern.

    Raises:
        ConfigError: the name has one of * ? [ ].
    """
    if set(directory) & set("*?[]"):
        raise ConfigError(f"{directory}: a model's directory can't have * ? [ ] in its name")


def open_run(directory: str, kind: str, config: Config, inputs: Mapping[str, str], overwrite: bool) -> None:
    """Makes a run's output directory, or finds the unfinished run that it holds, and takes it for this process.

    Args:
        directory: of the run.
        kind: of the dataset that the run will leave.
        config: resolved configuration.
        inputs: kind -> fingerprint of the datasets that it reads.
        overwrite: replace a finished dataset of this kind.

    Raises:
        ConfigError: the directory holds a finished run, a run of other options or inputs, or other files.
        TryAgainError: another process writes to it.
    """
    require_plain(directory)
    path = files.join(directory, manifest.CONFIG_FILE)
    text = "".join(f"# {name}: {mark}\n" for name, mark in inputs.items()) + options.to_yaml(config)
    files.make_dirs(directory)
    files.claim(directory)
    unfinished = files.exists(path) and not files.exists(files.join(directory, manifest.MANIFEST))
    if not unfinished:
        manifest.prepare_output(directory, kind, overwrite, leftovers=(CHECKPOINTS, BEST, TENSORBOARD))
        files.write_atomic(path, text.encode())
    elif wrong := _difference(files.read_bytes(path).decode(errors="replace"), text):
        raise ConfigError(f"{directory}: holds an unfinished run of another configuration or input ({wrong})")


def _difference(old: str, new: str) -> str:
    """The first line in which two configurations differ, with its section; "" where none does."""
    section = ""
    for before, now in itertools.zip_longest(old.splitlines(), new.splitlines(), fillvalue=""):
        if now[:1] not in (" ", "#", ""):
            section = f"{now} "
        if before != now:
            return f"{section}{before.strip(' #')!r} there, {now.strip(' #')!r} now"
    return ""


def save_weights(model: tf.keras.Model, directory: str) -> list[str]:
    """Writes the model's variables; returns the names of the files, relative to `directory`."""
    with translated(directory):
        tf.train.Checkpoint(model=model).write(files.join(directory, "weights"))
    names = sorted(path.rsplit("/", 1)[-1] for path in files.listed(directory, "weights.*"))
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
