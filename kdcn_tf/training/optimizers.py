"""Optimizers whose cost is the touched rows.

Stock Keras Adam walks the whole table for a sparse gradient (momentum decays in every row). These
update the rows of the gradient alone, on the device that holds them, and have no `merge_call`, so they
work inside a loop inside `strategy.run`. Slots exist from the start: a checkpoint that is restored into
slots built later would silently lose the sharded ones.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.distribute.sharded_variable import ShardedVariable

Gradient = Any  # a tensor, IndexedSlices or None
Rate = float | Callable[[tf.Tensor], tf.Tensor]


def parts_of(variable: tf.Variable | ShardedVariable) -> list[tf.Variable]:
    """The shards of a sharded variable, or the variable itself."""
    return list(variable.variables) if isinstance(variable, ShardedVariable) else [variable]


def make_slot(variable: tf.Variable | ShardedVariable, name: str, columns: int | None = None):
    """A zero variable beside `variable`, shard by shard on the same server, sharded as it is.

    Args:
        variable: plain or sharded.
        name: of the slot.
        columns: size of the second axis, by default the variable's own (1 for row-wise state).
    """
    slots = []
    for part in parts_of(variable):
        shape = part.shape.as_list() if columns is None else [part.shape[0], columns]
        with tf.distribute.get_strategy().extended.colocate_vars_with(part):
            slots.append(tf.Variable(_Zeros(shape), shape=shape, dtype=tf.float32, trainable=False, name=name))
    return ShardedVariable(slots) if isinstance(variable, ShardedVariable) else slots[0]


class _Zeros:
    """An initial value that is made on the server, not sent to it."""

    def __init__(self, shape: list[int]):
        self._shape = shape

    def __call__(self):
        return tf.zeros(self._shape)


class Optimizer(tf.Module):
    """Base: pairs gradients with variables and their slots.

    Args:
        variables: trained variables, plain or sharded.
        learning_rate: constant, or a function of the number of steps made (float scalar).
        wire: type in which rows of gradients travel to the servers; they are summed and applied as float32.
    """

    slot_names: tuple[str, ...] = ()
    lasting_names: tuple[str, ...] = ()
    """Slots without which later training, on new data, would undo what these weights have learned."""

    def __init__(self, variables: Sequence[tf.Variable | ShardedVariable], learning_rate: Rate, wire: str = "float32"):
        super().__init__(name=type(self).__name__.lower())
        self._wire = tf.as_dtype(wire)
        self._learning_rate = learning_rate if callable(learning_rate) else lambda step: learning_rate
        self.slots = {name: [self._slot(v, name) for v in variables] for name in self.slot_names}
        self.iterations = tf.Variable(0, dtype=tf.int64, trainable=False, name="iterations")
        self._whole = list(variables)
        self._variables = [part for v in variables for part in parts_of(v)]

    def _slot(self, variable, name: str):
        return make_slot(variable, name)

    @property
    def trained(self) -> list[tf.Variable]:
        """The variables in the order in which `apply` wants their gradients, shard by shard."""
        return self._variables

    @property
    def lasting(self) -> dict[str, list]:
        """Slots that are kept with the weights for good: name -> a slot per variable, sharded as it is."""
        return {name: self.slots[name] for name in self.lasting_names}

    def averages(self) -> contextlib.AbstractContextManager[None]:
        """Inside, the variables have their means over the steps as values, if the optimizer keeps such."""
        return contextlib.nullcontext()

    def apply(self, gradients: Sequence[Gradient], distinct: bool = False) -> None:
        """One step. A variable without gradient stays as it is.

        Args:
            gradients: one per element of `trained`; `IndexedSlices` may repeat an index.
            distinct: the caller's word that none does, which saves looking for those that do.
        """
        with tf.device(self.iterations.device):  # cast elsewhere, it would travel to the worker and back
            step = tf.cast(self.iterations.assign_add(1, read_value=True), tf.float32)
        flat = {name: [p for slot in slots for p in parts_of(slot)] for name, slots in self.slots.items()}
        for index, (variable, gradient) in enumerate(zip(self._variables, gradients, strict=True)):
            if gradient is None:
                continue
            slots = {name: parts[index] for name, parts in flat.items()}
            if isinstance(gradient, tf.IndexedSlices):
                gradient = tf.IndexedSlices(tf.cast(gradient.values, self._wire), gradient.indices)
            with tf.device(variable.device):
                if isinstance(gradient, tf.IndexedSlices):
                    self._update_rows(variable, slots, *_rows_of(gradient, distinct), step)
                else:
                    self._update_all(variable, slots, gradient, step)

    def _update_rows(self, variable, slots, ids: tf.Tensor, rows: tf.Tensor, step: tf.Tensor) -> None:
        old = {name: tf.gather(slot, ids) for name, slot in slots.items()}
        delta, new = self._delta(rows, old, step)
        for name, slot in slots.items():
            slot.scatter_update(tf.IndexedSlices(new[name], ids))
        variable.scatter_sub(tf.IndexedSlices(delta, ids))

    def _update_all(self, variable, slots, gradient: tf.Tensor, step: tf.Tensor) -> None:
        delta, new = self._delta(gradient, {name: slot.read_value() for name, slot in slots.items()}, step)
        for name, slot in slots.items():
            slot.assign(new[name])
        variable.assign_sub(delta)

    def _delta(self, gradient, old: dict, step: tf.Tensor) -> tuple[tf.Tensor, dict]:
        """What to subtract, and the new slot values."""
        raise TypeError(f"{type(self).__name__} is not an optimizer: it has no update rule")


def _rows_of(gradient: tf.IndexedSlices, distinct: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Distinct ids and the sum of the rows of each: squares are of the sum, as in the dense case."""
    if distinct:
        return gradient.indices, tf.cast(gradient.values, tf.float32)
    ids, index = tf.unique(gradient.indices)
    return ids, tf.math.unsorted_segment_sum(tf.cast(gradient.values, tf.float32), index, tf.size(ids))


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), lazy: rows without gradient keep their value and their moments.

    Equal to Adam where every row is touched.
    """

    slot_names: tuple[str, ...] = ("m", "v")

    BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7

    def _update_all(self, variable, slots, gradient, step):
        # The same by one kernel, in place: as operations of their own these are a dozen passes over the weights.
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle, m=slots["m"].handle, v=slots["v"].handle, beta1_power=self.BETA_1**step,
            beta2_power=self.BETA_2**step, lr=self._learning_rate(step), beta1=self.BETA_1, beta2=self.BETA_2,
            epsilon=self.EPSILON, grad=gradient, use_locking=True,
        )  # fmt: skip

    def _delta(self, gradient, old, step):
        m = self.BETA_1 * old["m"] + (1 - self.BETA_1) * gradient
        v = self.BETA_2 * old["v"] + (1 - self.BETA_2) * gradient * gradient
        rate = self._learning_rate(step) * tf.sqrt(1 - self.BETA_2**step) / (1 - self.BETA_1**step)
        return rate * m / (tf.sqrt(v) + self.EPSILON), {"m": m, "v": v}


class AveragedAdam(Adam):
    """Adam that also keeps an exponential mean of each weight over its updates (Polyak and Juditsky, 1992).

    Kept is how far the mean is ahead of the weight: zero at the start whatever the weight is, and where a row is never
    touched. With the weight w' = w - delta, the mean a' = c a + (1 - c) w' is ahead by c (a - w + delta).

    Args:
        variables: as of `Optimizer`.
        learning_rate: likewise.
        average: c, the share of the old mean that a step keeps; less in the first steps, whose weights are no good.
        wire: as of `Optimizer`.
    """

    slot_names = ("m", "v", "ahead")

    def __init__(
        self,
        variables: Sequence[tf.Variable | ShardedVariable],
        learning_rate: Rate,
        average: float,
        wire: str = "float32",
    ):
        super().__init__(variables, learning_rate, wire)
        self._average = average

    def _update_all(self, variable, slots, gradient, step):
        before = variable.read_value()
        super()._update_all(variable, slots, gradient, step)
        slots["ahead"].assign(self._kept(step) * (slots["ahead"] + (before - variable.read_value())))

    def _delta(self, gradient, old, step):
        delta, new = super()._delta(gradient, old, step)
        return delta, {**new, "ahead": self._kept(step) * (old["ahead"] + delta)}

    def _kept(self, step: tf.Tensor) -> tf.Tensor:
        return tf.minimum(self._average, step / (step + 9.0))

    @contextlib.contextmanager
    def averages(self) -> Iterator[None]:
        """Inside, the variables have their means as values; no step may be made there."""
        pairs = [pair for v, slot in zip(self._whole, self.slots["ahead"], strict=True) for pair in _zipped(v, slot)]
        for variable, ahead in pairs:
            variable.assign_add(ahead)
        try:
            yield
        finally:
            for variable, ahead in pairs:
                variable.assign_sub(ahead)


def _zipped(
    variable: tf.Variable | ShardedVariable, slot: tf.Variable | ShardedVariable
) -> Iterator[tuple[tf.Variable, tf.Variable]]:
    yield from zip(parts_of(variable), parts_of(slot), strict=True)


class RowAdagrad(Optimizer):
    """Adagrad with one accumulator per row (as PyTorch-BigGraph's): 1/d of the state of Adagrad."""

    slot_names = lasting_names = ("accumulator",)

    EPSILON = 1e-7

    def _slot(self, variable, name: str):
        return make_slot(variable, name, columns=1 if len(variable.shape) == 2 else None)

    def _delta(self, gradient, old, step):
        square = gradient * gradient
        if len(gradient.shape) == 2:
            square = tf.reduce_mean(square, axis=1, keepdims=True)
        total = old["accumulator"] + square
        # The rate of each row first: a pass over the gradient less.
        return gradient * (self._learning_rate(step) / (tf.sqrt(total) + self.EPSILON)), {"accumulator": total}


def linear_decay(start: float, steps: float) -> Callable[[tf.Tensor], tf.Tensor]:
    """A learning rate that falls from `start`, which the first step has, in a line; it would be 0 after `steps` steps.

    So a run of one step trains by all of it.
    """
    return lambda step: start * tf.maximum(1.0 - (step - 1.0) / steps, 0.0)


def warmed_up(rate: Rate, steps: float) -> Rate:
    """`rate`, of which the first `steps` steps take a share that rises in a line, to all of it at the last of them."""
    of = rate if callable(rate) else lambda step: rate
    return (lambda step: of(step) * tf.minimum(step / steps, 1.0)) if steps else rate


def rate_over(start: float, decay: str, steps: int, warmup: int = 0) -> Rate:
    """The learning rate of a run.

    Args:
        start: the rate without decay and after the warm-up.
        decay: "constant" or "linear".
        steps: of the whole run.
        warmup: steps of the warm-up.
    """
    return warmed_up(start if decay == "constant" else linear_decay(start, steps), warmup)


OPTIMIZERS = {"adam": Adam, "adagrad": RowAdagrad}
