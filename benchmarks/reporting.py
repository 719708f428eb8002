"""What a benchmark prints and writes: figures beside their bars, the machine, the versions."""

import os
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("kdcn-tf", "tensorflow", "tf-keras", "numpy")


def machine() -> dict[str, Any]:
    """What this machine is, and how busy it was before the benchmark."""
    memory = re.search(r"MemTotal:\s+(\d+)", _read("/proc/meminfo"))
    model = re.search(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": int(memory.group(1)) * 1024 if memory else None,
        "system": platform.platform(),
        "load_before": os.getloadavg()[0],
    }


def free_bytes() -> int:
    """Memory that new programs can have."""
    found = re.search(r"MemAvailable:\s+(\d+)", _read("/proc/meminfo"))
    return int(found.group(1)) * 1024 if found else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def table(figures: Mapping[str, float | None], bars: Mapping[str, tuple[str, float]]) -> str:
    """Figures beside their bars (">=" or "<=", value), and whether each is met."""
    width = max((len(name) for name in bars), default=0)
    lines = []
    for name, (relation, bar) in bars.items():
        value = figures.get(name)
        if name not in figures:
            lines.append(f"{name:{width}}  not measured")
            continue
        if value is None:
            lines.append(f"{name:{width}}  FAILED, see details")
            continue
        met = value >= bar if relation == ">=" else value <= bar
        lines.append(f"{name:{width}}  {value:>12,.4g}  bar {relation} {bar:<8,g} {'met' if met else 'MISSED'}")
    return "\n".join(lines)
