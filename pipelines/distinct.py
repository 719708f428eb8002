"""Equal rows and equal triples, brought together and counted. Pure, no Beam."""

import numpy as np
import pyarrow as pa

from pipelines import batches, hashing
from pipelines.batches import column
from pipelines.hashing import Hashes
from pipelines.statements import DIGEST, HEAD, KEY, PATTERN, TAIL

TIMES, WEIGHT = "times", "weight"
"""How many equal records a row stands for; how many records state a triple."""


def merged_records(rows: pa.Table, by: tuple[str, ...]) -> pa.Table:
    """The first row, in order of KEY and DIGEST, of those that agree `by` some columns, with their TIMES added up."""
    order = np.lexsort((column(rows, DIGEST), column(rows, KEY)))
    starts = np.flatnonzero(batches.first_of_groups(*(column(rows, name)[order] for name in by)))
    times = np.add.reduceat(column(rows, TIMES)[order], starts)
    chosen = rows.drop_columns([TIMES]).take(order[starts])
    return chosen.append_column(TIMES, pa.array(times, pa.int64()))


def hash_of(triples: pa.Table) -> Hashes:
    """Hash of each triple."""
    return hashing.combined(column(triples, HEAD), column(triples, PATTERN).astype(np.uint64), column(triples, TAIL))


def merged_triples(triples: pa.Table) -> pa.Table:
    """Distinct triples in the order of their hash, with the WEIGHT of equal ones added up."""
    names = (HEAD, PATTERN, TAIL)
    order, first = batches.sorted_groups(hash_of(triples), *(column(triples, name) for name in names))
    starts = np.flatnonzero(first)
    chosen = order[starts]
    weights = column(triples, WEIGHT)[order]
    added = np.add.reduceat(weights, starts) if len(starts) else weights
    return batches.table(**{name: column(triples, name)[chosen] for name in names}, **{WEIGHT: added})
