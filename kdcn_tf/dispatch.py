"""Commands of commands: finds the module that a name stands for and calls its `main`.

A module is imported only when its name is given, so help costs no TensorFlow or Beam import.
"""

import difflib
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from kdcn_tf.errors import ConfigError, UnavailableError

Table = Mapping[str, tuple[str, str]]
"""Name -> (module with `main(argv)`, summary)."""


def summaries(table: Table) -> str:
    """A line per name, in the table's order."""
    width = max(map(len, table))
    return "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in table.items())


def module_of(table: Table, name: str, what: str) -> str:
    """Module that a name stands for.

    Raises:
        ConfigError: no such name; close matches are named. `what` says what the names are.
    """
    if name in table:
        return table[name][0]
    close = difflib.get_close_matches(name, table, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(table)}"
    raise ConfigError(f"unknown {what} {name!r}; {hint}")


def run(program: str, table: Table, what: str, usage: str, arguments: Sequence[str]) -> NoReturn:
    """Calls the command that the first argument names with the other arguments, or shows help; exits.

    Args:
        program: what stands before the name on the command line, for messages.
        table: the commands.
        what: what the names are, such as "subcommand".
        usage: help text; goes to stderr, with exit code 2, where no name is given.
        arguments: the command line without the program.
    """
    first = arguments[0] if arguments else ""
    if first in ("--help", "-h", "help"):
        print(usage)
        sys.exit(0)
    if not first:
        print(usage, file=sys.stderr)
        sys.exit(ConfigError.exit_code)
    try:
        importlib.import_module(module_of(table, first, what)).main(arguments[1:])
    except ConfigError as error:
        print(f"{program}: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        message = "TensorFlow is not installed: pip install 'kdcn-tf[training]'"
        print(f"{program} {first}: error: {message}", file=sys.stderr)
        sys.exit(UnavailableError.exit_code)
    sys.exit(0)
