"""The options of the system: their checks, and which source wins."""

import dataclasses

import pytest

from kdcn_tf import config, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError

ZERO_IS_TOO_SMALL = """
simulate.users simulate.items simulate.sellers simulate.sessions simulate.impressions_per_session simulate.days
logs.max_keywords ckg.min_attribute_count ckg.block_size ckg.triples_per_file ckg.ids_per_file ckg.stored_neighbors
encoder.dim encoder.neighbors pretrain.epochs pretrain.batch_size pretrain.negatives pretrain.chunks pretrain.margin
pretrain.temperature pretrain.learning_rate pretrain.checkpoint_every pretrain.eval_triples ctr.max_behaviors
ctr.max_query_keywords ctr.max_title_keywords ctr.max_categories ctr.history_days ctr.examples_per_file kdcn.widths
kdcn.filters kdcn.heads kdcn.match_dim kdcn.category_dim kdcn.cross_rank kdcn.deep_units finetune.epochs
finetune.batch_size finetune.learning_rate finetune.entity_learning_rate finetune.patience finetune.checkpoint_every
""".split()
BELOW_ZERO = """
simulate.behaviors_per_user simulate.click_rate logs.max_bad_share ckg.valid_fraction ckg.test_fraction encoder.layers
pretrain.type_constrained kdcn.cross_layers kdcn.dropout finetune.l2
""".split()
WRONG = dict.fromkeys(ZERO_IS_TOO_SMALL, "0") | dict.fromkeys(BELOW_ZERO, "-0.5") | {
    "encoder.layers": "-1", "kdcn.cross_layers": "-1", "simulate.behaviors_per_user": "-1",
    "simulate.language": "fr", "logs.behaviors": "[click, click]", "ckg.relation_mode": "both",
    "encoder.activation": "gelu", "encoder.norm": "3", "pretrain.loss": "hinge", "pretrain.optimizer": "sgd",
    "kdcn.cross": "none",
}  # fmt: skip


def checked_fields() -> list[str]:
    sections = {s.name: s.default_factory for s in dataclasses.fields(Config)}
    return [f"{n}.{f.name}" for n, s in sections.items() for f in dataclasses.fields(s) if f.metadata["check"]]


@pytest.mark.parametrize("name", checked_fields())
def test_every_check_names_its_field(name):
    with pytest.raises(ConfigError) as error:
        config.resolve(assignments=[f"{name}={WRONG[name]}"])
    assert str(error.value).startswith(f"--set: {name}: ")


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["time.train_end=20", "time.valid_end=10"], "time.valid_end: must not lie before train_end, got 10.0"),
        (["ckg.valid_fraction=0.5", "ckg.test_fraction=0.5"], "ckg.valid_fraction: with test_fraction it must stay"),
        (["pretrain.chunks=7"], "pretrain.chunks: must divide batch_size=1000, got 7"),
        (["encoder.neighbors=30"], "encoder.neighbors: 30 sampled of ckg.stored_neighbors=20 stored"),
    ],
)
def test_options_that_contradict_each_other(assignments, message):
    with pytest.raises(ConfigError) as error:
        config.resolve(assignments=assignments)
    assert str(error.value).startswith(f"--set: {message}")


def test_options_that_need_each_other_may_come_together():
    assert config.resolve(assignments=["encoder.neighbors=30", "ckg.stored_neighbors=40"]).encoder.neighbors == 30


def test_a_later_source_wins(tmp_path):
    """Preset < dataset < file < --set. Epochs are 10 by default and 5 in preset paper."""
    file = tmp_path / "c.yaml"
    file.write_text("pretrain: {epochs: 7}")

    def epochs(*args) -> int:
        return config.resolve(*args).pretrain.epochs

    suggested = {"pretrain.epochs": 6}
    assert epochs() == 10
    assert epochs("paper") == 5
    assert epochs("paper", suggested) == 6
    assert epochs("paper", suggested, str(file)) == 7
    assert epochs("paper", suggested, str(file), ["pretrain.epochs=8", "pretrain.epochs=9"]) == 9
    assert config.resolve("paper", suggested, str(file)).encoder.activation == "sigmoid"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "papr"}, "--preset papr: unknown; known: default, paper, quick"),
        ({"suggested": {"time.end": 1}}, "input dataset: time.end: unknown field 'end'"),
        ({"assignments": ["x.y=1"]}, "--set: x.y: unknown section 'x'"),
    ],
)
def test_errors_name_the_source(arguments, message):
    with pytest.raises(ConfigError) as error:
        config.resolve(**arguments)
    assert str(error.value).startswith(message)


def test_errors_in_a_file_name_it(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("kdcn: {heads: 0}")
    with pytest.raises(ConfigError) as error:
        config.resolve(config_file=str(file))
    assert str(error.value) == f"{file}: kdcn.heads: must be at least 1, got 0"


@pytest.mark.parametrize("preset", ["default", "paper", "quick"])
def test_plain_data_and_yaml_hold_everything(preset, tmp_path):
    found = config.resolve(preset, {"time.train_end": 12.5})
    assert config.from_dict(options.to_dict(found)) == found
    (tmp_path / "config.yaml").write_text(options.to_yaml(found), encoding="utf-8")
    assert config.resolve(config_file=str(tmp_path / "config.yaml")) == found
