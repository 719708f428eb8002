"""Shared by all tests: Keras 2 before TensorFlow, threads for the cores there are, the public data."""

import os
import signal
from pathlib import Path

import pytest

import kdcn_tf  # noqa: F401, selects Keras 2, so it stands before any test's TensorFlow

ROOT = Path(__file__).parents[1]

# Read by TensorFlow when it starts, also in the cluster processes that tests start.
CORES = str(len(os.sched_getaffinity(0)))
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", CORES)
os.environ.setdefault("TF_NUM_INTEROP_THREADS", CORES)


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Folder with the public data sets (README, Real data); skips where it isn't there."""
    named = os.environ.get("KDCN_DATA")
    path = Path(named) if named else ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"needs the public data sets: set KDCN_DATA to their folder ({path} is not there)")
    return path


@pytest.fixture
def hears_interrupts():
    """A shell that starts tests in the background makes them ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
