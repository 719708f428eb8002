"""The options of the system: their checks, and which source wins."""

import dataclasses

import pytest

from kdcn_tf import config, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError, DataError

CHECKED = {
    f"{section.name}.{field.name}": field.default
    for section in dataclasses.fields(Config)
    for field in dataclasses.fields(section.default_factory)
    if field.metadata["check"]
}


def refused(*assignments: str, **sources) -> str:
    with pytest.raises(ConfigError) as error:
        config.resolve(assignments=assignments, **sources)
    return str(error.value)


@pytest.mark.parametrize("name", CHECKED)
def test_every_check_refuses_something_and_names_its_field(name):
    """A value of the right type that no check lets pass: checked numbers are never below 0, times may be."""
    wrong = {str: "other", tuple: "[0]"}.get(type(CHECKED[name]), "-1")
    if name == "logs.behaviors":
        wrong = "[click, click]"
    if name.startswith("time."):
        wrong = "1700000000000"  # milliseconds
    message = refused(f"{name}={wrong}")
    assert message.startswith(f"--set: {name}: ")
    assert "expected" not in message  # that would be the type


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["time.train_end=20", "time.valid_end=10"], "time.valid_end: must not lie before train_end, got 10.0"),
        (["ckg.valid_fraction=0.5", "ckg.test_fraction=0.5"], "ckg.valid_fraction: with test_fraction it must stay"),
        (
            ["ckg.block_size=2", "ckg.triples_per_file=1048577"],
            "ckg.triples_per_file: at most 524288 records of block_size=2, got 1048577",
        ),
        (["pretrain.chunks=7"], "pretrain.chunks: must divide batch_size=1000, got 7"),
        (["encoder.neighbors=30"], "encoder.neighbors: 30 sampled of ckg.stored_neighbors=20 stored"),
        (["encoder.reciprocal=false"], "encoder.relation_scale: needs reciprocal=true"),
        (["kdcn.dim=10"], "kdcn.heads: must divide dim=10, got 4"),
    ],
)
def test_options_that_contradict_each_other(assignments, message):
    assert refused(*assignments).startswith(f"--set: {message}")


def test_options_that_need_each_other_may_come_from_two_sources():
    """Neighbours 30 of 40; 5 heads for vectors of 10; 10 chunks for a batch of 70."""
    found = config.resolve(
        suggested={"kdcn.dim": 10, "encoder.neighbors": 30, "pretrain.batch_size": 70},
        assignments=["kdcn.heads=5", "ckg.stored_neighbors=40", "pretrain.chunks=10"],
    )
    assert (found.kdcn.dim, found.kdcn.heads, found.pretrain.chunks) == (10, 5, 10)
    assert refused(suggested={"kdcn.dim": 10}).startswith("input dataset: kdcn.heads: must divide")
    config.resolve(assignments=["kdcn.dim=10", "kdcn.dialogue=false"])  # no heads, nothing to divide


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("time.train_end=.nan", "time.train_end: expected float | None, got nan"),
        ("pretrain.margin=.inf", "pretrain.margin: expected float, got inf"),
        (f"pretrain.margin=1{'0' * 400}", f"pretrain.margin: expected float, got 1{'0' * 79}..."),
        ("encoder.dim=99999999999999999999", "encoder.dim: expected int, got 99999999999999999999"),
        ("finetune.seed=-1", "finetune.seed: must be in [0, 2147483648), got -1"),
        ("ckg.stored_neighbors=10000000000", "ckg.stored_neighbors: must be at most 10000, got 10000000000"),
        ("ckg.ids_per_file=1048577", "ckg.ids_per_file: must be at most 1048576, got 1048577"),
        ("ctr.examples_per_file=524289", "ctr.examples_per_file: must be at most 524288, got 524289"),
        ("logs.behaviors=[]", "logs.behaviors: must not be empty, got ()"),
        ("logs.behaviors=[a b]", "logs.behaviors: element 'a b' must consist of the letters a-z, digits and _"),
        ("kdcn.widths=[]", "kdcn.widths: must not be empty, got ()"),
    ],
)
def test_values_that_would_fail_late_are_refused_at_once(assignment, message):
    assert refused(assignment).startswith(f"--set: {message}")


def test_a_later_source_wins(tmp_path):
    """Preset < dataset < file < --set. Preset paper says 5 epochs."""
    (tmp_path / "c.yaml").write_text("pretrain: {epochs: 7}")
    sources = ["paper", {"pretrain.epochs": 6}, str(tmp_path / "c.yaml"), ["pretrain.epochs=8", "pretrain.epochs=9"]]
    found = [config.resolve(*sources[:number]) for number in range(5)]
    assert [one.pretrain.epochs for one in found] == [Config().pretrain.epochs, 5, 6, 7, 9]
    assert found[4].encoder.activation == "sigmoid"  # what later sources don't say stays


def test_errors_name_the_source(tmp_path):
    (tmp_path / "c.yaml").write_text("kdcn: {heads: 0}")
    file = str(tmp_path / "c.yaml")
    assert refused(config_file=file) == f"{file}: kdcn.heads: must be at least 1, got 0"
    assert refused(preset="papr") == "--preset papr: unknown; known: default, paper, quick, gcn"
    assert refused(suggested={"time.end": 1}).startswith("input dataset: time.end: unknown field 'end'; known: ")
    assert refused("x.y=1").startswith("--set: x.y: unknown section 'x'; known: simulate, time, ")


def test_plain_data_and_yaml_hold_everything(tmp_path):
    found = config.resolve("paper", {"time.train_end": 12.5})
    assert config.from_dict(options.to_dict(found)) == found
    (tmp_path / "config.yaml").write_text(options.to_yaml(found), encoding="utf-8")
    assert config.resolve(config_file=str(tmp_path / "config.yaml")) == found


def test_a_manifest_of_another_configuration_is_wrong_data():
    for body, wrong in [({"kdcn": {"new": 1}}, "kdcn.new: unknown field"), ({"kdcn": 3}, ""), ([], "")]:
        with pytest.raises(DataError, match=f"the manifest's config: .*{wrong}"):
            config.from_dict(body)


def test_each_optimizer_has_a_rate_of_its_own():
    rates = {text: config.resolve(assignments=text.split()).pretrain.rate for text in (
        "pretrain.optimizer=adagrad", "pretrain.optimizer=adam", "pretrain.optimizer=adam pretrain.learning_rate=0.2",
        "pretrain.learning_rate=0.2",
    )}  # fmt: skip
    assert list(rates.values()) == [0.8, 0.01, 0.2, 0.2]
    assert config.resolve("paper").pretrain.rate == 1e-4
