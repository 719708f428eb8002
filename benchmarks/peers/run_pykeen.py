"""PyKEEN's TransE, in PyKEEN's own environment: run_pykeen.py ORDER, a JSON file (see `benchmarks/pretrain.py`).

Its fast settings on a CPU: negatives sampled with the batch (the loop's default), no evaluation, no progress bars,
whole batches only, no normalisation of the whole table after each step, Adam's fused kernel.
"""

import contextlib
import json
import sys

import numpy as np
import torch
from pykeen.models import TransE
from pykeen.training import SLCWATrainingLoop, TrainingCallback
from pykeen.triples import CoreTriplesFactory
from turns import Turns


class Stop(Exception):  # noqa: N818
    """The budget is used up."""


class Turn(TrainingCallback):
    """Counts batches."""

    def __init__(self, turns: Turns, batch_size: int):
        super().__init__()
        self._turns, self._batch_size = turns, batch_size

    def post_batch(self, epoch, batch, **kwargs) -> None:
        if not self._turns.trained(self._batch_size):
            raise Stop


def main(order: dict) -> None:
    torch.set_num_threads(order["threads"])
    train = torch.from_numpy(np.load(order["triples"]))
    factory = CoreTriplesFactory(mapped_triples=train, num_entities=order["entities"], num_relations=order["relations"])
    model = TransE(
        triples_factory=factory, embedding_dim=order["dim"], scoring_fct_norm=2, entity_constrainer=None,
        loss="nssa", loss_kwargs={"margin": order["margin"], "adversarial_temperature": 1.0},
        random_seed=order["seed"],
    )  # fmt: skip
    loop = SLCWATrainingLoop(
        model=model, triples_factory=factory, negative_sampler="basic",
        negative_sampler_kwargs={"num_negs_per_pos": order["negatives"]},
        optimizer=torch.optim.Adam(model.get_grad_params(), lr=order["learning_rate"], fused=True),
        automatic_memory_optimization=False,
    )  # fmt: skip
    turn = Turn(Turns(order["slice_s"]), order["batch_size"])
    with contextlib.suppress(Stop):
        loop.train(
            factory, num_epochs=1_000_000, batch_size=order["batch_size"], drop_last=True, use_tqdm=False,
            callbacks=turn, pin_memory=False,
        )  # fmt: skip
    vectors = [
        part[0](indices=None).detach().numpy()
        for part in (model.entity_representations, model.relation_representations)
    ]
    np.savez(order["vectors"], entities=vectors[0], relations=vectors[1], norm=2)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
