"""PyTorch-BigGraph, in its own environment: run_torchbiggraph.py ORDER, a JSON file (see `benchmarks/pretrain.py`).

Translations, L2 distance and dynamic relations, as its documentation advises for graphs of many relations: a
relation has a vector for each side. Two "Hogwild!" processes train. Half of the negatives replace the head, half
the tail; they are shared in a chunk. Its own time of training is counted: reading and writing of its files is not.
"""

import json
import logging
import re
import sys
from pathlib import Path

import h5py
import numpy as np
from torchbiggraph.config import ConfigSchema
from torchbiggraph.model import make_model
from torchbiggraph.train import train_and_report_stats
from torchbiggraph.types import Side
from torchbiggraph.util import SubprocessInitializer
from turns import Turns


class Clock(logging.Handler):
    """Reads off its log how long it trained."""

    seconds = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"Processed \d+ edges in ([\d.]+) s", record.getMessage())
        if found:
            self.seconds = float(found.group(1))


def write_graph(folder: Path, train: np.ndarray, order: dict) -> None:
    (folder / "edges").mkdir(parents=True)
    (folder / "entity_count_all_0.txt").write_text(str(order["entities"]))
    (folder / "dynamic_rel_count.txt").write_text(str(order["relations"]))
    with h5py.File(folder / "edges" / "edges_0_0.h5", "w") as file:
        file.attrs["format_version"] = 1
        for name, column in zip(("lhs", "rel", "rhs"), train.T, strict=True):
            file.create_dataset(name, data=column)


def main(order: dict) -> None:
    folder, train = Path(order["scratch"]), np.load(order["triples"])
    write_graph(folder, train, order)
    config = ConfigSchema.from_dict(
        {
            "entities": {"all": {"num_partitions": 1}},
            "relations": [{"name": "all", "lhs": "all", "rhs": "all", "operator": "translation"}],
            "dynamic_relations": True, "dimension": order["dim"], "global_emb": False, "comparator": "l2",
            "loss_fn": order["loss"], "lr": order["learning_rate"], "num_epochs": 1_000_000,
            "batch_size": order["batch_size"], "workers": order["threads"], "eval_fraction": 0.0, "hogwild_delay": 0.0,
            "num_batch_negs": order["batch_negatives"],
            "num_uniform_negs": order["negatives"] // 2 - order["batch_negatives"],
            "entity_path": str(folder), "edge_paths": [str(folder / "edges")],
            "checkpoint_path": str(folder / "checkpoint"),
        }
    )  # fmt: skip
    logger, clock = logging.getLogger("torchbiggraph"), Clock()
    logger.setLevel(logging.INFO)
    logger.addHandler(clock)
    model, turns = make_model(config), Turns(order["slice_s"])
    for _ in train_and_report_stats(config, model, subprocess_init=SubprocessInitializer()):
        if not turns.trained(len(train), clock.seconds):
            break
    np.savez(
        order["vectors"], entities=model.get_embeddings("all", Side.LHS).detach().numpy(),
        relations=model.lhs_operators[0].translations.detach().numpy(),
        head_relations=-model.rhs_operators[0].translations.detach().numpy(), norm=2,
    )  # fmt: skip


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
