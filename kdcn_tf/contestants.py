"""The click models that are compared, as data: what each is called, and how its configuration differs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kdcn_tf import options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError

NETWORK, GBDT, LR = "network", "gbdt", "lr"
"""What trains a contestant: `training.finetune`, LightGBM, scikit-learn."""


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
    return {"kdcn.network": network, "kdcn.pretrained": False, "encoder.dim": 64}


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


def contestant(name: str) -> Contestant:
    """Raises:
    ConfigError: unknown name; the known ones are listed.
    """
    if name not in CONTESTANTS:
        raise ConfigError(f"model {name!r}: unknown; known: {', '.join(CONTESTANTS)}")
    return CONTESTANTS[name]


def configured(name: str, config: Config) -> Config:
    """The configuration with the contestant's differences.

    Raises:
        ConfigError: unknown name, or a difference that doesn't fit the rest.
    """
    return options.apply_overrides(config, (contestant(name).differences, f"model {name}"))
