"""Libraries of extras, imported when they are needed: a command that needs none runs without them."""

import importlib
from types import ModuleType

from kdcn_tf.errors import ConfigError

_NEEDED_BY = {"jinja2": "reports", "matplotlib": "reports", "tensorflow_metadata": "reports", "google": "reports",
              "scipy": "baselines", "optuna": "tuning"}  # fmt: skip
"""Library -> the extra of `setup.py` that brings it. Protobuf comes with everything, but not in every version."""

PLAIN_PAGES = ("jinja2",)
"""What a page without drawings needs."""

PAGES = (*PLAIN_PAGES, "matplotlib")
"""What a report as a page needs."""


def load(name: str, what: str = "reports need") -> ModuleType:
    """A module of one of these libraries; `what` begins the message where it is missing.

    Raises:
        ConfigError: it isn't installed; names the extra.
    """
    library = name.split(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{what} {library} ({error}): pip install 'kdcn-tf[{_NEEDED_BY[library]}]'") from None


def check(*names: str) -> None:
    """Checks that modules can be imported, before the work that a report is about is done.

    Raises:
        ConfigError: a library isn't installed.
    """
    for name in names:
        load(name)
