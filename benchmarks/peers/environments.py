"""Environments of the peers: each in a folder of its own, made once and used again."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

PACKAGES: dict[str, list[list[str]]] = {
    "pykeen": [["torch==2.13.0", "pykeen==1.11.1"]],
    "deepctr": [["deepctr==0.9.4", "tensorflow==2.16.2", "tf-keras==2.16.0"]],
    "deepctr_torch": [["torch==2.13.0", "deepctr-torch==0.3.0", "requests"]],
    "ampligraph": [["ampligraph==2.2.0", "setuptools<81"]],
    # Its setup is of a time before isolated builds, and would otherwise take whatever torch is newest.
    "torchbiggraph": [
        ["torch==2.13.0", "setuptools<81", "wheel", "numpy<3", "attrs", "h5py", "tqdm"],
        ["--no-build-isolation", "--no-deps", "torchbiggraph==1.0.0"],
    ],
}
"""What pip installs, in this order. Where a machine offers a CPU build of torch, pip prefers it."""


class InstallError(Exception):
    """A peer can't be installed on this machine."""


def python_of(folder: Path, peer: str) -> Path:
    return folder / peer / "bin" / "python"


def install(folder: Path, peer: str) -> float:
    """Makes a peer's environment unless it is there already.

    Args:
        folder: of all environments.
        peer: one of `PACKAGES`.

    Returns:
        Seconds that it took.

    Raises:
        InstallError: with the end of pip's output.
    """
    home, wanted = folder / peer, json.dumps(PACKAGES[peer])
    mark = home / "installed.json"
    if mark.exists() and mark.read_text() == wanted:
        return 0.0
    began = time.monotonic()
    shutil.rmtree(home, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", str(home)])
    for packages in PACKAGES[peer]:
        _run([str(python_of(folder, peer)), "-m", "pip", "install", "--quiet", *packages])
    mark.write_text(wanted)
    return time.monotonic() - began


def versions(folder: Path, peer: str) -> dict[str, str]:
    """Versions of the packages that decide a peer's speed."""
    names = [*PACKAGES, "deepctr-torch", "torch", "tensorflow", "tf-keras", "numpy"]
    code = (
        "import json, sys\nfrom importlib import metadata\nfound = {}\nfor name in sys.argv[1:]:\n"
        "    try: found[name] = metadata.version(name)\n    except metadata.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    return json.loads(_run([str(python_of(folder, peer)), "-c", code, *names]))


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("WARNING")]
        raise InstallError(f"{' '.join(command[1:6])}: {' | '.join(lines[-3:])}")
    return done.stdout
