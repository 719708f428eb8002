"""Worker processes that do tasks one by one, and may ask their parent while they do.

They are started by spawn, so each imports TensorFlow itself, with its share of the cores. A worker that dies takes
only its task with it: the parent hears of it, and a fresh worker takes the place.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from kdcn_tf.errors import KdcnError, UnavailableError

Ask = Callable[[Any], Any]
"""Sends a message to the parent and waits for its answer."""

Work = Callable[[Any, Ask], Any]
"""Does a task; returns its result."""

_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_READY, _ASKED, _DONE, _FAILED = "ready", "asked", "done", "failed"


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Asked:
    """A task asks; it waits until `reply` is called."""

    task: Any
    message: Any
    reply: Callable[[Any], None]


@dataclass(frozen=True)
class Done:
    """A task is finished."""

    task: Any
    result: Any


@dataclass(frozen=True)
class Died:
    """The process of a task ended in the middle of it, by this exit code (-9: killed)."""

    task: Any
    exit_code: int | None


@dataclass
class _Worker:
    process: Any
    connection: Connection
    task: Any = None
    busy: bool = False
    ready: bool = False


class Workers:
    """At most `count` processes; a context manager that ends them.

    Args:
        prepare: called once in each process with `argument`, before its first task; returns what does the tasks.
            A function of a module, since it travels by pickle.
        argument: also by pickle.
        count: of processes. They share the cores evenly.
    """

    def __init__(self, prepare: Callable[[Any], Work], argument: Any, count: int):
        self._prepare, self._argument, self._count = prepare, argument, count
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers = []

    @property
    def free(self) -> int:
        """Tasks that may be submitted now."""
        return self._count - self.busy

    @property
    def busy(self) -> int:
        """Tasks under way."""
        return sum(worker.busy for worker in self._workers)

    @property
    def processes(self) -> dict[int, Any]:
        """Process id -> its task, of those that do one."""
        return {worker.process.pid: worker.task for worker in self._workers if worker.busy}

    def submit(self, task: Any) -> None:
        """Gives a task, sent by pickle, to a free process; there has to be one (`free`)."""
        worker = next((worker for worker in self._workers if not worker.busy), None) or self._start()
        worker.task, worker.busy = task, True
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died while it was idle: `next` tells
            worker.connection.send(task)

    def next(self) -> Asked | Done | Died:
        """Waits for what happens next to a task.

        Raises:
            KdcnError: a task failed by one; it says what the user can mend.
            UnavailableError: a process could not start.
            RuntimeError: a task failed by another error, whose traceback is in the message.
        """
        while True:
            busy = {worker.connection: worker for worker in self._workers if worker.busy}
            worker = busy[wait(list(busy))[0]]  # type: ignore[index]
            try:
                what, body = worker.connection.recv()
            except (EOFError, ConnectionResetError):
                return self._buried(worker)
            if what == _READY:
                worker.ready = True
            elif what == _FAILED:
                raise body
            elif what == _ASKED:
                return Asked(worker.task, body, _replier(worker.connection))
            else:
                task, worker.task, worker.busy = worker.task, None, False
                return Done(task, body)

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._prepare, self._argument), daemon=True)
        with _environment(dict.fromkeys(_THREADS, str(max(1, cores() // self._count)))), _deaf_to_interrupts():
            process.start()
        theirs.close()
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _buried(self, worker: _Worker) -> Died:
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        if not worker.ready:
            raise UnavailableError(f"a worker process ended before it began, exit code {worker.process.exitcode}")
        return Died(worker.task, worker.process.exitcode)


def _replier(connection: Connection) -> Callable[[Any], None]:
    def reply(answer: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died while it waited: `next` tells
            connection.send(answer)

    return reply


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Sets environment variables for processes that are started inside; libraries read them as they load."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started inside never see Ctrl-C, which reaches the whole group: their parent ends them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, prepare: Callable[[Any], Work], argument: Any) -> None:
    """A worker's life."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work = prepare(argument)
        connection.send((_READY, None))
        while True:
            task = connection.recv()
            connection.send((_DONE, work(task, lambda message: _asked(connection, message))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except KdcnError as error:
        connection.send((_FAILED, error))
    except Exception as error:
        connection.send((_FAILED, _with_traceback(error)))


def _asked(connection: Connection, message: Any) -> Any:
    connection.send((_ASKED, message))
    return connection.recv()


def _with_traceback(error: Exception) -> RuntimeError:
    return RuntimeError("in a worker process:\n" + "".join(traceback.format_exception(error)))


def _end_with_parent() -> None:
    """Ends this process when its parent ends in whatever way: nobody would take the result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
