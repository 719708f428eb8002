"""Bytes that build-ckg hands from step to step, per distinct triple (docs/pipelines.md).

    python benchmarks/shuffled_bytes.py --raw=RAW --output=CKG [any flag of kdcn build-ckg]

Runs the job in this process and adds up the sizes of all packed tables, by the step that packs them.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipelines import batches, build_ckg

_packed: Counter[str] = Counter()
_pack = batches.pack


def _counted(rows: pa.Table) -> pa.Buffer:
    packed = _pack(rows)
    step = sys._getframe(2)  # who called Exchange.pack
    _packed[f"{Path(step.f_code.co_filename).stem}: {', '.join(rows.column_names)}"] += packed.size
    return packed


def main(argv: Sequence[str]) -> None:
    batches.pack = _counted
    try:
        build_ckg.main([*argv, "--runner=FnApiRunner"])
    except SystemExit as ended:
        if ended.code:
            raise
    output = next(argument.split("=", 1)[1] for argument in argv if argument.startswith("--output="))
    triples = json.loads((Path(output) / "manifest.json").read_text())["counts"]["used.triples"]
    for step, size in _packed.most_common():
        print(f"{size / triples:8.2f} bytes per triple  {step}")
    print(f"{sum(_packed.values()) / triples:8.2f} bytes per triple in all, {triples:,} triples")


if __name__ == "__main__":
    main(sys.argv[1:])
