"""`kdcn train-ckg` in turns: run_kdcn.py ORDER, a JSON file (see `benchmarks/pretrain.py`).

The command itself trains, with the huge pages that `kdcn` asks for, alone or as a member of the cluster that
TF_CONFIG names; only the end of an epoch is hooked, to give the machine to the others, and the final evaluation, to
write the vectors instead.
"""

import json
import os
import sys

import numpy as np
from turns import Turns

from kdcn_tf.training import memory


def main(order: dict) -> None:
    if json.loads(os.environ.get("TF_CONFIG", '{"task": {"type": "chief"}}'))["task"]["type"] == "chief":
        hook(order)
    from kdcn_tf.cli import train_ckg

    sets = [word for assignment in order["assignments"] for word in ("--set", assignment)]
    train_ckg.main(["--ckg", order["ckg"], "--output", order["output"], *sets])


def hook(order: dict) -> None:
    from kdcn_tf.training.ledger import Ledger
    from kdcn_tf.training.pretrain import Pretraining

    turns, end_epoch = Turns(order["slice_s"]), Ledger.end_epoch

    def ended(ledger: Ledger, figures: dict) -> None:
        end_epoch(ledger, figures)
        if not turns.trained(order["triples_per_epoch"]):
            ledger.stop()

    def write_vectors(run: Pretraining, split: str, **_) -> dict:
        if split == "test" and order.get("vectors"):
            entities = np.concatenate(list(run.encoded(1, run.id_map.num_ids)))
            encoder = run.config.encoder
            relations = by_side(run.relations(), encoder.reciprocal)
            np.savez(order["vectors"], entities=entities, norm=encoder.norm, **relations)
        return {}

    Ledger.end_epoch, Pretraining.evaluate = ended, write_vectors  # type: ignore[method-assign]


def by_side(vectors: np.ndarray, reciprocal: bool) -> dict[str, np.ndarray]:
    """What is added to heads and, if heads are asked for by vectors of their own, what is taken from tails."""
    if not reciprocal:
        return {"relations": vectors}
    forward, backward = np.split(vectors, 2)
    return {"relations": forward, "head_relations": -backward}


if __name__ == "__main__":
    memory.restart_with_huge_pages()
    with open(sys.argv[1]) as file:
        main(json.load(file))
