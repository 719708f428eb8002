"""Directories of runs: what goes on, and what is refused."""

import pytest

from kdcn_tf import config, manifest, runs
from kdcn_tf.errors import ConfigError

INPUTS = {"ckg": "f00"}


def opened(directory, *assignments: str) -> None:
    made = config.resolve("default", None, None, assignments)
    runs.open_run(str(directory), manifest.CKG_MODEL, made, INPUTS, False)


def test_a_run_that_saved_nothing_makes_way(tmp_path):
    opened(tmp_path, "pretrain.learning_rate=1000")
    (tmp_path / runs.TENSORBOARD / "train").mkdir(parents=True)
    (tmp_path / runs.TENSORBOARD / "train" / "events").write_text("")
    opened(tmp_path, "pretrain.learning_rate=0.1")
    assert "learning_rate: 0.1" in (tmp_path / manifest.CONFIG_FILE).read_text()
    assert [path.name for path in tmp_path.iterdir()] == [manifest.CONFIG_FILE]


def test_a_run_that_saved_something_stays(tmp_path):
    opened(tmp_path, "pretrain.learning_rate=1000")
    (tmp_path / runs.CHECKPOINTS).mkdir()
    (tmp_path / runs.CHECKPOINTS / "checkpoint").write_text("")
    with pytest.raises(ConfigError, match="holds an unfinished run of another configuration or input"):
        opened(tmp_path, "pretrain.learning_rate=0.1")
    opened(tmp_path, "pretrain.learning_rate=1000")
