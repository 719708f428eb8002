"""A library that isn't installed."""

import sys

import pytest


def hide(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Lets imports of a library fail until the test ends, whatever imported it before."""
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
