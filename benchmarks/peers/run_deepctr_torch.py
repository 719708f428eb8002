"""DeepCTR-Torch's DCN, in its own environment: run_deepctr_torch.py ORDER, a JSON file (see `benchmarks/ctr.py`).

Its own loop, `fit`, on arrays in memory, without metrics and progress bars; each step of its optimizer is counted.
"""

import json
import sys

import numpy as np
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat, VarLenSparseFeat
from deepctr_torch.models import DCN
from turns import Turns


def columns_of(order: dict) -> list:
    """User and item, each list as its mean, the category levels, the statistics; tables shared as ours are."""

    def single(name: str, table: str, dim: int) -> SparseFeat:
        return SparseFeat(name, order["rows"][table], dim, embedding_name=table)

    columns = [single(name, table, order["dim"]) for name, table in order["singles"].items()]
    for name, (table, length) in order["lists"].items():
        columns.append(VarLenSparseFeat(single(name, table, order["dim"]), length, "mean"))
    for level in range(order["categories"]):
        columns.append(single(f"category_{level}", "category", order["category_dim"]))
    return [*columns, DenseFeat("statistics", order["statistics"])]


def main(order: dict) -> None:
    torch.set_num_threads(order["threads"])
    model = DCN(
        [], columns_of(order), cross_num=order["cross_layers"], cross_parameterization=order["cross"],
        dnn_hidden_units=tuple(order["deep_units"]), l2_reg_linear=0, l2_reg_embedding=0, l2_reg_cross=0, l2_reg_dnn=0,
        seed=order["seed"],
    )  # fmt: skip
    adam = torch.optim.Adam(model.parameters(), lr=order["learning_rate"], fused=True)
    model.compile(adam, "binary_crossentropy")
    turns, step = Turns(order["slice_s"], "examples"), adam.step

    def counted(*arguments, **options):
        step(*arguments, **options)
        turns.trained(order["batch_size"])

    model.optim.step = counted
    arrays = dict(np.load(order["train"]))
    levels = {f"category_{level}": arrays["categories"][:, level] for level in range(order["categories"])}
    inputs = {name: arrays[name] for name in (*order["singles"], *order["lists"])} | levels
    inputs["statistics"] = arrays["dense"]
    model.fit(inputs, arrays["label"], batch_size=order["batch_size"], epochs=1_000_000, verbose=0)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
