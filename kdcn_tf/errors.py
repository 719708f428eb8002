"""The errors a user can meet, and the exit code of each.

Codes follow sysexits.h where it has one: 2 wrong configuration or command line, 65 wrong data,
69 a needed service is unavailable, 75 temporary failure, try again.
"""

import errno


class KdcnError(Exception):
    """An error with a message for the user; the command line prints it without a traceback."""

    exit_code = 1


class ConfigError(KdcnError):
    """A flag, config field or combination of them is wrong."""

    exit_code = 2


class DataError(KdcnError):
    """An input file, record or manifest is wrong."""

    exit_code = 65


class UnavailableError(KdcnError):
    """A cluster member or file system can't be reached."""

    exit_code = 69


class TryAgainError(KdcnError):
    """The work stopped half-way and can be resumed by the same command."""

    exit_code = 75


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EMFILE}
_WRONG_PATH = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY,
    errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


def of_os(error: OSError, path: str = "") -> KdcnError:
    """What the operating system's error means: a wrong path, a full disk, or a file system that is away.

    Args:
        error: from `open`, `write` and their like.
        path: named in the message; by default the file that the error names, if it does.
    """
    kind: type[KdcnError] = UnavailableError
    if error.errno in _FULL:
        kind = TryAgainError
    elif error.errno in _WRONG_PATH:
        kind = ConfigError
    where = path or error.filename
    reason = error.strerror or str(error) or type(error).__name__
    return kind(f"{where}: {reason}" if where else reason)
