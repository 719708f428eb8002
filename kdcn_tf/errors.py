"""The errors a user can meet, and the exit code of each.

Codes follow sysexits.h where it has one: 2 wrong configuration or command line, 65 wrong data,
69 a needed service is unavailable, 75 temporary failure, try again.
"""


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
