"""Libraries of the extra "reports", imported when they are needed."""

import importlib
from types import ModuleType

from kdcn_tf.errors import ConfigError

_NEEDED = ("jinja2", "matplotlib", "tensorflow_metadata.proto.v0.statistics_pb2")


def load(name: str) -> ModuleType:
    """A module of one of these libraries.

    Raises:
        ConfigError: it isn't installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"reports need {name.split('.')[0]} ({error}): pip install 'kdcn-tf[reports]'") from None


def check() -> None:
    """Checks that a report can be written, before the work that it is about is done.

    Raises:
        ConfigError: a library isn't installed.
    """
    for name in _NEEDED:
        load(name)
