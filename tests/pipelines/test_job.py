"""Choice of runner, and what comes back from workers."""

import gzip
import os
import signal
import time

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DirectOptions, StandardOptions
from support.raw_logs import ITEMS, run, write_lines

from kdcn_tf.errors import ConfigError
from pipelines import build_ckg, job


def chosen(arguments, size):
    options = job.beam_options(arguments, size)
    return options.view_as(StandardOptions).runner, options.view_as(DirectOptions).direct_running_mode


def test_the_local_runner_fits_the_input():
    assert chosen([], 1000) == ("FnApiRunner", "in_memory")
    assert chosen([], 1 << 30) == ("FnApiRunner", "multi_processing")


def test_the_users_choice_wins():
    assert chosen(["--direct_running_mode=multi_threading"], 1 << 30) == ("FnApiRunner", "multi_threading")
    assert chosen(["--runner=FlinkRunner"], 1 << 30)[0] == "FlinkRunner"
    assert chosen(["--runner", "FlinkRunner"], 1 << 30)[0] == "FlinkRunner"


def test_mistyped_options_are_refused():
    with pytest.raises(ConfigError, match="--runer: neither"):
        job.beam_options(["--runer=X"], 1)


def interrupted_step(number):
    os.kill(os.getpid(), signal.SIGTERM if number else signal.SIGINT)
    time.sleep(10)


@pytest.mark.usefixtures("hears_interrupts")
@pytest.mark.parametrize("number", [0, 1])
def test_a_job_that_is_stopped_in_a_step_ends_as_interrupted(tmp_path, number):
    def build(pipeline):
        step = pipeline | beam.Create([number]) | beam.FlatMap(interrupted_step)
        return job.Outputs(dead=[step])

    (tmp_path / "half").write_text("a")
    with pytest.raises(KeyboardInterrupt):
        job.run(build, lambda results: None, directory=str(tmp_path), beam_config=job.beam_options([], 1))
    assert list(tmp_path.iterdir()) == []


def test_fewer_than_no_workers_are_refused():
    with pytest.raises(ConfigError, match=r"--direct_num_workers: must be at least 0 .* got -3"):
        job.beam_options(["--direct_num_workers=-3"], 1)
    assert chosen(["--direct_num_workers", "0"], 1)[0] == "FnApiRunner"


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_wrong_data_met_by_a_worker(tmp_path, capsys, mode):
    path = tmp_path / "items"
    write_lines(path, ITEMS * 1000)
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])
    code = run(
        build_ckg.main, f"--items={path}", "--set=time.train_end=1", f"--output={tmp_path}/out",
        f"--direct_running_mode={mode}",
    )  # fmt: skip
    assert code == 65
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"kdcn build-ckg: error: {path}: broken after line ")
    assert error.endswith("end-of-stream marker was reached")
    assert list((tmp_path / "out").iterdir()) == []
