"""The shape of a command: what its arguments do, and how it ends."""

import pytest
from absl import flags
from support.raw_logs import run

from kdcn_tf import command, errors


def make(call, pass_through=False):
    """A command with --output and the configuration; `call` gets (flags, rest)."""

    def main(argv):
        values = command.new_flags()
        flags.DEFINE_integer("size", 3, "the size", flag_values=values)
        command.output_flags(values, "nothing")
        command.run("try", "Tries things.\n\nAnd more.", values, call, argv, pass_through)

    return main


def stop(error):
    def call(*_):
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError, 2), (errors.DataError, 65), (errors.UnavailableError, 69), (errors.TryAgainError, 75),
        (errors.KdcnError, 1),
    ],
)  # fmt: skip
def test_errors_end_with_their_message_and_code(capsys, error, code):
    assert run(make(stop(error("f: wrong")))) == code
    assert capsys.readouterr().err == "kdcn try: error: f: wrong\n"


def test_an_interrupt_and_a_bug(capsys):
    assert run(make(stop(KeyboardInterrupt()))) == 130
    assert capsys.readouterr().err == "kdcn try: interrupted\n"
    with pytest.raises(ZeroDivisionError):  # a bug keeps its traceback
        make(stop(ZeroDivisionError()))([])


def test_the_return_value_is_the_exit_code():
    assert [run(make(lambda *_, code=code: code)) for code in (None, 0, 3)] == [0, 0, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sise=3"], "Unknown command line flag 'sise'. Did you mean: size ?"),
        (["--size=x"], "--size=x"),
        (["extra"], "unexpected argument 'extra'; see kdcn try --help"),
        (["--set", "encoder.dim=0"], "--set: encoder.dim: must be at least 1, got 0"),
        (["--preset=none"], "--preset none: unknown; known: default, paper, quick"),
        (["--config=nowhere.yaml"], "nowhere.yaml: No such file or directory"),
        ([], "--output: is required"),
        (["--output="], "--output: is empty"),
        (["--config=", "--output=x"], "--config: is empty"),
        (["--output=g\udcff"], "--output: 'g\\udcff' is not UTF-8"),
    ],
)
def test_wrong_arguments_exit_2(capsys, arguments, message):
    def call(values, _):
        command.resolve_config(values)
        command.required(values, "size", "output")

    assert run(make(call), *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("kdcn try: error: ")
    assert message in err


def test_a_text_that_is_empty_by_default_may_be(tmp_path):
    def main(argv):
        values = command.new_flags()
        flags.DEFINE_string("user", "", "the user", flag_values=values)
        command.run("try", "Tries.", values, lambda values, _: len(values.user), argv)

    assert run(main, "--user=") == 0


def test_an_output_that_is_an_input_too_is_refused(capsys, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")

    def call(values, rest):
        command.output_apart(values, "preset", "set", beside=dict.fromkeys(rest, "elsewhere") | {"A": "a/b"})

    def tried(*arguments):
        return run(make(call), f"--output={tmp_path}/link", *arguments), capsys.readouterr().err

    assert tried(f"--preset={tmp_path}", f"--set={tmp_path}/x") == (0, "")
    code, error = tried("--set=x", f"--set={tmp_path}/data/")
    assert (code, f"--set {tmp_path}/data/: is --output {tmp_path}/link too; name another" in error) == (2, True)
    assert "A: is --output a/b/ too" in (tried("--output=a/b/")[1])
    assert run(make(call)) == 0


def test_arguments_reach_the_call(tmp_path):
    seen = []

    def call(values, rest):
        seen.append((values.size, values.output, values.overwrite, command.resolve_config(values).encoder.dim, rest))

    assert run(make(call), "--size", 5, "--output=x", "--overwrite", "--set=encoder.dim=8", "--set=kdcn.heads=2") == 0
    assert run(make(call, pass_through=True), "--runner=Direct", "--size=6", "--x", "y") == 0
    assert seen == [(5, "x", True, 8, []), (6, None, False, 256, ["--runner=Direct", "--x", "y"])]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], ["kdcn try: Tries things.\n\nAnd more.\n", "the size", "--[no]overwrite"]),
        (["-h"], ["kdcn try: Tries things.\n"]),
        (["--helpconfig", "--preset=paper", "--set=kdcn.filters=7"], ["activation='sigmoid'\n", "kdcn.filters=7\n"]),
    ],
)
def test_help_calls_nothing(capsys, arguments, shown):
    assert run(make(stop(AssertionError)), *arguments) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in shown)
