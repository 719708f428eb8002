"""TensorFlow's errors as this system's: the one place where they are translated."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from kdcn_tf.errors import ConfigError, DataError, KdcnError, TryAgainError, UnavailableError

_KINDS: tuple[tuple[type[KdcnError], tuple[type[tf.errors.OpError], ...]], ...] = (
    (UnavailableError, (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)),
    (TryAgainError, (tf.errors.ResourceExhaustedError,)),
    (ConfigError, (tf.errors.PermissionDeniedError, tf.errors.AlreadyExistsError)),
    (DataError, (tf.errors.OpError,)),
)

# What TensorFlow puts around the reason: the graph's nodes, and where in the code they were made.
_AROUND = re.compile(r"\{\{.*?\}\}\s*|\[\[.*?\]\]|\[Op:\w+\].*|Detected at node.*?\n|\s*Original stack trace.*", re.S)


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Runs TensorFlow code whose failures are the user's to mend.

    Args:
        where: the file or directory that is read or written, or what is going on; begins the message.

    Raises:
        DataError: a file is missing, truncated, corrupt or doesn't fit.
        ConfigError: a file may not be written.
        TryAgainError: the disk or the memory is full.
        UnavailableError: a member of the cluster is gone.
    """
    try:
        yield
    except tf.errors.OpError as error:
        kind = next(kind for kind, errors in _KINDS if isinstance(error, errors))
        raise kind(f"{where}: {reason(error.message)}") from error


def reason(message: str) -> str:
    """One line of TensorFlow's message: what went wrong, without where in the graph."""
    lines = [line.strip() for line in _AROUND.sub("", message).splitlines()]
    return next(filter(None, lines), message.strip().split("\n")[0])
