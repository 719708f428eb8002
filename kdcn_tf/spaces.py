"""Search spaces: which hyperparameters `kdcn tune` searches for a model, and between what, as data.

A name is a `section.field` of `kdcn_tf.config`, whose checks every value has to pass.
"""

import itertools
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdcn_tf import contestants, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError

TPE, GRID = "tpe", "grid"
"""Samplers: Optuna's tree-structured Parzen estimator, and every combination."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; drawn by their logarithm if `log`."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choices:
    """Values to choose from."""

    values: tuple[Any, ...]


Space = Mapping[str, Range | Choices]

_NETWORK: Space = {
    "finetune.learning_rate": Range(1e-4, 1e-2, log=True),
    "finetune.batch_size": Choices((128, 256, 512, 1024)),
    "finetune.l2": Choices((0.0, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3)),
    "kdcn.unknown_share": Range(0.0, 0.5),
    "kdcn.deep_units": Choices(((64,), (128,), (128, 64), (256, 128), (256, 256), (512, 512), (256, 128, 64))),
    "kdcn.dropout": Range(0.0, 0.6),
}
_CROSSED: Space = {
    **_NETWORK,
    "kdcn.cross": Choices(("vector", "matrix", "low_rank")),
    "kdcn.cross_layers": Range(1, 6),
}
_KNOWING: Space = {
    **_CROSSED,
    "kdcn.knowledge_scale": Range(0.01, 1.0, log=True),
    "kdcn.knowledge_dropout": Range(0.0, 0.6),
}
_PRETRAINED: Space = {
    **_KNOWING,
    "finetune.entity_learning_rate": Range(1e-5, 1e-2, log=True),
    "kdcn.standardize_entities": Choices((False, True)),
}
_GBDT: Space = {
    "gbdt.leaves": Range(7, 255, log=True),
    "gbdt.learning_rate": Range(0.01, 0.2, log=True),
    "gbdt.min_leaf_rows": Range(5, 500, log=True),
    "gbdt.feature_fraction": Range(0.2, 1.0),
    "gbdt.bagging_fraction": Range(0.4, 1.0),
    "gbdt.l2": Range(0.1, 100.0, log=True),
    "gbdt.smoothing": Range(1.0, 200.0, log=True),
}
# A model per strength, so that the table shows them all; `lr.strengths` as it stands chooses the best by itself.
_LR: Space = {"lr.strengths": Choices(((0.001,), (0.003,), (0.01,), (0.03,), (0.1,), (0.3,), (1.0,), (3.0,), (10.0,)))}

_DEEP_GRID: Space = {
    "kdcn.deep_units": Choices(tuple((size,) * layers for layers in (1, 2, 3) for size in (128, 256, 512))),
}
_PAPER_GRID: Space = {**_DEEP_GRID, "kdcn.cross_layers": Choices((2, 4, 6))}
_GBDT_GRID: Space = {
    "gbdt.leaves": Choices((15, 31, 63)),
    "gbdt.learning_rate": Choices((0.02, 0.05, 0.1)),
    "gbdt.min_leaf_rows": Choices((20, 50, 200)),
}

SPACES: dict[str, dict[str, Space]] = {
    TPE: {
        **dict.fromkeys(("kdcn", "kdcn_no_user_state", "kdcn_no_dialogue"), _PRETRAINED),
        "kdcn_no_pretraining": _KNOWING,
        "dcn": _CROSSED,
        **dict.fromkeys(("wide_deep", "dnn"), _NETWORK),
        "gbdt": _GBDT,
        "lr": _LR,
    },
    # The paper's IV-B searches layers and their sizes; heads and widths stay as they are.
    GRID: {
        **dict.fromkeys(("kdcn", "kdcn_no_pretraining", "kdcn_no_user_state", "kdcn_no_dialogue", "dcn"), _PAPER_GRID),
        **dict.fromkeys(("wide_deep", "dnn"), _DEEP_GRID),
        "gbdt": _GBDT_GRID,
        "lr": _LR,
    },
}
"""Sampler -> model -> what is searched, where the user gives no space."""


def read(path: str) -> dict[str, Any]:
    """A space as it stands in a file: `section.field` -> {low, high, log} or {choices}.

    Raises:
        ConfigError: naming the file, and the line or field.
    """
    found = options.read_mapping(path, "section.field to {low, high, log} or {choices}")
    if not found:
        raise ConfigError(f"{path}: names no field to search")
    return found


def parsed(raw: Mapping[str, Any], base: Config, model: str, source: str) -> Space:
    """The space that `raw` describes, checked as `checked` does.

    Args:
        raw: from `read`.
        base: configuration of what isn't searched.
        model: name of a contestant.
        source: the file, for errors.

    Raises:
        ConfigError: naming source and field.
    """
    return checked({key: _domain(key, body, source) for key, body in raw.items()}, base, model, source)


def _domain(key: str, body: Any, source: str) -> Range | Choices:
    where = f"{source}: {key}"
    keys = set(body) if isinstance(body, dict) else set()
    if keys == {"choices"}:
        values = body["choices"]
        if not isinstance(values, list) or not values:
            raise ConfigError(f"{where}: choices: expected a list of values, got {values!r}")
        return Choices(tuple(values))
    if not {"low", "high"} <= keys <= {"low", "high", "log"}:
        raise ConfigError(f"{where}: expected {{low, high, log}} or {{choices}}, got {body!r}")
    if not isinstance(body.get("log", False), bool):
        raise ConfigError(f"{where}: log: expected true or false, got {body['log']!r}")
    return Range(body["low"], body["high"], body.get("log", False))


def checked(space: Space, base: Config, model: str, source: str) -> Space:
    """The space with its values in their fields' types.

    Raises:
        ConfigError: a field is unknown, isn't read by the model or is fixed by it, or doesn't take one of the values.
    """
    return {key: _typed(key, domain, base, model, source) for key, domain in space.items()}


def _typed(key: str, domain: Range | Choices, base: Config, model: str, source: str) -> Range | Choices:
    def value(given: Any) -> Any:
        return options.value_of(options.apply_overrides(base, ({key: given}, source)), key)

    if isinstance(domain, Choices):
        choices = Choices(tuple(map(value, domain.values)))
        if len(set(choices.values)) < len(choices.values):
            raise ConfigError(f"{source}: {key}: a choice occurs twice")
        found: Range | Choices = choices
    else:
        found = Range(value(domain.low), value(domain.high), domain.log)
        _require_range(found, f"{source}: {key}")
    _require_searchable(key, model, source)
    return found


def _require_range(found: Range, where: str) -> None:
    if any(isinstance(end, bool) or not isinstance(end, (int, float)) for end in (found.low, found.high)):
        raise ConfigError(f"{where}: isn't a number, so it needs choices")
    if found.low >= found.high:
        raise ConfigError(f"{where}: low must be less than high, got {found.low} and {found.high}")
    if found.log and found.low <= 0:
        raise ConfigError(f"{where}: low must be positive where log is true, got {found.low}")


def _require_searchable(key: str, model: str, source: str) -> None:
    entry = contestants.contestant(model)
    sections = contestants.SECTIONS[entry.kind]
    if key.split(".")[0] not in sections:
        raise ConfigError(f"{source}: {key}: model {model!r} reads sections {', '.join(sections)} only")
    if key in entry.differences:
        raise ConfigError(f"{source}: {key}: model {model!r} has it fixed to {entry.differences[key]!r}")
    if key == "finetune.seed":
        raise ConfigError(f"{source}: {key}: a seed isn't searched; --seeds sets how many are averaged")


def contains(space: Space, values: Mapping[str, Any]) -> bool:
    """Whether every field's value lies in its part of the space."""
    return all(
        values[key] in domain.values if isinstance(domain, Choices) else domain.low <= values[key] <= domain.high
        for key, domain in space.items()
    )


def points(space: Space, seed: int, source: str) -> list[dict[str, Any]]:
    """Every combination, in an order that the seed decides, so that a part of the grid is spread over it.

    Raises:
        ConfigError: a field has a range.
    """
    for key, domain in space.items():
        if isinstance(domain, Range):
            raise ConfigError(f"{source}: {key}: a grid needs choices, not a range")
    sets = [domain.values for domain in space.values() if isinstance(domain, Choices)]
    found = [dict(zip(space, values, strict=True)) for values in itertools.product(*sets)]
    random.Random(seed).shuffle(found)
    return found


def described(space: Space) -> dict[str, str]:
    """`section.field` -> its part of the space as a line of JSON."""
    return {
        key: json.dumps({"choices": domain.values} if isinstance(domain, Choices) else vars(domain))
        for key, domain in space.items()
    }
