"""The programs that `benchmarks/pipelines.py` compares, and what their finished datasets say."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from kdcn_tf import manifest

ROOT = Path(__file__).parents[1]
SPLITS = ("train", "valid", "test")

MODES = {
    "2 workers": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
    "1 worker": ["--direct_running_mode=multi_processing", "--direct_num_workers=1"],
    "in process": ["--direct_running_mode=in_memory"],
}
"""Where the steps of a Beam job run."""

Command = Callable[[Path, Path], list[str]]
"""Raw logs and output directory -> what to run."""


def _kdcn(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kdcn_tf.cli.main", *arguments]


def build_ckg(mode: str) -> Command:
    return lambda raw, output: _kdcn("build-ckg", f"--raw={raw}", f"--output={output}", *MODES[mode])


def build_ctr(mode: str, graph: Path) -> Command:
    return lambda raw, output: _kdcn("build-ctr", f"--raw={raw}", f"--ckg={graph}", f"--output={output}", *MODES[mode])


def elementwise(mode: str) -> Command:
    program = [sys.executable, "-m", "benchmarks.elementwise.build"]
    return lambda raw, output: [*program, f"--raw={raw}", f"--output={output}", *MODES[mode]]


def polars(raw: Path, output: Path) -> list[str]:
    return [sys.executable, str(ROOT / "benchmarks" / "peers" / "polars_ckg.py"), str(raw), str(output)]


def counted(output: Path) -> dict[str, int]:
    """What a finished job says: records read, rows of the splits, entities of each type."""
    report = output / "counts.json"
    if report.exists():
        counts = json.loads(report.read_text())
        rows = {split: counts.get(f"rows.{split}", 0) for split in SPLITS}
        entities = {name.partition("/")[2]: n for name, n in counts.items() if name.startswith("rows.entities/")}
    else:
        body = json.loads((output / manifest.MANIFEST).read_text())
        counts, groups = body["counts"], body["files"]
        sizes = {name: sum(entry["count"] for entry in groups[name]) for name in groups}
        rows = {split: sizes.get(split, 0) for split in SPLITS}
        entities = {name.partition("/")[2]: n for name, n in sizes.items() if name.startswith("entities/")}
    records = sum(n for name, n in counts.items() if name.startswith("read.") and name != "read.triples")
    return {"records": records, "rows": sum(rows.values()), **{f"entities.{k}": n for k, n in sorted(entities.items())}}
