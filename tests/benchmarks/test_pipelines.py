"""The benchmark of the pipelines: its logs, the two other ways to build the graph, what it measures of a process."""

import json
import os
import sys
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from support import raw_logs as support

from benchmarks import lockstep, pipeline_jobs, pipelines, processes, raw_logs
from benchmarks.elementwise import build as elementwise
from benchmarks.elementwise import extract
from benchmarks.peers import polars_ckg
from kdcn_tf import ckg, manifest
from kdcn_tf.config import CkgConfig, LogsConfig
from pipelines import build_ckg, logs

SHARED = (ckg.PROPERTY_HAS_VALUE, ckg.INTENTION_HAS_KEYWORD)
"""Patterns of which many records yield the same triple."""


def records(directory: Path, stream: str) -> list:
    made = manifest.read(str(directory), manifest.RAW, check_digests=True)
    lines = [line for entry in made.group(stream) for line in (directory / entry.name).read_bytes().splitlines()]
    assert len(lines) == made.counts[stream]
    parsed = [logs.parse(stream, line, LogsConfig()) for line in lines]
    assert sum(unknown for _, unknown in parsed) == 0
    return [record for record, _ in parsed]


@pytest.mark.parametrize("skew", [False, True])
def test_logs_are_valid_and_make_the_triples_they_say(skew, tmp_path):
    shape = raw_logs.shape_of(9_000, skew=skew, shown=3)
    made = raw_logs.write(str(tmp_path / "raw"), shape, file_bytes=50_000)
    assert 9_000 <= shape.triples < 9_030
    assert len(made.group("items")) > 1
    end = made.info["config"]["time.train_end"]
    found = set()
    for stream in ("users", "items", "sessions"):
        rows = records(tmp_path / "raw", stream)
        size = {"users": shape.users, "items": shape.items, "sessions": shape.sessions}[stream]
        assert (len(set(rows)), len(rows)) == (size, size + size // 100)  # one in a hundred comes twice
        timely = [row for row in rows if stream != "sessions" or row.timestamp < end]
        found |= {triple for row in timely for triple in extract.triples(row, CkgConfig())}
    assert sum(extract.split_triple(triple)[1] not in SHARED for triple in found) == shape.triples
    clicks = records(tmp_path / "raw", "impressions")
    sessions = {(row.session_id, row.user_id, row.timestamp) for row in records(tmp_path / "raw", "sessions")}
    assert {(row.session_id, row.user_id, row.timestamp) for row in clicks} == sessions
    assert len(set(clicks)) == 3 * shape.sessions
    assert len(records(tmp_path / "raw", "behaviors")) == len(records(tmp_path / "raw", "sessions"))


def test_one_key_has_half_of_the_records_of_skewed_logs_and_all_else_is_equal(tmp_path):
    tops, properties = {}, {}
    for skew in (False, True):
        directory = tmp_path / str(skew)
        raw_logs.write(str(directory), raw_logs.Shape(2_000, skew=skew))
        items, sessions = set(records(directory, "items")), set(records(directory, "sessions"))
        words = Counter(word for row in (*items, *sessions) for word in row.keywords)
        sellers = Counter(row.seller_id for row in (*items, *sessions))
        leaves = Counter(row.category for row in items)
        tops[skew] = [max(counts.values()) for counts in (words, sellers, leaves)]
        properties[skew] = {row.item_id: row.properties for row in items}
    assert properties[False] == properties[True]
    assert all(even < hot / 2 for even, hot in zip(tops[False], tops[True], strict=True))
    assert tops[True][0] >= 2_000
    assert tops[True][1] >= 2_000
    assert tops[True][2] >= 1_000


def test_keywords_are_those_of_the_texts_where_no_list_gives_them(tmp_path):
    for keywords in (True, False):
        raw_logs.write(str(tmp_path / str(keywords)), raw_logs.Shape(50, keywords=keywords))
    for stream in ("items", "sessions"):
        given, cut = (records(tmp_path / str(keywords), stream) for keywords in (True, False))
        assert given[0].keywords
        if stream == "items":
            assert [row.keywords for row in cut] == [row.keywords for row in given]
        else:  # "please show me" is said too
            assert [set(row.keywords) - {"show"} for row in cut] == [set(row.keywords) for row in given]


def test_all_ways_build_the_same_graph(tmp_path):
    raw, ours, polars = tmp_path / "raw", tmp_path / "ours", tmp_path / "polars"
    raw_logs.write(str(raw), raw_logs.Shape(60), file_bytes=10_000)
    counts = polars_ckg.build(raw, polars, train_end=None, min_count=4, stored=20)
    assert counts["filtered.triples.rare"] > 100
    assert support.run(build_ckg.main, f"--raw={raw}", f"--output={ours}", "--set=ckg.min_attribute_count=4") == 0
    expected = pipeline_jobs.counted(ours)
    assert pipeline_jobs.counted(polars) == expected
    assert expected["rows"] > 500
    arguments = [f"--raw={raw}", f"--output={tmp_path / 'elements'}", "--set=ckg.min_attribute_count=4"]
    assert support.run(elementwise.main, *arguments) == 0
    assert pipeline_jobs.counted(tmp_path / "elements") == expected


def test_the_neighbours_of_polars_are_the_distinct_ones_without_loops():
    train = pl.DataFrame({"head": [1, 2, 1, 3, 4], "tail": [2, 1, 3, 3, 1]}).cast(pl.UInt32)
    found = polars_ckg.neighbors(train, total=5, stored=2)
    assert found["id"].to_list() == [1, 2, 3, 4, 5]
    assert found["degree"].to_list() == [3, 1, 1, 1, 0]
    kept = [row and set(row) for row in found["neighbors"].to_list()]
    assert len(kept[0]) == 2
    assert kept[0] < {2, 3, 4}
    assert kept[1:] == [{1}, {1}, {1}, None]


WORKERS = """
import subprocess, sys
worker = "import time; held = bytearray(64 << 20); held[::4096] = b'x' * len(held[::4096]); time.sleep(1)"
started = [subprocess.Popen([sys.executable, "-c", worker]) for _ in range(2)]
sum(range(3_000_000))
sys.exit(sum(process.wait() for process in started))
"""


def test_what_a_command_and_its_workers_used_is_measured(tmp_path):
    core = min(os.sched_getaffinity(0))
    usage = processes.measure([sys.executable, "-c", WORKERS], tmp_path / "log", cores=[core], timeout_s=60)
    assert usage.workers == 2
    assert 64 << 20 < usage.worker_bytes < 200 << 20
    assert usage.runner_bytes < 64 << 20 < usage.worker_bytes * 2 <= usage.together_bytes + (8 << 20)
    assert 0.03 < usage.cpu_s < usage.wall_s
    failing = [sys.executable, "-c", "import sys; print('out of luck'); sys.exit(3)"]
    with pytest.raises(lockstep.MeasurementError, match="bad: exit code 3: out of luck"):
        processes.measure(failing, tmp_path / "bad", cores=[core], timeout_s=60)
    with pytest.raises(lockstep.MeasurementError, match="slow: did not end in 0 s"):
        processes.measure(["sleep", "60"], tmp_path / "slow", cores=[core], timeout_s=0.3)


def measured(wall_s: float, rows: int, worker_bytes: int = 0) -> pipelines.Measured:
    usage = processes.Usage(wall_s, 2 * wall_s, 0, worker_bytes, 2, worker_bytes)
    return pipelines.Measured(["run"], {"rows": rows, "records": rows // 10}, [usage])


def test_start_up_is_taken_out_and_each_runs_where_it_is_fastest(tmp_path):
    run = pipelines.Run(tmp_path, tuple(pipelines.PARTS), 1.0)
    run.found = {
        ("build-ckg, 2 workers", "few"): measured(8, 10), ("build-ckg, 2 workers", "10x"): measured(28, 5000),
        ("build-ckg, in process", "few"): measured(4, 10), ("build-ckg, in process", "10x"): measured(54, 5000),
        ("element-wise, 2 workers", "few"): measured(8, 10), ("element-wise, 2 workers", "small"): measured(18, 500),
        ("element-wise, in process", "few"): measured(4, 10), ("element-wise, in process", "small"): measured(24, 500),
        ("Polars", "few"): measured(0.5, 10), ("Polars", "10x"): measured(5.5, 5000),
    }  # fmt: skip
    run.figures = {"over_elementwise": None, "polars_over_ours": None}
    pipelines.compare(run)
    assert run.figures == {"over_elementwise": pytest.approx(5.0), "polars_over_ours": pytest.approx(4.0)}
    rows = {(row["program"], row["logs"]): row for row in pipelines.report(run)}
    assert rows["Polars", "10x"]["records_per_s"] == pytest.approx(100)
    assert "rows_per_s" not in rows["Polars", "few"]
    run.found["Polars", "10x"].counts["rows"] = 4999
    with pytest.raises(lockstep.MeasurementError, match="different graphs"):
        pipelines.compare(run)
    with pytest.raises(lockstep.MeasurementError, match="takes no longer than its start-up"):
        run.rate("Polars", "few")
    run.found.clear()
    with pytest.raises(lockstep.MeasurementError, match="build-ckg on 10x was not measured"):
        pipelines.compare(run)


def test_a_failing_program_is_reported_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    def fails(raw: Path, output: Path) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('out of luck')"]

    monkeypatch.setattr(pipelines, "polars", fails)
    report = tmp_path / "report.json"
    arguments = [f"--work={tmp_path / 'work'}", f"--json={report}", "--scale=0.0001"]
    with pytest.raises(SystemExit) as ended:
        pipelines.main([*arguments, "--only=polars"])
    assert ended.value.code == 1
    body = json.loads(report.read_text())
    assert body["failures"] == ["polars: Polars-few: exit code 1: out of luck"]
    assert (body["figures"], body["programs"]) == ({}, [])
    assert (tmp_path / "work" / "Polars-few.log").exists()
    monkeypatch.undo()
    monkeypatch.setattr(pipelines, "REPEATS", 1)
    with pytest.raises(SystemExit) as ended:
        pipelines.main([*arguments, "--only=polars"])
    assert ended.value.code == 0, capsys.readouterr()
    body = json.loads(report.read_text())
    assert [row["logs"] for row in body["programs"]] == ["few", "10x"]
    assert all(row["command"].split()[1].endswith("polars_ckg.py") for row in body["programs"])
    assert not (tmp_path / "work").exists()


def test_wrong_arguments_are_named(capsys):
    with pytest.raises(SystemExit) as ended:
        pipelines.main(["--only=growth,duckdb"])
    assert ended.value.code == 2
    assert "--only: unknown duckdb; known: growth" in capsys.readouterr().err
