"""A Beam job service and an SDK worker pool as processes of their own, as a cluster has them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 60.0  # seconds until a process has to listen


@dataclass(frozen=True)
class JobService:
    """Where the two processes listen, as host:port, and what they write to.

    Attributes:
        endpoint: of the job service.
        pool: of the worker pool.
        logs: directory of both processes' output.
    """

    endpoint: str
    pool: str
    logs: Path

    @property
    def arguments(self) -> list[str]:
        """Beam's options for a job that runs there."""
        return [
            "--runner=PortableRunner",
            f"--job_endpoint={self.endpoint}",
            "--environment_type=EXTERNAL",
            f"--environment_config={self.pool}",
        ]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def running(directory: Path) -> Iterator[JobService]:
    """Starts both processes, waits until they listen, and kills them and their children afterwards."""
    ports = {"job": free_port(), "pool": free_port()}
    beam = "apache_beam.runners"
    commands = {
        "job": [
            f"{beam}.portability.local_job_service_main", f"--port={ports['job']}", f"--staging_dir={directory}/staged",
        ],
        "pool": [f"{beam}.worker.worker_pool_main", f"--service_port={ports['pool']}"],
    }  # fmt: skip
    started = {}
    try:
        for name, command in commands.items():
            started[name] = _start(command, directory / f"{name}.log")
        for name, process in started.items():
            _wait_until_listening(process, ports[name], directory / f"{name}.log")
        yield JobService(f"localhost:{ports['job']}", f"localhost:{ports['pool']}", directory)
    finally:
        for process in started.values():
            _kill_group(process)


def _start(command: list[str], log: Path) -> subprocess.Popen:
    # The pool starts each worker as `python`.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            env=os.environ | {"PATH": path}, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def _wait_until_listening(process: subprocess.Popen, port: int, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} doesn't listen on {port}:\n{log.read_text()[-2000:]}")


def _kill_group(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
