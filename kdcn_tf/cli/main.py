"""The console command: `kdcn SUBCOMMAND ...` calls the `main` of the subcommand's module.

A module is imported only when its subcommand runs, so `kdcn --help` costs no TensorFlow or Beam import.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

from kdcn_tf import __version__, dispatch
from kdcn_tf.training import memory

COMMANDS: dispatch.Table = {
    "simulate": ("pipelines.datasets.simulate", "simulate raw logs whose best possible AUC is known"),
    "import": ("pipelines.datasets.import_logs", "turn a public dataset (movies, jdsearch) into raw logs"),
    "build-ckg": ("pipelines.build_ckg", "build the knowledge graph from raw logs (Beam)"),
    "train-ckg": ("kdcn_tf.cli.train_ckg", "pretrain GCN-TransE on the knowledge graph"),
    "plan": ("kdcn_tf.cli.plan", "predict memory, bytes and hours of pretraining on a cluster"),
    "export-embeddings": ("kdcn_tf.cli.export_embeddings", "write the pretrained entity embeddings"),
    "neighbors": ("kdcn_tf.cli.neighbors", "show the entities nearest to one by their embeddings"),
    "build-ctr": ("pipelines.build_ctr", "build click examples with the graph's ids (Beam)"),
    "check-leaks": ("pipelines.check_leaks", "look for held-out clicks that the graph already holds (Beam)"),
    "describe-data": ("pipelines.describe_data", "write statistics, schema and a report of a dataset (Beam)"),
    "compare-data": ("pipelines.compare_data", "show how two datasets differ"),
    "train-kdcn": ("kdcn_tf.cli.train_kdcn", "train K-DCN, starting from the embeddings"),
    "tune": ("kdcn_tf.cli.tune", "search the hyperparameters of a model on the validation split"),
    "evaluate": ("kdcn_tf.cli.evaluate", "compare models and baselines on held-out impressions"),
    "explain": ("kdcn_tf.cli.explain", "show why a model scored an impression as it did"),
    "compare": ("kdcn_tf.cli.compare", "train K-DCN and its baselines over several seeds, and write a report"),
    "pool": ("kdcn_tf.cli.pool", "take finished comparisons together, as those of several periods"),
    "export-model": ("kdcn_tf.cli.export_model", "write the versioned SavedModel for TF Serving"),
    "rank": ("kdcn_tf.cli.rank", "rank candidate items for a user and a query"),
}
"""Subcommand -> (module with `main(argv)`, summary), in the order in which data flows."""

HOLD_TABLES = ("train-ckg", "train-kdcn")
"""Those that train tables of any size."""


def usage() -> str:
    return "\n".join(
        [
            "usage: kdcn SUBCOMMAND [flags]",
            "",
            "Subcommands, in the order in which data flows:",
            dispatch.summaries(COMMANDS),
            "",
            "kdcn SUBCOMMAND --help shows its flags, --helpconfig the configuration; kdcn --version the version.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> NoReturn:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--version"]:
        print(f"kdcn-tf {__version__}")
        sys.exit(0)
    if argv is None and arguments and arguments[0] in HOLD_TABLES:
        memory.restart_with_huge_pages()
    dispatch.run("kdcn", COMMANDS, "subcommand", usage(), arguments)


if __name__ == "__main__":
    main()
