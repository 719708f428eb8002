"""The console command: `kdcn SUBCOMMAND ...` finds the subcommand's module and calls its `main`.

A module is imported only when its subcommand runs, so `kdcn --help` costs no TensorFlow or Beam import.
"""

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from kdcn_tf import __version__
from kdcn_tf.errors import ConfigError, UnavailableError

COMMANDS: dict[str, tuple[str, str]] = {
    "simulate": ("pipelines.datasets.simulate", "simulate raw logs whose best possible AUC is known"),
    "import": ("pipelines.datasets.import_logs", "turn a public dataset (movies, jdsearch) into raw logs"),
    "build-ckg": ("pipelines.build_ckg", "build the knowledge graph from raw logs (Beam)"),
    "train-ckg": ("kdcn_tf.cli.train_ckg", "pretrain GCN-TransE on the knowledge graph"),
    "export-embeddings": ("kdcn_tf.cli.export_embeddings", "write the pretrained entity embeddings"),
    "build-ctr": ("pipelines.build_ctr", "build click examples with the graph's ids (Beam)"),
    "train-kdcn": ("kdcn_tf.cli.train_kdcn", "train K-DCN, starting from the embeddings"),
    "evaluate": ("kdcn_tf.cli.evaluate", "compare models and baselines on held-out impressions"),
    "export-model": ("kdcn_tf.cli.export_model", "write the versioned SavedModel for TF Serving"),
    "rank": ("kdcn_tf.cli.rank", "rank candidate items for a user and a query"),
}
"""Subcommand -> (module with `main(argv)`, summary), in the order in which data flows."""


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: kdcn SUBCOMMAND [flags]",
            "",
            "Subcommands, in the order in which data flows:",
            *lines,
            "",
            "kdcn SUBCOMMAND --help shows its flags, --helpconfig the configuration; kdcn --version the version.",
        ]
    )


def module_of(name: str) -> str:
    """Module of a subcommand.

    Raises:
        ConfigError: no such subcommand; close matches are named.
    """
    if name in COMMANDS:
        return COMMANDS[name][0]
    close = difflib.get_close_matches(name, COMMANDS, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(COMMANDS)}"
    raise ConfigError(f"unknown subcommand {name!r}; {hint}")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    arguments = list(sys.argv[1:] if argv is None else argv)
    first = arguments[0] if arguments else ""
    if first in ("--help", "-h", "help"):
        print(usage())
        sys.exit(0)
    if first == "--version":
        print(f"kdcn-tf {__version__}")
        sys.exit(0)
    if not first:
        print(usage(), file=sys.stderr)
        sys.exit(ConfigError.exit_code)
    try:
        importlib.import_module(module_of(first)).main(arguments[1:])
    except ConfigError as error:
        print(f"kdcn: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        print(f"kdcn {first}: error: TensorFlow is not installed: pip install 'kdcn-tf[training]'", file=sys.stderr)
        sys.exit(UnavailableError.exit_code)
    sys.exit(0)


if __name__ == "__main__":
    main()
