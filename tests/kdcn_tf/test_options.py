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
    norm: int = option(1, "norm", one_of(1, 2))
    deep: tuple[int, ...] = option((8,), "deep", each(at_least(1)))
    names: tuple[str, ...] = option((), "names", no_duplicates)
    days: float | None = option(None, "days", positive)
    on: bool = option(True, "on")


@dataclass(frozen=True)
class Whole:
    net: Net = field(default_factory=Net)


def change(key: str, value: object) -> Net:
    return options.apply_overrides(Whole(), ({key: value}, "test")).net


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("size", "1e3", 1000), ("rate", 2, 2.0), ("deep", [2, 4], (2, 4)), ("deep", 3, (3,)), ("days", None, None),
        ("rate", "1e-4", 1e-4),  # YAML 1.1 reads 1e-4 as a text
        ("part", 1, 1.0), ("drop", 0, 0.0),
    ],
)  # fmt: skip
def test_values_take_the_type_of_their_field(name, given, taken):
    found = getattr(change(f"net.{name}", given), name)
    assert (found, type(found)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("net.size", 0, "must be at least 1, got 0"), ("net.size", 2.5, "expected int, got 2.5"),
        ("net.size", True, "expected int, got True"), ("net.size", "many", "expected int, got 'many'"),
        ("net.rate", float("nan"), "expected float, got nan"), ("net.drop", 1.0, "must be in [0, 1), got 1.0"),
        ("net.part", 1.5, "must be in [0, 1], got 1.5"), ("net.norm", 3, "must be one of 1, 2, got 3"),
        ("net.deep", [4, 0], "element 0 must be at least 1, got (4, 0)"), ("net.on", 1, "expected bool, got 1"),
        ("net.deep", ["x"], "expected tuple[int, ...], got ['x']"), ("net.days", -1, "must be positive, got -1.0"),
        ("net.names", ["x", "x"], "has a duplicate, got ('x', 'x')"),
        ("nett.size", 1, "unknown section 'nett'; known: net"),
        ("net.sise", 1, "unknown field 'sise'; known: size, rate, drop, part, norm, deep, names, days, on"),
    ],
)  # fmt: skip
def test_what_is_wrong_comes_with_source_and_field(key, value, wrong):
    with pytest.raises(ConfigError) as error:
        change(key, value)
    assert str(error.value) == f"test: {key}: {wrong}"


def test_assignments():
    assert options.parse_assignment("a.b=[2, 4]") == ("a.b", [2, 4])
    assert options.parse_assignment(" a.b = null") == ("a.b", None)
    assert options.parse_assignment("a.b=x=y") == ("a.b", "x=y")
    for text, wrong in [
        ("a.b", "expected section.field=value"),
        ("a=1", "expected"),
        ("a.b=[", "not valid YAML"),
        ("a.b=2023-02-30", "not valid YAML"),
        ("a.b=0x_", "not valid YAML"),
    ]:
        with pytest.raises(ConfigError, match=wrong):
            options.parse_assignment(text)


def test_files_are_yaml_or_json(tmp_path):
    file = tmp_path / "c.yaml"
    with pytest.raises(ConfigError, match=f"{file}: No such file"):
        options.read_overrides(str(file))
    for good, read in [
        ("net:\n  size: 3\n  deep: [1]\n", {"net.size": 3, "net.deep": [1]}),
        ("{a: {b: 1}}", {"a.b": 1}),
    ]:
        file.write_text(good)
        assert options.read_overrides(str(file)) == read
    for bad, wrong in [
        (b"", ": expected a mapping of sections to mappings of fields"),
        (b"net: 3", ": net: expected a mapping of fields, got 3"),
        (b"\xff", ": not UTF-8"),
        (b"net:\n  deep: [1,\n  size: 2\n", ":4: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        (b"net:\n\tsize: 2\n", ":2: not valid YAML: found character '\\t' that cannot start any token"),
        (b"net: \x00", ": not valid YAML: unacceptable character #x0000: special characters are not allowed"),
        (b"[" * 3000, ": not valid YAML: nested too deeply"),
        (b"net: {size: 1}\nother: {}\nnet: {rate: 2}\n", ":3: not valid YAML: 'net' occurs twice"),
        (b"net:\n  size: 1\n  size: 2\n", ":3: not valid YAML: 'size' occurs twice"),
    ]:
        file.write_bytes(bad)
        with pytest.raises(ConfigError) as error:
            options.read_overrides(str(file))
        assert str(error.value) == f"{file}{wrong}"


def test_fingerprint_is_that_of_canonical_json():
    """By sha256sum of {"a":"é","b":1}."""
    assert options.fingerprint({"b": 1, "a": "é"}) == "aa58fba8483623be"


def test_figures_on_a_line():
    assert options.readable({"auc": 0.51239, "mrr": None, "n": 12345}) == "auc 0.5124, mrr undefined, n 12,345"
