"""Runs of a made-up comparison: what a real one hands to its report, with gains that are known to be there."""

import numpy as np

from kdcn_tf.report.runs import Judged, Run

TITLES = {
    "kdcn": "K-DCN", "kdcn_no_pretraining": "K-DCN without pretraining",
    "kdcn_no_user_state": "K-DCN without user state",
    "kdcn_no_dialogue": "K-DCN without dialogue", "dcn": "DCN", "wide_deep": "Wide&Deep", "dnn": "DNN",
    "gbdt": "GBDT", "lr": "Logistic regression",
}  # fmt: skip
NOISE = {
    "kdcn": 0.5, "kdcn_no_pretraining": 0.75, "kdcn_no_user_state": 0.7, "kdcn_no_dialogue": 0.55, "dcn": 0.8,
    "wide_deep": 0.85, "dnn": 0.9, "gbdt": 0.95, "lr": 1.3,
}  # fmt: skip
"""Model -> how far its logits are from the true ones; more with fewer rows."""

PARAMETERS = {"kdcn": 1_200_000, "gbdt": None, "lr": 3_200}
CATEGORIES = ("women's wear", "shoes | <boots>", "男装", "digital accessories")
SHARES = (0.5, 0.3, 0.15, 0.05)
SOURCES = ("movielens", "redial")
BUCKETS = ("0", "1-2", "3-9", "10+")
TRAIN = 20_000


def judged(rng: np.random.Generator, rows: int) -> tuple[Judged, np.ndarray]:
    """Test rows and their true logits."""
    truth = rng.normal(-1.2, 1.2, rows)
    slices = {
        "source": rng.choice(SOURCES, rows, p=(0.9, 0.1)),
        "category": rng.choice(CATEGORIES, rows, p=SHARES),
        "user_frequency": rng.choice(BUCKETS, rows),
        "item_frequency": rng.choice(BUCKETS, rows),
    }
    labels = (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.int64)
    labels[(slices["category"] == CATEGORIES[3])] *= rng.random(np.sum(slices["category"] == CATEGORIES[3])) < 0.9
    return Judged(labels, np.sort(rng.integers(0, rows // 5, rows)), slices), truth


def curve(rng: np.random.Generator, model: str) -> tuple[dict, ...]:
    """K-DCN rises quickly; runs stop at steps of their own."""
    if model in ("gbdt", "lr"):
        return ()
    pace = 250 if model == "kdcn" else 700
    best = 0.80 - 0.05 * NOISE[model]
    steps = range(100, 100 * int(rng.integers(16, 21)), 100)
    return tuple(
        {"step": step, "examples": 512 * step, "auc": best - 0.2 * np.exp(-step / pace) + rng.normal(0, 0.0015),
         "log_loss": 0.5} for step in steps
    )  # fmt: skip


def runs(rows: int = 3000, seeds=(0, 1, 2), fractions=(0.01, 0.1, 1.0), models=tuple(NOISE)):
    rng = np.random.default_rng(7)
    test, truth = judged(rng, rows)
    made = []
    for model in models:
        own = rng.normal(0, 1, rows)  # what a model gets wrong with every seed
        for fraction in fractions:
            for seed in seeds:
                scarce = (0.5 if model == "kdcn" else 1.0) * -np.log10(fraction)
                noise = 0.9 * own + (0.1 if model in ("gbdt", "lr") else 0.4) * rng.normal(0, 1, rows)
                logits = truth + (NOISE[model] + scarce) * noise
                seconds = 40.0 * fraction * float(rng.uniform(0.9, 1.1)) * (0.2 if model in ("gbdt", "lr") else 1)
                made.append(Run(
                    model, fraction, seed, logits, curve(rng, model), seconds, int(5 * TRAIN * fraction),
                    PARAMETERS.get(model, 640_000), int(TRAIN * fraction), 0.78,
                ))  # fmt: skip
    return made, test


DATASET = {
    "name": "films <made up>", "fingerprint": "0123456789abcdef",
    "rows": {"train": TRAIN, "valid": 2000, "test": 3000},
    "train": {
        "category": {name: int(TRAIN * share) for name, share in zip(CATEGORIES, SHARES, strict=True)},
        "source": {"movielens": 18_000, "redial": 2_000},
    },
}  # fmt: skip
SETTINGS = {
    "command": "kdcn compare --ctr=ctr --embeddings=embeddings --output=comparison",
    "version": "0.1.0",
    "models": {"kdcn": {"finetune.learning_rate": 0.001, "kdcn.dropout": 0.2}, "gbdt": {"gbdt.leaves": 31}},
}
REFERENCE = {"movielens": 0.80}
