"""The machinery of options, on a small configuration of its own."""

from dataclasses import dataclass, field

import pytest

from kdcn_tf import options
from kdcn_tf.errors import ConfigError
from kdcn_tf.options import Section, at_least, each, fraction, no_duplicates, one_of, option, positive, share


@dataclass(frozen=True)
class Net(Section):
    size: int = option(4, "size", at_least(1))
    rate: float = option(0.1, "rate", positive)
    drop: float = option(0.0, "drop", fraction)
    part: float = option(0.5, "part", share)
    kind: str = option("a", "kind", one_of("a", "b"))
    norm: int = option(1, "norm", one_of(1, 2))
    deep: tuple[int, ...] = option((8,), "deep", each(at_least(1)))
    names: tuple[str, ...] = option((), "names", no_duplicates)
    days: float | None = option(None, "days", positive)
    on: bool = option(True, "on")


@dataclass(frozen=True)
class Whole:
    net: Net = field(default_factory=Net)


def change(**values) -> Net:
    return options.apply_overrides(Whole(), {f"net.{name}": value for name, value in values.items()}, "test").net


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("size", "1e3", 1000),
        ("rate", 2, 2.0),
        ("rate", "1e-4", 1e-4),  # YAML 1.1 reads 1e-4 as a text
        ("deep", [2, 4], (2, 4)),
        ("deep", 3, (3,)),
        ("days", None, None),
        ("days", "7", 7.0),
        ("part", 1, 1.0),
        ("drop", 0, 0.0),
    ],
)
def test_values_take_the_type_of_their_field(name, given, taken):
    found = getattr(change(**{name: given}), name)
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("size", 0, "must be at least 1, got 0"),
        ("size", 2.5, "expected int, got 2.5"),
        ("size", True, "expected int, got True"),
        ("size", "many", "expected int, got 'many'"),
        ("size", None, "expected int, got None"),
        ("rate", 0, "must be positive, got 0.0"),
        ("rate", float("nan"), "must be positive, got nan"),
        ("rate", [1], "expected float, got [1]"),
        ("drop", 1.0, "must be in [0, 1), got 1.0"),
        ("part", 1.5, "must be in [0, 1], got 1.5"),
        ("kind", "c", "must be one of a, b, got 'c'"),
        ("kind", 1, "expected str, got 1"),
        ("norm", 3, "must be one of 1, 2, got 3"),
        ("deep", [4, 0], "element 0 must be at least 1, got (4, 0)"),
        ("deep", ["x"], "expected tuple[int, ...], got ['x']"),
        ("names", ["x", "x"], "has a duplicate, got ('x', 'x')"),
        ("days", -1, "must be positive, got -1.0"),
        ("on", 1, "expected bool, got 1"),
    ],
)
def test_wrong_values_name_source_and_field(name, value, wrong):
    with pytest.raises(ConfigError) as error:
        change(**{name: value})
    assert str(error.value) == f"test: net.{name}: {wrong}"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nett.size", "test: nett.size: unknown section 'nett'; known: net"),
        ("net.sise", "test: net.sise: unknown field 'sise'; known: size, rate, "),
        ("net", "test: net: unknown field ''; known: size"),
    ],
)
def test_unknown_names_are_answered_with_the_known(key, message):
    with pytest.raises(ConfigError) as error:
        options.apply_overrides(Whole(), {key: 1}, "test")
    assert str(error.value).startswith(message)


def test_assignments():
    assert options.parse_assignment("a.b=[2, 4]") == ("a.b", [2, 4])
    assert options.parse_assignment(" a.b = null") == ("a.b", None)
    assert options.parse_assignment("a.b=x=y") == ("a.b", "x=y")
    for text, wrong in [("a.b", "expected section.field=value"), ("a=1", "expected"), ("a.b=[", "not valid YAML")]:
        with pytest.raises(ConfigError, match=wrong):
            options.parse_assignment(text)


def test_files_are_yaml_or_json(tmp_path):
    path = tmp_path / "c"
    path.write_text("net:\n  size: 3\n  deep: [1, 2]\n")
    assert options.read_overrides(str(path)) == {"net.size": 3, "net.deep": [1, 2]}
    path.write_text('{"net": {"on": false}}')
    assert options.read_overrides(str(path)) == {"net.on": False}


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (None, "No such file"),
        (b"", "expected a mapping"),
        (b"net: 3", "expected a mapping"),
        (b"net: [", "not valid YAML"),
        (b"\xff", "not valid YAML"),
    ],
)
def test_wrong_files_are_named(tmp_path, content, wrong):
    path = tmp_path / "c.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=wrong) as error:
        options.read_overrides(str(path))
    assert str(error.value).startswith(f"{path}: ")


def test_fingerprint_is_that_of_canonical_json():
    """By sha256sum of {"a":"é","b":1}."""
    assert options.fingerprint({"b": 1, "a": "é"}) == "aa58fba8483623be"


def test_plain_data_and_texts():
    whole = Whole(Net(deep=(1, 2)))
    assert options.to_dict(whole)["net"]["deep"] == [1, 2]
    assert "  size: 4\n" in options.to_yaml(whole)
    assert "  net.deep=(1, 2)\n      deep" in options.describe(whole)
    assert options.readable({"auc": 0.51239, "mrr": None, "n": 12345}) == "auc 0.5124, mrr undefined, n 1.234e+04"
