"""What the processes of `test_workers` do; they import this module."""

import os
import signal

from kdcn_tf.errors import DataError


def prepare(factor):
    if factor == "broken":
        raise DataError("no input")
    if factor == "dying":
        os._exit(3)

    def work(task, ask):
        if task == "threads":
            return {name: os.environ.get(name) for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")}
        if task == "die":
            ask("last words")
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "bug":
            raise ZeroDivisionError("by nought")
        if task == "wrong":
            raise DataError("row 3")
        return factor * task + ask(f"more for {task}?")

    return work
