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
    commands = {
        "job": [__file__, str(ports["job"]), f"{directory}/staged"],
        "pool": ["-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={ports['pool']}"],
    }
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


def wait_for(path: Path) -> None:
    """Until a file is there.

    Raises:
        TimeoutError: it never comes.
    """
    end = time.monotonic() + _PATIENCE
    while not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(f"{path} doesn't come")
        time.sleep(0.05)


def _start(command: list[str], log: Path) -> subprocess.Popen:
    # The pool starts each worker as `python`.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *command],
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


def _serve(port: int, staging: str) -> None:
    """What `apache_beam.runners.portability.local_job_service_main` does, with two SDK workers to a job, not one."""
    from apache_beam.runners.portability import local_job_service
    from apache_beam.runners.portability.fn_api_runner import fn_runner

    class TwoWorkers(local_job_service.BeamJob):
        def _invoke_runner(self):
            self.set_state(local_job_service.beam_job_api_pb2.JobState.RUNNING)
            runner = fn_runner.FnApiRunner(provision_info=self._provision_info)
            runner._num_workers = 2
            return runner.run_via_runner_api(self._pipeline_proto, self.pipeline_options())

    local_job_service.LocalJobServicer(staging, beam_job_type=TwoWorkers).start_grpc_server(port)
    signal.pause()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2])
