"""What every layer and formula of the package owes its users, whatever it computes."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import kdcn_tf.layers
from kdcn_tf.layers import gcn
from kdcn_tf.layers.category import CategoryEmbedding
from kdcn_tf.layers.cross import MatrixCrosses, VectorCrosses, make_crosses
from kdcn_tf.layers.deep import Deep, DeepCross
from kdcn_tf.layers.dense import DenseTransform
from kdcn_tf.layers.dialogue import DialogueInteraction, masked_softmax
from kdcn_tf.layers.embedding import EntityEmbedding, Placed, normalized
from kdcn_tf.layers.gcn import GraphConvolution, sampled_weights
from kdcn_tf.layers.masking import fullness, mask_of, masked_mean
from kdcn_tf.layers.matching import Match, Similarities
from kdcn_tf.layers.transe import distance, pairwise_distance
from kdcn_tf.layers.user_state import UserState
from kdcn_tf.layers.wide import HashedCrosses, IdWeights

ROWS = 6
MASK, IDS, STATISTICS = "mask", "ids", "statistics"


class Case(NamedTuple):
    """A layer class or function, the shapes of its inputs behind the batch, and positions of content and mask.

    A shape that starts with MASK, IDS or STATISTICS says what is in it; the others are vectors.
    """

    of: Callable[..., Any]
    inputs: tuple[tuple, ...]
    options: dict[str, Any] = {}  # noqa: RUF012, never changed
    masked: tuple[int, int] | None = None

    def make(self) -> Callable[..., Any]:
        """A fresh layer, or the function, made to take its inputs as layers do."""
        if inspect.isclass(self.of):
            return self.of(**self.options)
        return lambda inputs: self.of(*(inputs if isinstance(inputs, tuple) else (inputs,)), **self.options)


RANGES = {"user": [[1, 4]], "item": [[4, 5], [6, 8]]}
IDS_OF_TWO_SHAPES = ((IDS, 2, 3), (IDS,))
NODES = ((4,), (4,))
DEEP_CROSS = {"cross": "vector", "cross_layers": 2, "cross_rank": 3, "deep_units": [5], "dropout": 0.1}

CASES = [
    Case(CategoryEmbedding, ((IDS, 2),), {"id_ranges": [[1, 5], [7, 9]], "dim": 3, "seed": None}),
    Case(VectorCrosses, ((8,),), {"count": 1}),
    Case(VectorCrosses, ((8,),), {"count": 3}),
    Case(MatrixCrosses, ((8,),), {"count": 2, "rank": None}),
    Case(MatrixCrosses, ((8,),), {"count": 2, "rank": 2}),
    Case(Deep, ((8,),), {"units": [5, 3], "dropout": 0.1}),
    Case(DeepCross, ((8,),), DEEP_CROSS),
    Case(DeepCross, ((8,),), {**DEEP_CROSS, "cross": "low_rank", "deep_units": []}),
    Case(DenseTransform, ((STATISTICS, 2),), {"mean": [1.0, 2.0], "std": [0.5, 0.0]}),
    Case(DialogueInteraction, ((3, 4), (MASK, 3)), {"heads": 2, "scale": False, "lists": None}, (0, 1)),
    Case(DialogueInteraction, ((3, 4), (MASK, 3)), {"heads": 1, "scale": True, "lists": [1, 2]}, (0, 1)),
    Case(EntityEmbedding, IDS_OF_TWO_SHAPES, {"ranges": RANGES, "dim": 4, "normalize": False}),
    Case(EntityEmbedding, IDS_OF_TWO_SHAPES, {"ranges": RANGES, "dim": 4, "normalize": True}),
    Case(GraphConvolution, NODES, {"activation": "sigmoid", "residual": False}),
    Case(GraphConvolution, NODES, {"activation": "identity", "residual": True}),
    Case(HashedCrosses, ((IDS, 2), (IDS, 3)), {"crosses": [[0, 1], [1, 1]], "buckets": 20}),
    Case(IdWeights, ((IDS, 2), (IDS,)), {"id_ranges": [[1, 5], [7, 9]], "roles": 2}),
    Case(Match, ((8,), (8,)), {"dim": 3}),
    Case(Similarities, ((8,), (3, 8), (MASK, 3)), {"own": "item", "others": ["item", "keyword", "user"]}, (1, 2)),
    Case(UserState, ((2, 4),), {"widths": [1, 2], "filters": 3}),
    Case(UserState, ((2, 4),), {"widths": [4], "filters": 3}),
    Case(fullness, ((IDS, 3), (IDS, 2))),
    Case(mask_of, ((IDS, 3),)),
    Case(masked_mean, ((3, 4), (MASK, 3)), masked=(0, 1)),
    Case(masked_softmax, ((3,), (MASK, 3)), masked=(0, 1)),
    Case(normalized, ((4,),)),
    Case(sampled_weights, ((MASK,), (MASK, 3), (MASK, 3)), masked=(1, 2)),  # degrees of 0 and 1
    *[Case(distance, ((4,), (4,), (4,)), {"norm": norm}) for norm in (1, 2)],
    *[Case(pairwise_distance, ((2, 4), (3, 4)), {"norm": norm}) for norm in (1, 2)],
]


def name_of(case: Case) -> str:
    return "-".join([case.of.__name__, *(str(v) for k, v in case.options.items() if k not in ("ranges", "dim"))])


every_case = pytest.mark.parametrize("case", CASES, ids=name_of)
every_layer = pytest.mark.parametrize("case", [case for case in CASES if inspect.isclass(case.of)], ids=name_of)
every_masked = pytest.mark.parametrize("case", [case for case in CASES if case.masked], ids=name_of)


def draw(case: Case) -> list[np.ndarray]:
    """Inputs of ROWS rows with masked places, unknown ids and missing statistics; the last row has nothing else."""
    rng = np.random.default_rng(0)
    choices = {MASK: [0.0, 1.0], IDS: [0, -1, 1, 3, 6, 8, 12], STATISTICS: [np.nan, -3.0, 0.0, 1e9]}
    drawn = []
    for spec in case.inputs:
        if spec[0] in choices:
            array = rng.choice(choices[spec[0]], (ROWS, *spec[1:]))
            array[-1] = choices[spec[0]][0]
        else:
            array = rng.normal(size=(ROWS, *spec))
        drawn.append(array if spec[0] == IDS else array.astype(np.float32))
    return drawn


def run(function: Callable[..., Any], inputs: list) -> list[np.ndarray]:
    """Outputs as a list; one input goes in bare, several as a tuple."""
    tensors = tuple(tf.convert_to_tensor(array) for array in inputs)
    return tf.nest.flatten(function(tensors[0] if len(tensors) == 1 else tensors))


def made_with_random_weights(case: Case) -> Any:
    layer, rng = case.make(), np.random.default_rng(1)
    run(layer, draw(case))  # builds it
    if inspect.isclass(case.of):
        layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return layer


def assert_equal(got: list, expected: list) -> None:
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_no_public_layer_or_formula_is_missing():
    found = set()
    for entry in pkgutil.iter_modules(kdcn_tf.layers.__path__):
        module = importlib.import_module(f"kdcn_tf.layers.{entry.name}")
        members = inspect.getmembers(module, lambda x: inspect.isclass(x) or inspect.isfunction(x))
        found |= {x for name, x in members if x.__module__ == module.__name__ and not name.startswith("_")}
    # What takes a whole table, a chunk's candidates or a graph has no rows of its own; it is tested by itself.
    graphs = {gcn.types_of, gcn.TypeGroups, gcn.group_by_type, gcn.aggregate_groups, gcn.aggregate}
    others = {gcn.TypedGraphConvolution, make_crosses, Placed}
    assert found == {case.of for case in CASES} | graphs | others


@every_layer
def test_config_and_checkpoint_make_it_again(case, tmp_path):
    layer, inputs = made_with_random_weights(case), draw(case)
    config = json.loads(json.dumps(layer.get_config()))
    assert {key: config[key] for key in case.options} == json.loads(json.dumps(case.options))
    again = tf.keras.utils.get_registered_object(f"kdcn_tf>{case.of.__name__}").from_config(config)
    fresh, expected = run(again, inputs), run(layer, inputs)
    assert not layer.weights or not np.allclose(fresh[0], expected[0])
    prefix = tf.train.Checkpoint(layer=layer).write(str(tmp_path / "weights"))
    tf.train.Checkpoint(layer=again).read(prefix).assert_consumed()
    assert_equal(run(again, inputs), expected)


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
    content, hidden = inputs[case.masked[0]], inputs[case.masked[1]] == 0
    expected = run(function, inputs)
    content[hidden] = 1000.0
    assert_equal(run(function, inputs), expected)
    content[~hidden] *= 2.0
    assert not np.allclose(run(function, inputs)[0], expected[0])


@every_case
@pytest.mark.parametrize("empty", [False, True], ids=["some", "all-masked"])
def test_outputs_and_gradients_are_finite(case, empty):
    function = made_with_random_weights(case)
    inputs = [tf.constant(array[-1:] if empty else array) for array in draw(case)]
    vectors = [x for x, spec in zip(inputs, case.inputs, strict=True) if not isinstance(spec[0], str)]
    weights = getattr(function, "trainable_weights", [])
    with tf.GradientTape() as tape:
        tape.watch(vectors)
        outputs = run(function, inputs)
        total = tf.add_n([tf.reduce_sum(output**2) for output in outputs])
    assert all(np.all(np.isfinite(output)) for output in outputs)
    # Not every input counts (a GCN layer without residual ignores the node itself), but every weight does.
    gradients = tape.gradient(total, [*weights, *vectors])
    assert all(gradient is not None for gradient in gradients[: len(weights)])
    assert all(np.all(np.isfinite(tf.convert_to_tensor(g))) for g in gradients if g is not None)
