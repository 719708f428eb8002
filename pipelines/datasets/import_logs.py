"""Turns a public dataset into raw logs: `kdcn import DATASET ...` calls the `main` of the dataset's module."""

import sys
from collections.abc import Sequence
from typing import NoReturn

from kdcn_tf import dispatch

DATASETS: dispatch.Table = {
    "movies": ("pipelines.datasets.movies", "ReDial conversations with MovieLens films and ratings"),
    "jdsearch": ("pipelines.datasets.jdsearch", "JDsearch: product searches with their users' histories"),
}


def usage() -> str:
    return "\n".join(
        [
            "usage: kdcn import DATASET [flags]",
            "",
            "Datasets:",
            dispatch.summaries(DATASETS),
            "",
            "kdcn import DATASET --help shows its flags.",
        ]
    )


def main(argv: Sequence[str] | None = None) -> NoReturn:
    arguments = list(sys.argv[1:] if argv is None else argv)
    dispatch.run("kdcn import", DATASETS, "dataset", usage(), arguments)


if __name__ == "__main__":
    main()
