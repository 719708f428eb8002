"""The click models that are compared, as data: what each is called, and how its configuration differs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kdcn_tf import options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError

NETWORK, GBDT, LR = "network", "gbdt", "lr"
"""What trains a contestant: `training.finetune`, LightGBM, scikit-learn."""


SECTIONS: Mapping[str, tuple[str, ...]] = {NETWORK: ("finetune", "kdcn", "trial"), GBDT: ("gbdt",), LR: ("lr",)}
"""Kind of contestant -> the sections of the configuration that are about it."""


@dataclass(frozen=True)
class Contestant:
    """Attributes:
    title: for tables.
    differences: `section.field` -> value, from the configuration of the comparison.
    kind: NETWORK, GBDT or LR.
    """

    title: str
    differences: Mapping[str, Any] = field(default_factory=dict)
    kind: str = NETWORK


def _without_knowledge(network: str) -> dict[str, Any]:
    """A network of its own embeddings: their size has nothing to do with that of exported vectors."""
    return {"kdcn.network": network, "kdcn.pretrained": False, "kdcn.dim": 64}


CONTESTANTS: dict[str, Contestant] = {
    "kdcn": Contestant("K-DCN"),
    "kdcn_no_pretraining": Contestant("K-DCN without pretraining", {"kdcn.pretrained": False}),
    "kdcn_no_user_state": Contestant("K-DCN without user state", {"kdcn.user_state": False}),
    "kdcn_no_dialogue": Contestant("K-DCN without dialogue interaction", {"kdcn.dialogue": False}),
    "dcn": Contestant("DCN", _without_knowledge("dcn")),
    "wide_deep": Contestant("Wide & Deep", _without_knowledge("wide_deep")),
    "dnn": Contestant("DNN", _without_knowledge("dnn")),
    "gbdt": Contestant("GBDT (LightGBM)", kind=GBDT),
    "lr": Contestant("Logistic regression", kind=LR),
}
"""The paper's Table II and K-DCN's own parts, by the name that flags and files use."""

ABLATIONS: dict[str, Contestant] = {
    "kdcn_no_similarities": Contestant("K-DCN without similarities", {"kdcn.similarities": False}),
    "kdcn_no_candidate": Contestant("K-DCN without candidate and user", {"kdcn.candidate": False}),
    "kdcn_no_list_sizes": Contestant("K-DCN without list sizes", {"kdcn.list_sizes": False}),
    "kdcn_whole_dialogue": Contestant("K-DCN with d side by side, not pooled", {"kdcn.pool_dialogue": False}),
    "kdcn_unscaled_attention": Contestant("K-DCN with unscaled attention", {"kdcn.scale_attention": False}),
    "kdcn_raw_vectors": Contestant("K-DCN with vectors as exported", {"kdcn.standardize_entities": False}),
    "kdcn_normalized": Contestant(
        "K-DCN with each vector normalised, not the columns",
        {"kdcn.standardize_entities": False, "kdcn.normalize_entities": True},
    ),
    "kdcn_frozen": Contestant("K-DCN with a frozen entity table", {"kdcn.freeze_entities": True}),
    "kdcn_all_known": Contestant("K-DCN without unknown ones in training", {"kdcn.unknown_share": 0.0}),
    "kdcn_loud_knowledge": Contestant("K-DCN with knowledge at full scale", {"kdcn.knowledge_scale": 1.0}),
    "kdcn_no_knowledge_dropout": Contestant("K-DCN without knowledge dropout", {"kdcn.knowledge_dropout": 0.0}),
    "kdcn_no_dropout": Contestant("K-DCN without dropout in deep layers", {"kdcn.dropout": 0.0}),
    "kdcn_penalty": Contestant("K-DCN with an L2 penalty", {"finetune.l2": 3e-4}),
    "kdcn_no_average": Contestant("K-DCN without running means of weights", {"finetune.average": 0.0}),
    "kdcn_paper_sizes": Contestant(
        "K-DCN with the paper's layers", {"kdcn.cross_layers": 4, "kdcn.deep_units": (512, 512)}
    ),
}
"""K-DCN with one of its own choices undone: what the paper leaves out, or decides otherwise."""

KNOWN: dict[str, Contestant] = CONTESTANTS | ABLATIONS


def contestant(name: str) -> Contestant:
    """Raises:
    ConfigError: unknown name; the known ones are listed.
    """
    if name not in KNOWN:
        raise ConfigError(f"model {name!r}: unknown; known: {', '.join(KNOWN)}")
    return KNOWN[name]


def ablations(config: Config) -> list[str]:
    """Names of the ablations that change something of the configuration; the others would be K-DCN once more."""
    return [name for name in ABLATIONS if configured(name, config) != config]


def settings(name: str, config: Config) -> dict[str, Any]:
    """All that a contestant reads of its configuration; whatever else changes, it is the same contestant.

    Raises:
        ConfigError: unknown name.
    """
    kind, whole = contestant(name).kind, options.to_dict(config)
    found = {section: whole[section] for section in SECTIONS[kind]}
    return found if kind == NETWORK else {**found, "finetune": {"seed": config.finetune.seed}}


def configured(name: str, config: Config) -> Config:
    """The configuration with the contestant's differences.

    Raises:
        ConfigError: unknown name, or a difference that doesn't fit the rest.
    """
    return options.apply_overrides(config, (contestant(name).differences, f"model {name}"))
