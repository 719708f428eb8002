"""local_cluster.sh with small real programs: roles, exit codes, and nobody left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

LAUNCH = Path(__file__).parents[2] / "launch"
CLUSTER = LAUNCH / "local_cluster.sh"

ROLE = (
    "import json, os; task = json.loads(os.environ['TF_CONFIG'])['task']; role = task['type']; index = task['index']\n"
)
SERVE = "import time; time.sleep(100)\n"


@pytest.fixture
def scratch(tmp_path):
    """Directory whose path is in the command line of every process a test starts; none may outlive the test."""
    yield tmp_path
    deadline = time.monotonic() + 5
    while left := processes_with(tmp_path):
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def processes_with(path: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.startswith(str(path)) for word in words) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(" ".join(words))
    return found


def program(directory: Path, body: str) -> list[str]:
    path = directory / "member.py"
    path.write_text(ROLE + body)
    return [sys.executable, str(path)]


def environment(**changes: str) -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if k != "TF_CONFIG"}, **changes}


def launch(*arguments: str, **changes: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(CLUSTER), *arguments], capture_output=True, text=True, timeout=60, env=environment(**changes)
    )


def hear_interrupts() -> None:
    """A shell that starts tests in the background makes them ignore SIGINT, and bash can't undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.05)


def test_every_member_gets_the_cluster_and_its_role(scratch):
    body = f"""
from pathlib import Path
Path({str(scratch)!r}, f"{{role}}-{{index}}.json").write_text(os.environ["TF_CONFIG"])
import time
while len(list(Path({str(scratch)!r}).glob("*.json"))) < 6:
    time.sleep(0.05)
"""
    done = launch("-w", "2", "-p", "3", "--", *program(scratch, body))
    assert done.returncode == 0, done.stderr
    seen = {path.stem: json.loads(path.read_text()) for path in scratch.glob("*.json")}
    assert set(seen) == {"chief-0", "worker-0", "worker-1", "ps-0", "ps-1", "ps-2"}
    clusters = [config["cluster"] for config in seen.values()]
    assert all(cluster == clusters[0] for cluster in clusters)
    assert {role: len(addresses) for role, addresses in clusters[0].items()} == {"chief": 1, "worker": 2, "ps": 3}
    addresses = [address for group in clusters[0].values() for address in group]
    assert len(set(addresses)) == 6
    assert all(address.startswith("127.0.0.1:") for address in addresses)
    for name, config in seen.items():
        assert f"{config['task']['type']}-{config['task']['index']}" == name


def test_tensorflow_reads_the_roles(scratch):
    body = """
import sys
from kdcn_tf.training import cluster  # importing it selects Keras 2 first
if role == "chief":
    resolver = cluster._resolver()
    print("READ", resolver.task_type, resolver.task_id, resolver.cluster_spec().num_tasks("worker"))
"""
    done = launch("-w", "2", "-p", "1", "--", *program(scratch, body))
    assert "READ chief 0 2" in done.stdout, done.stderr


@pytest.mark.parametrize("code", [0, 7])
def test_the_exit_code_is_the_chiefs(scratch, code):
    done = launch(
        "-w", "1", "-p", "1", "--", *program(scratch, f"if role == 'chief': raise SystemExit({code})\n{SERVE}")
    )
    assert done.returncode == code


def test_members_that_ignore_the_stop_are_killed(scratch):
    body = f"""
import signal
from pathlib import Path
if role == "chief":
    while not Path({str(scratch)!r}, "ready").exists():
        pass
    raise SystemExit(3)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
Path({str(scratch)!r}, "ready").touch() if role == "worker" else None
{SERVE}"""
    started = time.monotonic()
    assert launch("-w", "1", "-p", "1", "--", *program(scratch, body)).returncode == 3
    assert time.monotonic() - started < 30


def test_a_member_that_cannot_start_is_named_and_ends_the_run(scratch):
    body = f"if role == 'ps': raise SystemExit('the disk is full')\n{SERVE}"
    done = launch("-w", "1", "-p", "1", "-l", str(scratch / "logs"), "--", *program(scratch, body))
    assert done.returncode == 69
    assert "ps-0 ended with exit code 1" in done.stderr
    assert "the disk is full" in done.stderr


def test_a_wrong_flag_shows_the_chiefs_own_message(scratch):
    done = launch("--", *program(scratch, "import sys; print('no such flag', file=sys.stderr); sys.exit(2)\n"))
    assert done.returncode == 2
    assert "no such flag" in done.stderr


def test_a_worker_lost_after_it_served_does_not_end_the_run(scratch):
    body = f"""
import socket, time
address = json.loads(os.environ["TF_CONFIG"])["cluster"][role][index]
if role == "chief":
    from pathlib import Path
    while not Path({str(scratch)!r}, "lost").exists():
        time.sleep(0.05)
    time.sleep(1)
    raise SystemExit(0)
with socket.create_server(("127.0.0.1", int(address.split(":")[1]))) as server:
    server.accept()
    time.sleep(1)
    if role == "worker":
        open({str(scratch / "lost")!r}, "w").close()
        os.kill(os.getpid(), 9)
    {SERVE}"""
    done = launch("-w", "1", "-p", "1", "--", *program(scratch, body))
    assert done.returncode == 0, done.stderr
    assert "worker-0 ended with exit code 137" in done.stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_stopping_the_launcher_stops_everybody(scratch, number, code):
    body = f"open({str(scratch)!r} + f'/{{role}}', 'w').close()\n{SERVE}"
    command = [str(CLUSTER), "-w", "1", "-p", "1", "--", *program(scratch, body)]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=hear_interrupts
    )
    for role in ("chief", "worker", "ps"):
        wait_for(scratch / role)
    process.send_signal(number)
    assert process.wait(timeout=20) == code  # the fixture then waits until the members are gone


def test_an_outside_tf_config_is_used_as_it_is(scratch):
    config = json.dumps({"cluster": {"chief": ["far:1"]}, "task": {"type": "chief", "index": 0}})
    done = launch("--", *program(scratch, "print(os.environ['TF_CONFIG'])\n"), TF_CONFIG=config)
    assert done.stdout.strip() == config


@pytest.fixture
def installed(scratch):
    """An environment whose `kdcn` prints what it was called with, to look at the scripts in front of it."""
    program = scratch / "bin" / "kdcn"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\necho "$TF_CONFIG"\nsleep 0.3\n')
    program.chmod(0o755)
    return scratch


def run_script(name: str, *arguments: str, **changes: str) -> list[str]:
    command = [str(LAUNCH / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(**changes), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["train-ckg", "train-kdcn"])
def test_training_scripts_start_a_cluster_of_the_wanted_size(installed, name):
    script = f"{name.replace('-', '_')}.sh"
    called, config = run_script(script, "--output=a b", KDCN_VENV=str(installed), WORKERS="3", SERVERS="1")
    assert called == f"{name} --output=a b"
    assert {role: len(group) for role, group in json.loads(config)["cluster"].items()} == {
        "chief": 1,
        "worker": 3,
        "ps": 1,
    }


@pytest.mark.parametrize("name", ["train-ckg", "train-kdcn"])
def test_training_scripts_hand_over_an_outside_tf_config(installed, name):
    script = f"{name.replace('-', '_')}.sh"
    seen = run_script(script, "--preset=paper", KDCN_VENV=str(installed), TF_CONFIG='{"from": "outside"}')
    assert seen == [f"{name} --preset=paper", '{"from": "outside"}']


@pytest.mark.parametrize("name", ["build-ckg", "build-ctr"])
def test_build_scripts_pass_every_argument(installed, name):
    script = f"{name.replace('-', '_')}.sh"
    assert run_script(script, "--runner=X", "a b", KDCN_VENV=str(installed))[0] == f"{name} --runner=X a b"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-w", "0", "--", "true"], "-w: expected a number of workers, got '0'"),
        (["-p", "two", "--", "true"], "-p: expected a number of parameter servers, got 'two'"),
        (["-x", "--", "true"], "unknown flag -x"),
        (["-w", "1"], "no command"),
        (["-l"], "-l needs a value"),
    ],
)
def test_wrong_arguments_end_with_2(arguments, message):
    done = launch(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_logs_stay_where_they_are_wanted(scratch):
    body = "print('hello from', role)\nif role == 'chief': import time; time.sleep(0.5)\n"
    done = launch("-w", "1", "-p", "1", "-l", str(scratch / "logs"), "--", *program(scratch, body))
    assert done.stdout == "hello from chief\n"
    assert (scratch / "logs" / "worker-0.log").read_text() == "hello from worker\n"
    assert (scratch / "logs" / "ps-0.log").read_text() == "hello from ps\n"
