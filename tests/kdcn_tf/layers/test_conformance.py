"""What every layer and formula of the package owes its users, whatever it computes."""

import functools
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import kdcn_tf.layers
from kdcn_tf.layers.category import CategoryEmbedding
from kdcn_tf.layers.cross import MatrixCross, VectorCross, make_cross
from kdcn_tf.layers.dense import DenseTransform
from kdcn_tf.layers.dialogue import DialogueInteraction, masked_softmax
from kdcn_tf.layers.embedding import EntityEmbedding, normalized
from kdcn_tf.layers.gcn import GraphConvolution, sampled_weights
from kdcn_tf.layers.masking import mask_of, masked_mean
from kdcn_tf.layers.matching import Match
from kdcn_tf.layers.transe import distance, pairwise_distance
from kdcn_tf.layers.user_state import UserState

ROWS = 6
MASK, IDS, STATISTICS, DEGREES = "mask", "ids", "statistics", "degrees"


@dataclass(frozen=True)
class Case:
    """One layer or function, with its inputs.

    Attributes:
        of: layer class or function.
        inputs: shape of each behind the batch; MASK, IDS, ... stands before it where vectors are not meant.
        options: of the layer or function.
        masked: (content, mask) positions in `inputs`; None where padding is an id, or nothing is masked.
    """

    of: Callable[..., Any]
    inputs: tuple[tuple, ...]
    options: dict[str, Any] = field(default_factory=dict)
    masked: tuple[int, int] | None = None

    @property
    def is_layer(self) -> bool:
        return inspect.isclass(self.of)

    def make(self) -> Callable[..., Any]:
        """A fresh layer, or the function, made to take its inputs as layers do."""
        if self.is_layer:
            return self.of(**self.options)
        return lambda inputs: self.of(*(inputs if isinstance(inputs, tuple) else (inputs,)), **self.options)

    @property
    def vectors(self) -> list[int]:
        """Positions of inputs that come from a table, to which gradients flow."""
        return [i for i, spec in enumerate(self.inputs) if not isinstance(spec[0], str)]


VECTORS_AND_MASK: dict[str, Any] = {"inputs": ((3, 4), (MASK, 3)), "masked": (0, 1)}
TWO_VECTORS: dict[str, Any] = {"inputs": ((8,), (8,))}
TRIPLES: dict[str, Any] = {"inputs": ((4,), (4,), (4,))}
RANGES = {"user": (1, 4), "item": (6, 9)}

CASES = [
    Case(CategoryEmbedding, ((IDS, 2),), {"id_range": (1, 8), "dim": 3}),
    Case(VectorCross, **TWO_VECTORS),
    Case(MatrixCross, **TWO_VECTORS),
    Case(MatrixCross, **TWO_VECTORS, options={"rank": 2}),
    Case(DenseTransform, ((STATISTICS, 2),), {"mean": (1.0, 2.0), "std": (0.5, 0.0)}),
    Case(DialogueInteraction, **VECTORS_AND_MASK, options={"heads": 2}),
    Case(DialogueInteraction, **VECTORS_AND_MASK, options={"heads": 1, "scale": True}),
    Case(EntityEmbedding, ((IDS, 2, 3), (IDS,)), {"ranges": RANGES, "dim": 4}),
    Case(EntityEmbedding, ((IDS, 2, 3), (IDS,)), {"ranges": RANGES, "dim": 4, "normalize": True}),
    Case(GraphConvolution, ((4,), (3, 4), (MASK, 3)), masked=(1, 2)),
    Case(GraphConvolution, ((4,), (3, 4), (MASK, 3)), {"activation": "tanh", "residual": True}, masked=(1, 2)),
    Case(Match, **TWO_VECTORS, options={"dim": 3}),
    Case(UserState, ((2, 3, 4), (MASK, 2, 3)), {"widths": (1, 2), "filters": 3}, masked=(0, 1)),
    Case(UserState, ((2, 3, 4), (MASK, 2, 3)), {"widths": (4,), "filters": 3}, masked=(0, 1)),
    Case(mask_of, ((IDS, 3),)),
    Case(masked_mean, **VECTORS_AND_MASK),
    Case(masked_softmax, ((3,), (MASK, 3)), masked=(0, 1)),
    Case(normalized, ((4,),)),
    Case(sampled_weights, ((DEGREES,), (DEGREES, 3), (MASK, 3)), masked=(1, 2)),
    *[Case(distance, **TRIPLES, options={"norm": norm}) for norm in (1, 2)],
    *[Case(pairwise_distance, ((2, 4), (3, 4)), {"norm": norm}) for norm in (1, 2)],
]
NOT_A_FORMULA = {make_cross}


def name_of(case: Case) -> str:
    return "-".join([case.of.__name__, *(f"{k}={v}" for k, v in case.options.items() if k not in ("ranges", "dim"))])


every_case = pytest.mark.parametrize("case", CASES, ids=name_of)
every_layer = pytest.mark.parametrize("case", [case for case in CASES if case.is_layer], ids=name_of)
every_masked = pytest.mark.parametrize("case", [case for case in CASES if case.masked], ids=name_of)


def draw(case: Case, seed: int = 0) -> list[np.ndarray]:
    """Inputs of ROWS rows, some of their places masked, missing or padding; nothing at all in the last row."""
    rng = np.random.default_rng(seed)
    draws = {
        MASK: lambda shape: rng.integers(0, 2, shape).astype(np.float32),
        IDS: lambda shape: rng.choice([0, -1, 1, 3, 6, 8, 12], shape),
        STATISTICS: lambda shape: rng.choice([np.nan, -3.0, 0.0, 1e9], shape).astype(np.float32),
        DEGREES: lambda shape: rng.integers(1, 9, shape).astype(np.float32),
    }
    empty = {MASK: 0, IDS: 0, STATISTICS: np.nan, DEGREES: 0}
    drawn = []
    for spec in case.inputs:
        if isinstance(spec[0], str):
            array = draws[spec[0]]((ROWS, *spec[1:]))
            array[-1] = empty[spec[0]]
        else:
            array = rng.normal(size=(ROWS, *spec)).astype(np.float32)
        drawn.append(array)
    return drawn


def run(function: Callable[..., Any], inputs: list) -> list[np.ndarray]:
    """Outputs as a list; one input goes in bare, several as a tuple."""
    tensors = tuple(tf.convert_to_tensor(array) for array in inputs)
    return tf.nest.flatten(function(tensors[0] if len(tensors) == 1 else tensors))


def made_with_random_weights(case: Case) -> Any:
    layer, rng = case.make(), np.random.default_rng(1)
    run(layer, draw(case))
    if case.is_layer:
        layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


def assert_equal(got: list, expected: list) -> None:
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_no_public_layer_or_formula_is_missing():
    found = set()
    for module_info in pkgutil.iter_modules(kdcn_tf.layers.__path__):
        module = importlib.import_module(f"kdcn_tf.layers.{module_info.name}")
        for name, value in vars(module).items():
            if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__ and callable(value):
                found.add(value)
    assert found == {case.of for case in CASES} | NOT_A_FORMULA


@every_layer
def test_config_round_trip(case):
    layer = made_with_random_weights(case)
    config = json.loads(json.dumps(layer.get_config()))
    again = tf.keras.utils.get_registered_object(f"kdcn_tf>{case.of.__name__}").from_config(config)
    expected = run(layer, draw(case))
    run(again, draw(case))
    again.set_weights(layer.get_weights())
    assert_equal(run(again, draw(case)), expected)
    assert json.loads(json.dumps(again.get_config())) == config
    given = {"ranges": {name: list(span) for name, span in RANGES.items()}}
    for key, value in case.options.items():
        assert config[key] == given.get(key, list(value) if isinstance(value, tuple) else value)


@every_layer
def test_weights_survive_a_checkpoint(case, tmp_path):
    layer, again = made_with_random_weights(case), case.make()
    expected = run(layer, draw(case))
    fresh = run(again, draw(case))
    assert not layer.weights or not np.allclose(fresh[0], expected[0])
    prefix = tf.train.Checkpoint(layer=layer).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(layer=again).read(prefix).assert_consumed()
    assert_equal(run(again, draw(case)), expected)


@every_case
def test_a_row_does_not_depend_on_the_batch(case):
    function, inputs = made_with_random_weights(case), draw(case)
    whole = run(function, inputs)
    for row in (0, ROWS - 1):
        alone = run(function, [array[row : row + 1] for array in inputs])
        assert_equal(alone, [output[row : row + 1] for output in whole])


@every_masked
def test_what_is_masked_does_not_count(case):
    function, inputs = made_with_random_weights(case), draw(case)
    content, mask = case.masked
    hidden = inputs[mask] == 0
    assert 0 < hidden[:-1].mean() < 1
    expected = run(function, inputs)
    inputs[content] = inputs[content].copy()
    inputs[content][hidden] = 1000.0
    assert_equal(run(function, inputs), expected)
    inputs[content][~hidden] *= 2.0
    assert not np.allclose(run(function, inputs)[0], expected[0])


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.of in (CategoryEmbedding, EntityEmbedding)], ids=name_of
)
def test_the_row_of_padding_does_not_count(case):
    layer = made_with_random_weights(case)
    expected = run(layer, draw(case))
    (table,) = layer.get_weights()
    table[0] = 1000.0
    layer.set_weights([table])
    assert_equal(run(layer, draw(case)), expected)


@every_case
@pytest.mark.parametrize("empty", [False, True], ids=["some", "all-masked"])
def test_outputs_and_gradients_are_finite(case, empty):
    function = made_with_random_weights(case)
    inputs = [tf.constant(array[-1:] if empty else array) for array in draw(case)]
    weights = function.trainable_weights if case.is_layer else []
    vectors = [inputs[i] for i in case.vectors]
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        outputs = run(function, inputs)
        total = functools.reduce(tf.add, [tf.reduce_sum(output**2) for output in outputs])
    assert all(np.all(np.isfinite(output)) for output in outputs)
    # Not every input counts (a GCN layer without residual ignores the node itself), but every weight does.
    gradients = tape.gradient(total, [*weights, *vectors])
    assert all(gradient is not None for gradient in gradients[: len(weights)])
    assert all(np.all(np.isfinite(tf.convert_to_tensor(g))) for g in gradients if g is not None)
