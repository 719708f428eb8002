"""Machinery of the configuration: fields with help and a check, overrides, files.

`kdcn_tf.config` holds the sections; this module knows none of them.
"""

import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from kdcn_tf.errors import ConfigError

Check = Callable[[Any], str | None]  # returns what is wrong, or None
Sourced = tuple[Mapping[str, Any], str]  # `section.field` -> value, and where the values come from
T = TypeVar("T")


def option(default: Any, help: str, check: Check | None = None) -> Any:
    """A dataclass field with a help text and an optional check of its value."""
    return dataclasses.field(default=default, metadata={"help": help, "check": check})


def at_least(low: float) -> Check:
    return lambda v: None if v is None or v >= low else f"must be at least {low}"


def at_most(high: float) -> Check:
    return lambda v: None if v is None or v <= high else f"must be at most {high}"


def positive(value: Any) -> str | None:
    return None if value is None or value > 0 else "must be positive"


def fraction(value: float) -> str | None:
    return None if 0 <= value < 1 else "must be in [0, 1)"


def share(value: float) -> str | None:
    return None if 0 <= value <= 1 else "must be in [0, 1]"


def one_of(*values: str | int) -> Check:
    return lambda v: None if v in values else f"must be one of {', '.join(map(str, values))}"


def no_duplicates(values: tuple) -> str | None:
    return None if len(set(values)) == len(values) else "has a duplicate"


def not_empty(values: tuple) -> str | None:
    return None if values else "must not be empty"


def identifier(value: str) -> str | None:
    """What is left alone where it becomes part of the name of a file, a feature or a served input."""
    return None if re.fullmatch(r"[A-Za-z0-9_]+", value) else "must consist of the letters a-z, digits and _"


def seed_range(value: int) -> str | None:
    return None if 0 <= value < 2**31 else f"must be in [0, {2**31})"


def seconds(value: float | None) -> str | None:
    """Seconds since 1970; what is larger than the year 5138 is milliseconds."""
    return None if value is None or abs(value) <= 1e11 else "must be in seconds since 1970"


def all_of(*checks: Check) -> Check:
    """What the first of `checks` finds wrong."""
    return lambda v: next(filter(None, (check(v) for check in checks)), None)


def each(check: Check) -> Check:
    """Applies `check` to every element of a tuple."""

    def run(values: tuple) -> str | None:
        for value in values:
            wrong = check(value)
            if wrong:
                return f"element {value!r} {wrong}"
        return None

    return run


class Section:
    """Base of a frozen dataclass of options: checks types and values when built."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not _fits(value, hints[field.name]):
                raise ConfigError(f"{field.name}: expected {_type_name(hints[field.name])}, got {_shown(value)}")
            check = field.metadata.get("check")
            wrong = check(value) if check else None
            if wrong:
                raise ConfigError(f"{field.name}: {wrong}, got {_shown(value)}")


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, arg) for arg in typing.get_args(hint))
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, typing.get_args(hint)[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, hint)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint)


def _coerce(value: Any, hint: Any) -> Any:
    """YAML's value as the field's type: lists become tuples, 1e-4 (a YAML string) a float."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return _coerce(value, next(a for a in typing.get_args(hint) if a is not type(None)))
    if origin is tuple:
        items = value if isinstance(value, (list, tuple)) else [value]
        return tuple(_coerce(v, typing.get_args(hint)[0]) for v in items)
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, str):
        return int(float(value)) if float(value).is_integer() else value
    return value


def apply_overrides(config: T, *sources: Sourced) -> T:
    """Returns `config` with `section.field` values replaced; a later source wins.

    What fits together is judged at the end only, so that one source may mend another.

    Args:
        config: a dataclass whose fields are `Section`s.
        sources: values, and where they come from, named in errors.

    Raises:
        ConfigError: unknown section or field (known names are listed), wrong type or value.
    """
    values: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    for overrides, source in sources:
        for key, value in overrides.items():
            section, field = _place(config, key, source)
            hint = typing.get_type_hints(type(getattr(config, section)))[field]
            origins[key] = source
            try:
                values.setdefault(section, {})[field] = _coerce(value, hint)
            except (TypeError, ValueError, OverflowError):
                raise ConfigError(f"{source}: {key}: expected {_type_name(hint)}, got {_shown(value)}") from None
    sections = {}
    for name, fields in values.items():
        try:
            sections[name] = dataclasses.replace(getattr(config, name), **fields)
        except ConfigError as error:
            raise _with_origin(f"{name}.{error}", origins, sources) from None
    try:
        return dataclasses.replace(config, **sections)  # type: ignore[type-var]
    except ConfigError as error:
        raise _with_origin(str(error), origins, sources) from None


def _with_origin(message: str, origins: Mapping[str, str], sources: Sequence[Sourced]) -> ConfigError:
    """Puts the source of the field that `message` begins with before it; else the last source that says anything."""
    last = next(source for values, source in reversed(sources) if values)
    return ConfigError(f"{origins.get(message.split(':')[0], last)}: {message}")


def _place(config: Any, key: str, source: str) -> tuple[str, str]:
    section, _, field = key.partition(".")
    _member(_member(config, section, f"{source}: {key}: unknown section"), field, f"{source}: {key}: unknown field")
    return section, field


def _member(owner: Any, name: str, wrong: str) -> Any:
    names = [f.name for f in dataclasses.fields(owner)]
    if name not in names:
        raise ConfigError(f"{wrong} {name!r}; known: {', '.join(names)}")
    return getattr(owner, name)


def parse_assignment(text: str) -> tuple[str, Any]:
    """`section.field=value`, the value in YAML (so `[2, 4]`, `null` and `1e-4` work)."""
    key, equals, value = text.partition("=")
    if not equals or "." not in key:
        raise ConfigError(f"--set {text}: expected section.field=value")
    try:
        return key.strip(), _load_yaml(value)
    except YamlError:
        raise ConfigError(f"--set {text}: the value is not valid YAML") from None


class YamlError(ValueError):
    """What is wrong with a YAML text, on one line, and in which line."""

    def __init__(self, problem: str, line: int | None):
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} occurs twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _load_yaml(text: str) -> Any:
    """Value of a YAML text.

    Raises:
        YamlError: what is wrong, and the number of the line where it is known.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(error.problem or "wrong", mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0], None) from None
    except RecursionError:
        raise YamlError("nested too deeply", None) from None
    except ValueError as error:  # of what looks like a date or a number, and is none
        raise YamlError(str(error), None) from None


def read_mapping(path: str, what: str) -> dict[str, Any]:
    """Reads a YAML or JSON file that is a mapping of `what`, as the error says where it isn't.

    Raises:
        ConfigError: it can't be read or is something else; naming file and, where it is known, line.
    """
    try:
        data = _load_yaml(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8") from None
    except YamlError as error:
        raise ConfigError(f"{path}{f':{error.line}' if error.line else ''}: not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected a mapping of {what}")
    return data


def read_overrides(path: str) -> dict[str, Any]:
    """Reads a YAML or JSON file of sections into `section.field` -> value."""
    data = read_mapping(path, "sections to mappings of fields")
    for name, body in data.items():
        if not isinstance(body, dict):
            raise ConfigError(f"{path}: {name}: expected a mapping of fields, got {_shown(body)}")
    return {f"{name}.{key}": value for name, body in data.items() for key, value in body.items()}


def value_of(config: Any, key: str) -> Any:
    """Value of `section.field`, as it is kept: lists are tuples."""
    section, _, field = key.partition(".")
    return getattr(getattr(config, section), field)


def differences(config: T, base: T) -> dict[str, Any]:
    """`section.field` -> value of `config`, of those in which it differs from `base`."""
    keys = (f"{section.name}.{field.name}" for section, field in _fields(config))
    return {key: value_of(config, key) for key in keys if value_of(config, key) != value_of(base, key)}


def nested(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`section.field` -> value as sections of fields, the shape of a configuration file; tuples become lists."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, field = key.partition(".")
        sections.setdefault(section, {})[field] = list(value) if isinstance(value, tuple) else value
    return sections


def to_dict(config: Any) -> dict[str, Any]:
    """The configuration as plain lists, dicts and scalars, ready for YAML or JSON."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def to_yaml(config: Any) -> str:
    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)


def fingerprint(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of `value`'s canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def describe(config: Any) -> str:
    """One line per option with its value and help, for `--help`."""
    lines = []
    for section, field in _fields(config):
        name = f"{section.name}.{field.name}"
        lines.append(f"  {name}={value_of(config, name)!r}\n      {field.metadata['help']}")
    return "\n".join(lines)


def _fields(config: Any) -> Iterator[tuple[dataclasses.Field, dataclasses.Field]]:
    """(section, field) of every option."""
    for section in dataclasses.fields(config):
        for field in dataclasses.fields(getattr(config, section.name)):
            yield section, field


def readable(figures: Mapping[str, Any]) -> str:
    """Named numbers on one line; None is 'undefined', figures inside of figures are left out."""
    flat = {name: value for name, value in figures.items() if not isinstance(value, Mapping)}
    return ", ".join(f"{name} {_figure(value)}" for name, value in flat.items())


def _figure(value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
