"""`kdcn train-kdcn` in turns: run_train_kdcn.py ORDER, a JSON file (see `benchmarks/ctr.py`).

The command itself trains, as a member of the cluster that TF_CONFIG names; only the end of an epoch is hooked, to give
the machine to the others, and the validation, which is no training: every epoch counts as equally good.
"""

import json
import os
import sys

from turns import Turns


def main(order: dict) -> None:
    if json.loads(os.environ.get("TF_CONFIG", '{"task": {"type": "chief"}}'))["task"]["type"] == "chief":
        hook(order)
    from kdcn_tf.cli import train_kdcn

    sets = [word for assignment in order["assignments"] for word in ("--set", assignment)]
    train_kdcn.main(["--ctr", order["ctr"], "--output", order["output"], "--preset", order["preset"], *sets])


def hook(order: dict) -> None:
    from kdcn_tf.training.finetune import Finetuning
    from kdcn_tf.training.ledger import Ledger

    turns, end_epoch = Turns(order["slice_s"], "examples"), Ledger.end_epoch

    def ended(ledger: Ledger, figures: dict) -> None:
        end_epoch(ledger, figures)
        turns.trained(order["examples_per_epoch"])

    Ledger.end_epoch = ended  # type: ignore[method-assign]
    Finetuning.evaluate = lambda run, split: {f"{split}_auc": 0.5, f"{split}_log_loss": 1.0}  # type: ignore[method-assign]


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
