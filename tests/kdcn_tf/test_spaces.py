import math
import random

import pytest

from kdcn_tf import contestants, options, spaces
from kdcn_tf.config import Config, resolve
from kdcn_tf.errors import ConfigError
from kdcn_tf.spaces import Choices, Range

BUILT_IN = [(sampler, model) for sampler in spaces.SPACES for model in contestants.CONTESTANTS]


def ends(domain):
    return domain.values if isinstance(domain, Choices) else (domain.low, domain.high)


def drawn(domain, rng):
    if isinstance(domain, Choices):
        return rng.choice(domain.values)
    low, high = (math.log(domain.low), math.log(domain.high)) if domain.log else (domain.low, domain.high)
    value = rng.uniform(low, high)
    value = math.exp(value) if domain.log else value
    return round(value) if isinstance(domain.low, int) else min(max(value, domain.low), domain.high)


@pytest.mark.parametrize(("sampler", "model"), BUILT_IN)
@pytest.mark.parametrize("preset", ["default", "paper", "quick"])
def test_every_model_has_spaces_whose_values_make_configurations(sampler, model, preset):
    base = resolve(preset)
    space = spaces.checked(spaces.SPACES[sampler][model], base, model, "built in")
    rng = random.Random(1)
    settings = [{key: ends(domain)[place] for key, domain in space.items()} for place in (0, -1)]
    settings += [{key: drawn(domain, rng) for key, domain in space.items()} for _ in range(20)]
    for values in settings:
        assert spaces.contains(space, values)
        config = contestants.configured(model, options.apply_overrides(base, (values, "trial")))
        assert {key: options.value_of(config, key) for key in values} == values


@pytest.mark.parametrize("model", contestants.CONTESTANTS)
def test_the_default_setting_lies_in_the_space_of_tpe(model):
    """So a search never ends below it, on validation; regression's default is to choose among strengths."""
    space, base = spaces.SPACES[spaces.TPE][model], contestants.configured(model, Config())
    inside = spaces.contains(space, {key: options.value_of(base, key) for key in space})
    assert inside == (model != "lr")


def test_the_grid_of_the_paper():
    """1 to 3 deep layers of 128, 256 or 512, and 2, 4 or 6 cross layers."""
    found = spaces.points(spaces.SPACES[spaces.GRID]["kdcn"], 1, "grid")
    expected = {((size,) * layers, cross) for layers in (1, 2, 3) for size in (128, 256, 512) for cross in (2, 4, 6)}
    assert len(found) == len(expected) == 27
    assert {(point["kdcn.deep_units"], point["kdcn.cross_layers"]) for point in found} == expected
    assert found == spaces.points(spaces.SPACES[spaces.GRID]["kdcn"], 1, "grid")
    assert found != spaces.points(spaces.SPACES[spaces.GRID]["kdcn"], 2, "grid")


def test_a_grid_of_ranges_is_refused():
    with pytest.raises(ConfigError, match=r"^mine: kdcn.dropout: a grid needs choices"):
        spaces.points({"kdcn.dropout": Range(0.0, 0.5)}, 1, "mine")


GOOD = """
finetune.learning_rate: {low: 1e-4, high: 1, log: true}
kdcn.cross_layers: {low: 0, high: 3}
kdcn.dropout: {low: 0, high: 0.5}
kdcn.deep_units: {choices: [[64], [128, 64], 32]}
"""


def parsed(path, model="kdcn"):
    return spaces.parsed(spaces.read(str(path)), Config(), model, path.name)


def test_a_file_of_a_space(tmp_path):
    """YAML reads 1e-4 as a text and 1 as an integer: each is of its field's type in the end."""
    path = tmp_path / "space.yaml"
    path.write_text(GOOD)
    found = parsed(path)
    assert found == {
        "finetune.learning_rate": Range(1e-4, 1.0, True),
        "kdcn.cross_layers": Range(0, 3),
        "kdcn.dropout": Range(0.0, 0.5),
        "kdcn.deep_units": Choices(((64,), (128, 64), (32,))),
    }
    assert [type(found[key].low) for key in list(found)[:3]] == [float, int, float]
    assert spaces.described(found) == {
        "finetune.learning_rate": '{"low": 0.0001, "high": 1.0, "log": true}',
        "kdcn.cross_layers": '{"low": 0, "high": 3, "log": false}',
        "kdcn.dropout": '{"low": 0.0, "high": 0.5, "log": false}',
        "kdcn.deep_units": '{"choices": [[64], [128, 64], [32]]}',
    }


@pytest.mark.parametrize(
    ("text", "model", "message"),
    [
        ("", "kdcn", "expected a mapping of section.field to"),
        ("{}", "kdcn", "names no field to search"),
        ("a: [", "kdcn", r"space.yaml:1: not valid YAML"),
        ("kdcn.heads: {choices: [1]}\nkdcn.heads: {choices: [2]}", "kdcn", "space.yaml:2: .*occurs twice"),
        ("kdcn.dropout: 0.5", "kdcn", r"kdcn.dropout: expected \{low, high, log\} or \{choices\}, got 0.5"),
        ("kdcn.dropout: {low: 0}", "kdcn", r"kdcn.dropout: expected \{low"),
        ("kdcn.dropout: {low: 0, high: 0.5, step: 0.1}", "kdcn", r"kdcn.dropout: expected \{low"),
        ("kdcn.dropout: {low: 0, high: 0.5, log: 1}", "kdcn", "kdcn.dropout: log: expected true or false, got 1"),
        ("kdcn.dropout: {low: 0, high: 0.5, log: true}", "kdcn", "kdcn.dropout: low must be positive where log"),
        ("kdcn.dropout: {low: 0.5, high: 0.5}", "kdcn", "kdcn.dropout: low must be less than high, got 0.5 and 0.5"),
        ("kdcn.dropout: {low: 0, high: 1}", "kdcn", r"space.yaml: kdcn.dropout: must be in \[0, 1\), got 1"),
        ("kdcn.cross_layers: {low: 1.5, high: 3}", "kdcn", "kdcn.cross_layers: expected int, got 1.5"),
        ("kdcn.cross: {low: vector, high: matrix}", "kdcn", "kdcn.cross: isn't a number, so it needs choices"),
        ("kdcn.candidate: {low: false, high: true}", "kdcn", "kdcn.candidate: isn't a number, so it needs choices"),
        ("kdcn.cross: {choices: [vector, tensor]}", "kdcn", "kdcn.cross: must be one of .*, got 'tensor'"),
        ("kdcn.cross: {choices: []}", "kdcn", r"kdcn.cross: choices: expected a list of values, got \[\]"),
        ("kdcn.deep_units: {choices: [64, [64]]}", "kdcn", "kdcn.deep_units: a choice occurs twice"),
        ("kdcn.depth: {low: 1, high: 3}", "kdcn", "kdcn.depth: unknown field 'depth'; known: "),
        ("deep: {low: 1, high: 3}", "kdcn", "deep: unknown section 'deep'; known: "),
        ("pretrain.epochs: {low: 1, high: 3}", "kdcn", "pretrain.epochs: model 'kdcn' reads sections finetune, kdcn"),
        ("kdcn.cross_layers: {low: 1, high: 3}", "lr", "kdcn.cross_layers: model 'lr' reads sections lr only"),
        ("kdcn.pretrained: {choices: [true, false]}", "kdcn_no_pretraining", "kdcn.pretrained: .* it fixed to False"),
        ("finetune.seed: {low: 1, high: 9}", "kdcn", "finetune.seed: a seed isn't searched; --seeds"),
    ],
)  # fmt: skip
def test_errors_name_file_and_field(tmp_path, text, model, message):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as refused:
        parsed(path, model)
    assert path.name in str(refused.value)
