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
_AROUND = re.compile(r"\{\{.*?\}\}\s*|\s*\[\[.*?\]\]|\s*\[Op:[^\]]+\].*|^\s*\(\d+\)\s*[A-Z_]+: ", re.S | re.M)
# What gRPC adds to the message of a call that failed on its way.
_CALL = "GRPC error information"
_NO_REASON = ("Graph execution error", "Detected at node", 'File "', "Stack trace")


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Runs TensorFlow code whose failures are the user's to mend.

    Args:
        where: the file or directory that is read or written, or what is going on; begins the message.

    Raises:
        DataError: a file is missing, truncated, corrupt or doesn't fit.
        ConfigError: a file may not be written.
        TryAgainError: the disk or the memory is full, or a message between members of the cluster got lost.
        UnavailableError: a member of the cluster is gone.
    """
    try:
        yield
    except tf.errors.OpError as error:
        kind = next(kind for kind, errors in _KINDS if isinstance(error, errors))
        if isinstance(error, tf.errors.InternalError) and _CALL in error.message:
            # The call, not what it asked for: TensorFlow 2.16 now and then sends one that nobody can read.
            kind = TryAgainError
        raise kind(f"{where}: {reason(error.message)}") from error
    except UnicodeDecodeError as error:
        # TensorFlow quotes a record that it can't parse, and then can't read its own message.
        raise DataError(f"{where}: {reason(error.object.decode(errors='backslashreplace'))}") from error


def reason(message: str) -> str:
    """One line of TensorFlow's message: what went wrong, without where in the graph."""
    lines = [line.strip() for line in _AROUND.sub("", message).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_NO_REASON) and "root error(s)" not in line]
    return telling[0] if telling else " ".join(message.split())


def check_rows(path: str, read: float, described: int) -> None:
    """Refuses a file that holds more or fewer rows than its manifest says, such as records of another kind.

    Raises:
        DataError: naming the file and both numbers.
    """
    if read != described:
        raise DataError(f"{path}: {read:.0f} rows, but the manifest says {described}")
