"""The shape of every command: flags -> config -> call, errors -> message and exit code.

A command is a module with `main(argv)`, made by `command.run`; each has flags of its own, so
importing one has no side effect on another.
"""

import atexit
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from absl import flags

from kdcn_tf import config, errors, files, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError, KdcnError


def new_flags(with_config: bool = True) -> flags.FlagValues:
    """Flags that every command has."""
    values = flags.FlagValues()
    flags.DEFINE_bool("help", False, "show this help", short_name="h", flag_values=values)
    if with_config:
        flags.DEFINE_string("preset", "default", "preset of the configuration", flag_values=values)
        flags.DEFINE_string("config", None, "YAML or JSON file of config sections", flag_values=values)
        flags.DEFINE_multi_string("set", [], "override: section.field=value; repeatable", flag_values=values)
        flags.DEFINE_bool("helpconfig", False, "show every config field with its help", flag_values=values)
    return values


def output_flags(values: flags.FlagValues, what: str) -> None:
    flags.DEFINE_string("output", None, f"directory to write {what} to; has to be fresh", flag_values=values)
    flags.DEFINE_bool(
        "overwrite", False, "replace a finished dataset in --output; it goes before the new one is made",
        flag_values=values,
    )  # fmt: skip


def required(values: flags.FlagValues, *names: str) -> None:
    """Checks that flags are given.

    Raises:
        ConfigError: naming the first that isn't.
    """
    for name in names:
        if not values[name].value:
            raise ConfigError(f"--{name}: is required")


def output_apart(values: flags.FlagValues, *names: str, beside: Mapping[str, str] | None = None) -> None:
    """Refuses an --output that is an input too, as --overwrite would remove what is to be read.

    Args:
        values: the command's flags.
        names: flags that each name an input directory, or a list of them; those that aren't given don't count.
        beside: input directories that stand beside the flags, by what messages call them.

    Raises:
        ConfigError: naming both.
    """
    if not values.output:
        return
    inputs = dict(beside or {})
    for name in names:
        given = values[name].value or ()
        found = [given] if isinstance(given, str) else given
        inputs |= {f"--{name} {directory}": directory for directory in found}
    for what, directory in inputs.items():
        if files.same_place(directory, values.output):
            raise ConfigError(f"{what}: is --output {values.output} too; name another directory to write to")


def operands(name: str, rest: list[str]) -> list[str]:
    """What stands beside the flags of a command that takes KEYs or directories there.

    Raises:
        ConfigError: one of them looks like a flag, so it is one that the command doesn't know.
    """
    if unknown := [argument for argument in rest if argument.startswith("-")]:
        raise ConfigError(f"unexpected argument {unknown[0]!r}; see kdcn {name} --help")
    return rest


def resolve_config(values: flags.FlagValues, suggested: dict | None = None) -> Config:
    return config.resolve(str(values.preset), suggested, values.config, values.set or ())


def run(
    name: str,
    doc: str,
    values: flags.FlagValues,
    call: Callable[[flags.FlagValues, list[str]], int | None],
    argv: Sequence[str] | None = None,
    pass_through: bool = False,
) -> NoReturn:
    """Parses `argv`, calls, and exits with the code of DESIGN's table.

    Args:
        name: the subcommand, for messages.
        doc: help text, first line a summary.
        values: the command's flags.
        call: gets the parsed flags and the rest of the arguments; returns an exit code or None.
        argv: arguments without the program's name; `sys.argv[1:]` by default.
        pass_through: unknown arguments go to `call` (Beam's options) instead of being an error.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname).1s %(message)s", stream=sys.stderr, force=True)
    logging.getLogger("absl").setLevel(logging.WARNING)
    # Each checkpoint makes TensorFlow warn about retracing; what matters comes as exceptions.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        arguments = list(sys.argv[1:] if argv is None else argv)
        rest = _parse(name, values, arguments, pass_through)
        if values.help:
            print(f"kdcn {name}: {doc.strip()}\n\nFlags:\n{values.main_module_help() or values.get_help()}")
            sys.exit(0)
        if "helpconfig" in values and values.helpconfig:
            print(options.describe(resolve_config(values)))
            sys.exit(0)
        _leave(call(values, rest) or 0)
    except (KdcnError, OSError) as error:
        known = errors.of_os(error) if isinstance(error, OSError) else error
        print(f"kdcn {name}: error: {known}", file=sys.stderr)
        _leave(known.exit_code)
    except KeyboardInterrupt:
        print(f"kdcn {name}: interrupted", file=sys.stderr)
        sys.exit(130)


def _leave(code: int) -> NoReturn:
    """Exits; by the short way where tensorflow-io is loaded, whose S3 client aborts the process as it is unloaded."""
    if "tensorflow_io" in sys.modules:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _parse(name: str, values: flags.FlagValues, arguments: list[str], pass_through: bool) -> list[str]:
    try:
        rest = values([f"kdcn {name}", *arguments], known_only=pass_through)[1:]
    except flags.Error as error:
        raise ConfigError(f"{error}; see kdcn {name} --help") from None
    if rest and not pass_through:
        raise ConfigError(f"unexpected argument {rest[0]!r}; see kdcn {name} --help")
    for flag in {values[key].name: values[key] for key in values}.values():
        _check_texts(flag)
    return rest


def _check_texts(flag: flags.Flag) -> None:
    """Refuses a text that is empty, as of a shell's variable that isn't set, or isn't UTF-8, as Beam's names are.

    A flag whose default is empty may be.
    """
    given = flag.value if isinstance(flag.value, list) else [flag.value]
    texts = [value for value in given if isinstance(value, str)] if flag.present else []
    if "" in texts and flag.default != "":
        raise ConfigError(f"--{flag.name}: is empty")
    for value in texts:
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"--{flag.name}: {value!r} is not UTF-8") from None
