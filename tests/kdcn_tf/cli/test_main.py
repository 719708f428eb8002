"""The console command."""

import runpy
import subprocess
import sys

import pytest
from support.raw_logs import run

import kdcn_tf
from kdcn_tf import dispatch
from kdcn_tf.cli import main as cli


def test_help_lists_the_subcommands_in_order(capsys):
    assert run(cli.main, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_subcommand_has_help(capsys, name):
    assert run(cli.main, name, "--help") == 0
    assert f"kdcn {name}" in capsys.readouterr().out


@pytest.mark.parametrize("module", [module for module, _ in cli.COMMANDS.values()])
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_every_module_runs_as_a_program(capsys, monkeypatch, module):
    """`python -m MODULE --help`, without the seconds that a process takes."""
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module(module, run_name="__main__")
    assert stopped.value.code == 0
    assert "kdcn " in capsys.readouterr().out


def test_the_command_as_a_process():
    done = subprocess.run([sys.executable, "-m", "kdcn_tf.cli.main", "simulate", "--nothing"], capture_output=True)
    assert done.returncode == 2
    assert done.stderr.startswith(b"kdcn simulate: error: Unknown command line flag 'nothing'")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["--version"], 0, f"kdcn-tf {kdcn_tf.__version__}\n", ""),
        (["-h"], 0, cli.usage() + "\n", ""),
        ([], 2, "", cli.usage() + "\n"),
        (["build-ckk"], 2, "", "kdcn: error: unknown subcommand 'build-ckk'; did you mean build-ckg or build-ctr?\n"),
        (["xyz"], 2, "", f"kdcn: error: unknown subcommand 'xyz'; known: {', '.join(cli.COMMANDS)}\n"),
    ],
)
def test_arguments_without_a_subcommand(capsys, arguments, code, out, err):
    assert run(cli.main, *arguments) == code
    assert capsys.readouterr() == (out, err)


def test_without_tensorflow_the_extra_is_named(capsys, monkeypatch, tmp_path):
    """A module whose `main` imports `tensorflow`, where there is none; any other missing module is a bug."""
    for name in ("tensorflow", "other"):
        (tmp_path / f"needs_{name}.py").write_text(f"def main(argv):\n    import {name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    table = {"one": ("needs_tensorflow", ""), "two": ("needs_other", "")}
    with pytest.raises(SystemExit) as stopped:
        dispatch.run("kdcn", table, "subcommand", "", ["one"])
    assert stopped.value.code == 69
    assert capsys.readouterr().err.endswith("TensorFlow is not installed: pip install 'kdcn-tf[training]'\n")
    with pytest.raises(ModuleNotFoundError, match="other"):
        dispatch.run("kdcn", table, "subcommand", "", ["two"])
