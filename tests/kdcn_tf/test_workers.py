import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from support import tasks

from kdcn_tf import workers
from kdcn_tf.errors import DataError, UnavailableError


def test_tasks_ask_and_are_done():
    """Each result is 10 * task + the answer to its question."""
    found, asked, waiting = {}, {}, [1, 2, 3, 4, 5]
    with workers.Workers(tasks.prepare, 10, 2) as pool:
        while waiting or pool.busy:
            while waiting and pool.free:
                pool.submit(waiting.pop(0))
            event = pool.next()
            if isinstance(event, workers.Asked):
                asked[event.task] = event.message
                event.reply(event.task / 10)
            else:
                found[event.task] = event.result
    assert found == {1: 10.1, 2: 20.2, 3: 30.3, 4: 40.4, 5: 50.5}
    assert asked == {task: f"more for {task}?" for task in found}


def test_a_process_that_dies_loses_its_task_only():
    cores = len(os.sched_getaffinity(0))
    before = dict(os.environ)
    with workers.Workers(tasks.prepare, 10, 2) as pool:
        pool.submit("die")
        (victim,) = pool.processes
        question = pool.next()
        question.reply(None)
        assert pool.next() == workers.Died("die", -signal.SIGKILL)
        assert not psutil.pid_exists(victim)
        assert (pool.free, pool.busy) == (2, 0)
        pool.submit("threads")
        threads = str(max(1, cores // 2))
        assert pool.next() == workers.Done(
            "threads", dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"), threads)
        )
        (last,) = pool._workers
    assert dict(os.environ) == before
    assert last.process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("argument", "task", "kind", "message"),
    [
        (10, "wrong", DataError, "^row 3$"),
        (10, "bug", RuntimeError, "in work\n.*\n.*ZeroDivisionError: by nought"),
        ("broken", 1, DataError, "^no input$"),
        ("dying", 1, UnavailableError, "ended before it began, exit code 3"),
    ],
)
def test_failures_reach_the_parent(argument, task, kind, message):
    with workers.Workers(tasks.prepare, argument, 1) as pool:
        pool.submit(task)
        with pytest.raises(kind, match=message):
            pool.next()


def test_workers_end_with_their_parent_and_leave_interrupts_to_it():
    """Ctrl-C goes to the whole group: a worker goes on. The parent's death, which nothing can catch, ends it."""
    code = """
from support import tasks
from kdcn_tf import workers
if __name__ == "__main__":
    with workers.Workers(tasks.prepare, 10, 1) as pool:
        pool.submit(1)
        pool.next()
        print(*pool.processes, flush=True)
        input()
"""
    path = os.pathsep.join([os.getcwd(), os.path.join(os.getcwd(), "tests")])
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    worker = psutil.Process(int(parent.stdout.readline()))
    worker.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert worker.is_running()
    parent.kill()
    parent.wait()
    worker.wait(timeout=30)
