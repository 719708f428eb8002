"""What a report is made of, from what trials left: runs, test rows, and what is told of the dataset."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from kdcn_tf import files, manifest, records
from kdcn_tf.data import ctr as ctr_data
from kdcn_tf.manifest import Manifest
from kdcn_tf.report.runs import Judged, Run
from kdcn_tf.training import slices
from kdcn_tf.training.comparing import Task
from kdcn_tf.training.trial import TEST, TRAIN, VALID, Outcome, TrialData

_ROWS = 65_536  # read at a time where nothing of them is kept


def runs(results: Iterable[tuple[Task, Outcome]]) -> list[Run]:
    """Trials as the report's runs, judged on the test split."""
    return [
        Run(
            model=task.model, fraction=task.fraction, seed=task.seed, logits=outcome.logits[TEST],
            curve=tuple(map(asdict, outcome.curve)), seconds=outcome.seconds, examples=outcome.examples,
            parameters=outcome.parameters, rows=outcome.rows, valid_auc=outcome.valid_auc,
        )
        for task, outcome in results
    ]  # fmt: skip


def require_sources(directory: str, ctr: Manifest) -> None:
    """Refuses a dataset whose test rows no report can slice by source.

    Raises:
        DataError: a source has the name of all sources together, or a file is corrupt.
    """
    found: set[str] = set()
    for batch in ctr_data.batches_of(directory, ctr, TEST, _ROWS):
        sources = {records.SOURCE: batch[records.SOURCE].numpy()}
        found.update(*slices.slice_names(sources, slices.TrainCounts.none(), (slices.SOURCE,)).values())
    slices.require_sources(found, f"{TEST} split")


def test_rows(directory: str, ctr: Manifest, graph: str | None) -> tuple[Judged, dict[str, Any]]:
    """The test rows with their slices, and what the report tells of the dataset.

    Args:
        directory: of the CTR dataset.
        ctr: its manifest.
        graph: directory of the knowledge graph, for the names of categories, or None.

    Raises:
        DataError: a file is corrupt, or the graph has other ids.
    """
    data = TrialData.read(directory, (TRAIN, TEST))
    counts = slices.TrainCounts.of(data.splits[TRAIN])
    names = _category_names(graph, ctr) if graph else {}
    sliced = {split: slices.slice_names(rows, counts, slices.DEFAULT, names) for split, rows in data.splits.items()}
    test = data.splits[TEST]
    dataset = {
        "name": files.last_name(directory),
        "fingerprint": ctr.fingerprint(),
        "rows": {split: sum(file.count for file in ctr.group(split)) for split in (TRAIN, VALID, TEST)},
        "train": {column: _counted(found) for column, found in sliced[TRAIN].items()},
    }
    return Judged(test[records.LABEL], test[records.SESSION], sliced[TEST]), dataset


def _category_names(graph: str, ctr: Manifest) -> dict[int, str]:
    found = manifest.read(graph, manifest.CKG)
    manifest.require_same_ids(ctr, found)
    return slices.category_names(graph, found)


def _counted(names: np.ndarray) -> dict[str, int]:
    found, numbers = np.unique(names, return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))
