"""Where training runs: inline on one machine, or under ParameterServerStrategy.

Everything above this module sees a `Scheduler`: a strategy to make variables in, and a way to run
closures. Two exist; the loop is the same for both.
"""

import contextlib
import json
import logging
import os
import re
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import tensorflow as tf

from kdcn_tf.data.failures import translated
from kdcn_tf.errors import ConfigError, UnavailableError
from kdcn_tf.training import memory
from kdcn_tf.workers import cores

log = logging.getLogger(__name__)

CHIEF, WORKER, SERVER = "chief", "worker", "ps"

_THREADS = "TF_NUM_INTEROP_THREADS"

TALL = 64
"""A variable with more than this many rows per column is a table, and is sharded."""


class Pending(Protocol):
    """Result of a closure that may still run."""

    def fetch(self) -> Any:
        """The result as NumPy values; waits for it."""


class Scheduler(Protocol):
    """Runs closures (functions of tensors) on whichever worker is free; inline there are no servers."""

    strategy: tf.distribute.Strategy
    num_workers: int
    num_servers: int

    def schedule(self, closure: Callable, *args: Any) -> Pending: ...

    def join(self) -> None:
        """Waits for all closures scheduled so far.

        Raises:
            DataError: a closure found bad data.
            UnavailableError: the cluster is gone.
        """


class _Done:
    def __init__(self, value: Any):
        self._value = value

    def fetch(self) -> Any:
        return tf.nest.map_structure(lambda t: t.numpy() if tf.is_tensor(t) else t, self._value)


class _Remote:
    def __init__(self, value: Any, arguments: tuple):
        self._value, self._arguments = value, arguments

    def fetch(self) -> Any:
        with _failures(self._arguments):
            return self._value.fetch()


class InlineScheduler:
    """Runs each closure at once, in this process."""

    def __init__(self) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.num_workers, self.num_servers = 1, 0

    def schedule(self, closure: Callable, *args: Any) -> Pending:
        with _failures(args):
            return _Done(closure(*args))

    def join(self) -> None:
        """Nothing is pending."""


class ClusterScheduler:
    """Runs closures on the workers of a parameter server cluster; this process is its chief."""

    def __init__(self, resolver: tf.distribute.cluster_resolver.ClusterResolver):
        spec = resolver.cluster_spec()
        self.num_workers, self.num_servers = spec.num_tasks(WORKER), spec.num_tasks(SERVER)
        log.info("cluster: %d workers, %d parameter servers", self.num_workers, self.num_servers)
        self.strategy = tf.distribute.ParameterServerStrategy(
            resolver, variable_partitioner=table_partitioner(self.num_servers)
        )
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(self.strategy)

    def schedule(self, closure: Callable, *args: Any) -> Pending:
        with _failures(args):
            return _Remote(self._coordinator.schedule(closure, args=args), args)

    def join(self) -> None:
        with _failures(()):
            self._coordinator.join()


def table_partitioner(servers: int) -> Callable:
    """Shards tall variables over all servers, and leaves the others (kernels, biases) whole."""

    def partition(shape: tf.TensorShape, dtype: tf.DType, **_: Any) -> list[int]:
        del dtype
        columns = shape[1] if shape.rank > 1 else TALL
        tall = shape[0] > TALL * columns
        return [servers if tall else 1] + [1] * (shape.rank - 1)

    return partition


def _failures(arguments: tuple) -> contextlib.AbstractContextManager[None]:
    """Translates TensorFlow's errors in a closure; a file name among its arguments is named."""
    return translated(" ".join(a for a in arguments if isinstance(a, str)) or "training")


def start() -> Scheduler:
    """Joins the cluster that TF_CONFIG describes, or works alone without it.

    A worker or parameter server serves until it is stopped: for those roles this never returns.

    Raises:
        ConfigError: TF_CONFIG is not what a parameter server cluster needs.
    """
    memory.keep_freed()
    if not os.environ.get("TF_CONFIG"):
        return InlineScheduler()
    resolver = _resolver()
    _keep_two_threads()
    _take_turns()
    # Without it, a call to a dead worker waits for ever instead of failing over.
    os.environ.setdefault("GRPC_FAIL_FAST", "use_caller")
    if resolver.task_type in (WORKER, SERVER):
        _serve(resolver)
    return ClusterScheduler(resolver)


def _keep_two_threads() -> None:
    """Gives TensorFlow two threads to run operations in, also where there is one core or the user has said one.

    Members that have one thread wait for each other for ever (TensorFlow 2.16).
    """
    said = os.environ.get(_THREADS, "")
    if (int(said) if said.isdecimal() else cores()) < 2:
        os.environ[_THREADS] = "2"


def _take_turns() -> None:
    """Asks the system to let a thread finish its turn before one that wakes up gets its processor, where it can.

    Members that share cores send each other many messages in a step, and each would interrupt somebody. A policy that
    the user chose stays. To be called before there are threads: they inherit it.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _resolver() -> tf.distribute.cluster_resolver.TFConfigClusterResolver:
    try:
        body = json.loads(os.environ["TF_CONFIG"])
        roles, task, index = dict(body["cluster"]), body["task"]["type"], int(body["task"]["index"])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"TF_CONFIG: not valid: {error!r}") from None
    missing = [role for role in (CHIEF, WORKER, SERVER) if not roles.get(role)]
    if missing:
        raise ConfigError(f"TF_CONFIG: cluster has no {' and no '.join(missing)}")
    if task not in (CHIEF, WORKER, SERVER):
        raise ConfigError(f"TF_CONFIG: task type {task!r}; expected chief, worker or ps")
    for role, addresses in roles.items():
        if not isinstance(addresses, list) or not all(re.fullmatch(r".+:\d+", str(address)) for address in addresses):
            raise ConfigError(f"TF_CONFIG: {role}: expected a list of host:port, got {addresses!r}")
    if not 0 <= index < len(roles[task]):
        raise ConfigError(f"TF_CONFIG: task index {index}; the cluster has {len(roles[task])} of type {task}")
    return tf.distribute.cluster_resolver.TFConfigClusterResolver(rpc_layer="grpc")


def _serve(resolver: tf.distribute.cluster_resolver.ClusterResolver) -> NoReturn:
    # Threads that look for work a while before they sleep take the processor from the members that share it with them.
    sleeping = tf.compat.v1.ConfigProto(experimental={"disable_thread_spinning": True})
    server = tf.distribute.Server(
        resolver.cluster_spec(),
        job_name=resolver.task_type,
        task_index=resolver.task_id,
        protocol="grpc",
        config=sleeping,
    )
    log.info("%s %s is serving", resolver.task_type, resolver.task_id)
    server.join()
    raise UnavailableError("the server stopped")
