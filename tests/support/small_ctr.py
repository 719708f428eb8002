"""A click model that trains in seconds, and a dataset whose test split can't be read."""

from pathlib import Path

from support.ctr_data import write_ctr

from kdcn_tf import manifest

MODEL = "kdcn_no_pretraining"
SMALL = ["kdcn.dim=4", "kdcn.heads=1", "kdcn.user_state=false", "kdcn.dialogue=false", "kdcn.candidate=false",
         "kdcn.cross_layers=0", "kdcn.deep_units=[4]", "finetune.batch_size=32", "finetune.epochs=2",
         "trial.least_steps=16", "trial.least_steps_between=4"]  # fmt: skip
"""Assignments: 16 steps, a look every 4."""


def write_without_test(directory: Path, per_file: int = 120) -> manifest.Manifest:
    """Like `write_ctr`, but zeros stand where test examples were."""
    described = write_ctr(directory, per_file=per_file)
    for file in described.group("test"):
        (directory / file.name).write_bytes(bytes(file.bytes))
    return described
