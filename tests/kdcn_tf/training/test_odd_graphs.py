"""Graphs that real data bring along: self-loops, repeated triples, entities without any neighbour."""

import numpy as np
import pytest
from support.raw_logs import run

from benchmarks.graphs import write_ckg
from kdcn_tf import manifest
from kdcn_tf.cli import main as cli

SMALL = ["encoder.dim=4", "encoder.neighbors=2", "kdcn.heads=2", "pretrain.batch_size=4", "pretrain.chunks=2",
         "pretrain.negatives=3", "pretrain.epochs=2"]  # fmt: skip


@pytest.mark.parametrize("layers", [0, 2])
def test_odd_graphs_train_to_finite_values(tmp_path, layers):
    (tmp_path / "in").mkdir()
    triples = ["a\tlikes\ta"] * 3 + ["a\tlikes\tb"] * 4 + ["b\tlikes\ta", "c\tnear\tc"]
    for name, lines in (
        ("train", triples),
        ("valid", ["lone\tlikes\ta"]),
        ("test", ["a\tlikes\tlonely", *triples[:1]]),
    ):
        (tmp_path / f"in/{name}.txt").write_text("\n".join(lines) + "\n")
    write_ckg(str(tmp_path / "in"), str(tmp_path / "ckg"), stored_neighbors=3)
    sets = [f"--set={text}" for text in (*SMALL, f"encoder.layers={layers}")]
    assert run(cli.main, "train-ckg", f"--ckg={tmp_path / 'ckg'}", f"--output={tmp_path / 'model'}", *sets) == 0
    found = manifest.read(str(tmp_path / "model"), manifest.CKG_MODEL).info
    assert all(np.isfinite(epoch["loss"]) for epoch in found["history"])
    # Entities that only held-out triples name are ranked and ranked among: a, b, c, lone, lonely.
    assert found["metrics"]["valid"]["ranked_triples"] == 1
    assert (found["metrics"]["test"]["ranked_triples"], found["metrics"]["test"]["candidates"]) == (2, 5)
    assert 1 <= found["metrics"]["test"]["mean_rank"] <= 5
