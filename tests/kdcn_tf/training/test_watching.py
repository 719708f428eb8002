"""Spread, collapse warnings, the bar, the log line and TensorBoard's scalars."""

import io
import logging

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from tensorflow.python.summary.summary_iterator import summary_iterator

from kdcn_tf import config, costs
from kdcn_tf.training import reporting, watching
from kdcn_tf.training.reporting import Reporter

SUMS = {"rows": 100.0, "steps": 4.0, "loss": 50.0, "table_rows": 80.0, "neighbor_rows": 20.0, "degree_rows": 60.0}


def test_spread():
    # Norms 3, 4, 0 have a mean of 7/3; the distances of the pairs are 5, 3 and 4, mean 4.
    vectors = tf.constant([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    assert float(watching.spread(vectors)) == pytest.approx(4 / (7 / 3))
    assert float(watching.spread(vectors[:1])) == 0.0
    assert float(watching.spread(tf.zeros([3, 2]))) == 0.0


def test_sigmoids_collapse_and_random_vectors_do_not():
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    assert float(watching.spread(tf.constant(x))) == pytest.approx(2**0.5, abs=0.05)
    squeezed = tf.sigmoid(0.1 * x)  # what averaging and a small kernel leave
    assert float(watching.spread(squeezed)) < watching.COLLAPSED_SPREAD


@pytest.mark.parametrize(
    ("figures", "means", "change"),
    [
        ({"spread": 0.09, "violations": 0.5}, "collapse", "encoder.activation"),
        ({"spread": 1.0, "violations": 0.0005}, "died out", "pretrain.negatives"),
        ({"spread": 1.0, "violations": 1.0}, "saturated", "pretrain.margin"),
    ],
)
def test_a_collapse_is_named_once_until_it_is_over(figures, means, change, caplog):
    watch = watching.CollapseWatch()
    well = {"spread": 0.5, "violations": 0.02, "loss": 1.0}
    for seen in (well, figures, figures, well, figures):
        watch.see(seen)
    assert len(caplog.messages) == 2
    assert means in caplog.messages[0]
    assert change in caplog.messages[0]


def test_figures_of_an_epoch():
    meter = reporting.Meter("triples", lambda counts: 8 * counts["table_rows"] + 4 * counts["neighbor_rows"])
    meter.add(SUMS)
    meter.add({**SUMS, "rows": 300.0, "loss": 350.0})
    figures = meter.figures()
    # (50 + 350) / 400; 160 rows in 8 steps; 8 * 20 + 4 * 5.
    assert (figures["loss"], figures["table_rows_per_step"], figures["bytes_per_step"]) == (1.0, 20.0, 180.0)
    assert "rows" not in figures
    assert figures["triples_per_s"] > 0


@pytest.mark.parametrize(("wire", "float_bytes"), [("float32", 4), ("bfloat16", 2)])
def test_bytes_of_a_step(wire, float_bytes):
    wanted = ["encoder.dim=8", "kdcn.heads=2", "ckg.stored_neighbors=20", f"pretrain.wire={wire}"]
    small = config.resolve("gcn", assignments=wanted)
    counts = {"table_rows": 100.0, "neighbor_rows": 10.0, "degree_rows": 90.0}
    assert watching.step_bytes(counts, small, 0) == 0
    moved = watching.step_bytes(counts, small, 1)
    # Each way 100 rows, and a kernel of 8 x 8 in float32; lists of 20 ids and degrees of 4 bytes; 8 bytes per id asked.
    rows = 2 * (100 * 8 * float_bytes + 8 * 8 * 4) + (10 * 20 + 90) * 4 + (100 + 10) * 8
    overhead = costs.Measured().bytes_per_call * costs.calls(small, 1)
    assert moved == rows + overhead


def report(console, folder=None, epochs=1, first=0):
    with Reporter(
        epochs=3, unit="triples", epoch_rows=200, step_bytes=lambda counts: 1234.0, tensorboard=folder, console=console
    ) as reporter:
        for epoch in range(first, first + epochs):
            reporter.begin(epoch, 2)
            reporter.add(SUMS)
            logging.getLogger("kdcn_tf").warning("in between")
            reporter.add(SUMS)
            reporter.scalars({"epoch": epoch, **reporter.end(), "valid": {"mrr": 0.25, "mean_rank": None}})


def test_a_terminal_shows_a_bar(monkeypatch):
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0.0)
    shown = io.StringIO()
    report(Console(file=shown, force_terminal=True, width=160))
    assert "epoch 1/3" in shown.getvalue()
    assert "2/2 files loss 0.5000" in shown.getvalue()
    assert "1,234 bytes/step" in shown.getvalue()


def test_without_a_terminal_there_are_log_lines(monkeypatch, caplog):
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    report(Console(file=io.StringIO()))
    line, _ = caplog.messages
    assert line.startswith("epoch 1/3: 1/2 files, loss 0.5000, ")
    assert "triples/s, 1,234 bytes/step, epoch ends in" in line


def scalars(folder):
    found = {}
    for path in sorted(folder.glob("events.*")):
        for event in summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, float(tf.make_ndarray(value.tensor))))
    return found


def test_scalars_go_on_in_the_same_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(reporting, "REPORT_SECONDS", 0.0)
    quiet = Console(file=io.StringIO())
    report(quiet, str(tmp_path), epochs=2)
    report(quiet, str(tmp_path), first=2)
    found = scalars(tmp_path)
    assert found["epoch/loss"] == [(200, 0.5), (400, 0.5), (600, 0.5)]
    assert found["within_epoch/loss"] == [(100, 0.5), (300, 0.5), (500, 0.5)]
    assert [value for _, value in found["epoch/valid/mrr"]] == [0.25] * 3
    assert "epoch/valid/mean_rank" not in found
