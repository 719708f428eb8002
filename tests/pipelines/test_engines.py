"""One job on several engines: the same bytes, and wrong options of each named at once."""

import gzip
import random

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions, PortableOptions, StandardOptions
from support import job_service
from support.raw_logs import IMPRESSIONS, ITEMS, SESSIONS, run, streams, write_lines, write_raw

from kdcn_tf import manifest
from kdcn_tf.errors import ConfigError
from pipelines import build_ckg, build_ctr, engines

SMALL_FILES = [f"--set={name}=3" for name in ("ckg.ids_per_file", "ckg.triples_per_file", "ckg.block_size")]
SMALL_FILES.append("--set=ckg.interactions=true")
SMALL_EXAMPLES = ["--set=ctr.examples_per_file=2", "--set=ctr.max_leaked_share=1"]
TIMES = ["--set=time.train_end=50", "--set=time.valid_end=80"]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with job_service.running(tmp_path_factory.mktemp("service")) as started:
        yield started


def many(rows, key, count):
    """`count` copies of the rows with ids of their own."""
    return [row | {key: f"{row[key]}-{n}"} for n in range(count) for row in rows]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    rows = streams(
        items=[*ITEMS, *many(ITEMS, "item_id", 8)],
        sessions=[*SESSIONS, *many(SESSIONS, "session_id", 8)],
        impressions=[*IMPRESSIONS, *many(IMPRESSIONS, "item_id", 3)],
    )
    return write_raw(tmp_path_factory.mktemp("raw") / "raw", rows)


@pytest.fixture(scope="module")
def mixed(raw, tmp_path_factory):
    """The same logs, every record delivered twice, in any order, in three files a stream; as flags."""
    directory, chance, globs = tmp_path_factory.mktemp("mixed"), random.Random(3), {}
    for name in ("users", "items", "sessions", "behaviors", "impressions"):
        lines = (raw / f"{name}.jsonl").read_text().splitlines()
        lines *= 2
        chance.shuffle(lines)
        for part in range(3):
            write_lines(directory / f"{name}-{part}.jsonl", lines[part::3])
        globs[name] = f"--{name}={directory}/{name}-*.jsonl"
    return globs


def contents(directory, *without):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name not in without}


def data(made):
    return {name: [(f.name, f.sha256) for f in group] for name, group in made.files.items()}


@pytest.fixture(scope="module")
def graph(raw, tmp_path_factory):
    """The knowledge graph as the default runner makes it from the logs as they are."""
    path = tmp_path_factory.mktemp("graph") / "ckg"
    assert run(build_ckg.main, f"--raw={raw}", f"--output={path}", *SMALL_FILES) == 0
    return path


def test_build_ckg_by_a_job_service_and_its_workers(service, graph, mixed, tmp_path):
    flags = [*(mixed[name] for name in ("users", "items", "sessions", "behaviors")), *TIMES, *SMALL_FILES]
    assert run(build_ckg.main, *flags, f"--output={tmp_path}/here") == 0
    assert run(build_ckg.main, *flags, f"--output={tmp_path}/there", *service.arguments) == 0
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert (service.logs / "pool.log").read_text().count("Starting worker") >= 2
    first = manifest.read(str(graph), manifest.CKG, check_digests=True)
    again = manifest.read(str(tmp_path / "there"), manifest.CKG, check_digests=True)
    assert (data(first), first.id_map) == (data(again), again.id_map)
    assert len(first.group("train")) > 3
    assert again.counts["filtered.items.duplicate"] == first.counts["used.items"] == 18


def test_build_ctr_by_a_job_service_and_its_workers(service, graph, raw, mixed, tmp_path):
    flags = [*(mixed[n] for n in ("items", "behaviors", "impressions")), *TIMES, f"--ckg={graph}",
             *SMALL_EXAMPLES]  # fmt: skip
    assert run(build_ctr.main, *flags, f"--output={tmp_path}/here") == 0
    assert run(build_ctr.main, *flags, f"--output={tmp_path}/there", *service.arguments) == 0
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    clean = [f"--raw={raw}", f"--ckg={graph}", *SMALL_EXAMPLES, f"--output={tmp_path}/clean"]
    assert run(build_ctr.main, *clean) == 0
    first, again = (manifest.read(str(tmp_path / n), manifest.CTR, check_digests=True) for n in ("clean", "there"))
    assert data(first) == data(again)
    assert first.info == again.info
    assert len(again.group("train")) > 1
    assert again.counts["filtered.behaviors.duplicate"] == first.counts["read.behaviors"]


def test_a_job_that_nobody_waits_for_finishes_its_dataset(service, graph, raw, tmp_path):
    code = run(build_ckg.main, f"--raw={raw}", f"--output={tmp_path}/o", *SMALL_FILES, *service.arguments,
               "--no_wait_until_finish")  # fmt: skip
    assert code == 0
    job_service.wait_for(tmp_path / "o" / manifest.MANIFEST)
    assert contents(tmp_path / "o") == contents(graph)


def test_wrong_data_met_by_a_far_worker_is_told_as_here(service, tmp_path, capfd):
    path = tmp_path / "items"
    write_lines(path, ITEMS * 1000)
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])
    code = run(
        build_ckg.main, f"--items={path}", "--set=time.train_end=1", f"--output={tmp_path}/o", *service.arguments
    )
    assert code == 65
    error = capfd.readouterr().err
    assert error.splitlines()[-1].startswith(f"kdcn build-ckg: error: {path}: broken after line ")
    assert "Traceback" not in error
    assert list((tmp_path / "o").iterdir()) == []


def test_services_that_nobody_runs(service, raw, tmp_path, capsys):
    nobody = f"localhost:{job_service.free_port()}"
    flags = [f"--raw={raw}", f"--output={tmp_path}/o", "--runner=PortableRunner"]
    assert run(build_ckg.main, *flags, f"--job_endpoint={nobody}", "--job_server_timeout=1") == 69
    assert f"--job_endpoint={nobody}: no Beam job service answers there within 1 s" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    pool = ["--environment_type=EXTERNAL", f"--environment_config={nobody}"]
    assert run(build_ckg.main, *flags, f"--job_endpoint={service.endpoint}", *pool) == 69
    assert "the runner can't reach its workers: failed to connect" in capsys.readouterr().err
    assert run(build_ckg.main, *flags) == 2
    assert "--job_endpoint: is required" in capsys.readouterr().err


FLINK = [
    "--runner=FlinkRunner", "--flink_master=flink.example:8081", "--flink_version=1.19", "--environment_type=DOCKER",
    "--environment_config=registry.example/kdcn:1", "--parallelism=64", "--object_reuse=true",
]  # fmt: skip


def test_flink_takes_its_own_options():
    parsed = engines.beam_options(FLINK, 1 << 40)
    assert parsed.view_as(StandardOptions).runner == "FlinkRunner"
    assert parsed.view_as(FlinkRunnerOptions).flink_master == "flink.example:8081"
    assert parsed.view_as(PortableOptions).environment_type == "DOCKER"
    assert parsed.get_all_options(retain_unknown_options=True)["parallelism"] == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*FLINK, "--object_resue=true"], "--object_resue: neither .*; did you mean --object_reuse"),
        ([*FLINK, "--flink_verson=1.18"], "--flink_verson: neither .*; did you mean --flink_version"),
        (["--runner=FnApiRunner", "--object_reuse=true"], "--object_reuse: neither"),
        (["--runner=DataflowRunner", "--regoin=x"], "--regoin: neither .*; did you mean --region"),
        (["--runner=DataflowRunner", "--region=x"], "--setup_file: is required with --runner=DataflowRunner"),
        (["--runner=DataflowRunner", "--setup_file=nowhere/setup.py"], "nowhere/setup.py: no such file"),
    ],
)
def test_options_that_an_engine_does_not_know_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        engines.beam_options(arguments, 1)
