"""Options of the click models: K-DCN, the models that it is compared with, and how they are trained.

Sections of `kdcn_tf.config.Config`, beside its others.
"""

from dataclasses import dataclass

from kdcn_tf.options import (
    Section,
    all_of,
    at_least,
    each,
    fraction,
    no_duplicates,
    not_empty,
    one_of,
    option,
    positive,
    seed_range,
    share,
)


@dataclass(frozen=True)
class KdcnConfig(Section):
    """K-DCN (equations 4 to 12) and the networks that it is compared with."""

    network: str = option(
        "kdcn", "K-DCN, or on the same inputs, lists as means of embeddings: DCN, Wide & Deep, deep layers alone",
        one_of("kdcn", "dcn", "wide_deep", "dnn"),
    )  # fmt: skip
    dim: int = option(64, "size d of entity vectors (paper: 64); exported ones bring theirs along", at_least(1))
    pretrained: bool = option(True, "initialise the entity table from the exported embeddings")
    freeze_entities: bool = option(False, "keep the entity table as exported")
    user_state: bool = option(True, "use u, equations 4 and 5")
    dialogue: bool = option(True, "use d, equations 6 to 8")
    candidate: bool = option(True, "add to f the vectors of candidate and user and their products; not in the paper")
    widths: tuple[int, ...] = option(
        (2, 4), "widths N of the convolutions over behaviours (paper: 2, 4)", all_of(not_empty, each(at_least(1)))
    )
    filters: int = option(64, "filters per width (the paper doesn't say)", at_least(1))
    heads: int = option(4, "attention heads (paper: 4)", at_least(1))
    scale_attention: bool = option(True, "divide attention scores by sqrt(d / heads); not in the paper")
    pool_dialogue: bool = option(
        True, "d as the mean over the query's keywords and the mean over the title's, not all side by side; not in the "
        "paper",
    )  # fmt: skip
    normalize_entities: bool = option(
        False, "bring each pretrained vector to mean 0 and variance 1 before use (LayerNorm without weights); not in "
        "the paper",
    )  # fmt: skip
    standardize_entities: bool = option(
        True, "bring each column of the pretrained vectors to mean 0 and variance 1 over all entities of a type, as "
        "they are loaded; not in the paper",
    )  # fmt: skip
    unknown_share: float = option(
        0.3, "share of users, and of candidates, that a training step treats as unknown, at the most: as many as the "
        "validation split has; not in the paper", fraction,
    )  # fmt: skip
    list_sizes: bool = option(
        True, "add to f how full the lists of behaviours, keywords and category levels are; not in the paper"
    )
    similarities: bool = option(
        True, "with `candidate`: add to f, at full scale, how similar the candidate's vector is to the mean of each "
        "behaviour kind, the mean query keyword and the user; not in the paper",
    )  # fmt: skip
    match_dim: int = option(32, "with `candidate`: size of each product of the candidate with the context", at_least(1))
    category_dim: int = option(16, "size of a category embedding (the paper doesn't say)", at_least(1))
    cross: str = option(
        "low_rank", "cross layer: 'vector' (equation 10), 'matrix' or 'low_rank' (TFRS)",
        one_of("vector", "matrix", "low_rank"),
    )  # fmt: skip
    cross_layers: int = option(1, "cross layers (paper: 4)", at_least(0))
    cross_rank: int = option(64, "rank of 'low_rank' cross layers", at_least(1))
    deep_units: tuple[int, ...] = option((128, 64), "sizes of the deep layers (paper: 512, 512)", each(at_least(1)))
    dropout: float = option(0.1, "dropout after a deep layer (the paper has none)", fraction)
    knowledge_dropout: float = option(
        0.2, "share of f that a training step zeroes, but for categories and statistics; not in the paper", fraction
    )
    knowledge_scale: float = option(
        0.01, "what the same parts of f are multiplied by: small ones leave the first word to categories and "
        "statistics, which few examples suffice for (paper: 1)", positive,
    )  # fmt: skip
    wide_buckets: int = option(2**18, "weights into which Wide & Deep's pairs of ids are hashed", at_least(1))


@dataclass(frozen=True)
class FinetuneConfig(Section):
    """Training of K-DCN (equation 13)."""

    epochs: int = option(8, "passes over the training examples", at_least(1))
    batch_size: int = option(512, "examples per step (paper: 512)", at_least(1))
    learning_rate: float = option(
        1e-3, "Adam's learning rate of the network, and of tables that start from random values", positive
    )
    entity_learning_rate: float = option(1e-4, "Adam's learning rate of a pretrained entity table", positive)
    warmup: int = option(
        0, "steps over which both rates rise from 0 in a line, at the start; not in the paper", at_least(0)
    )
    decay: str = option(
        "constant", "both rates over the run: constant, or falling to 0 in a line over all `epochs`",
        one_of("constant", "linear"),
    )  # fmt: skip
    l2: float = option(0.0, "L2 penalty on kernels; not in the paper", at_least(0))
    average: float = option(
        0.998, "share of the old mean in a step's mean of the network's weights, by which it is judged and kept; 0: "
        "the last weights; not in the paper", fraction,
    )  # fmt: skip
    patience: int = option(2, "epochs without a better validation AUC before training stops", at_least(1))
    checkpoint_every: int = option(1, "epochs between checkpoints", at_least(1))
    seed: int = option(1, "seed of initial values and shuffling", seed_range)


@dataclass(frozen=True)
class TrialConfig(Section):
    """Training of one model of a comparison or a search, which looks at validation inside epochs too."""

    looks_per_epoch: int = option(4, "looks at the validation split in an epoch", at_least(1))
    least_steps_between: int = option(10, "steps between two looks at the least, for small epochs", at_least(1))
    patience: int = option(8, "looks without a better validation score before training stops", at_least(1))
    least_steps: int = option(
        1000, "steps that a run may make at the least, in more than `finetune.epochs` passes if need be", at_least(1)
    )


@dataclass(frozen=True)
class GbdtConfig(Section):
    """Gradient boosted trees (LightGBM)."""

    leaves: int = option(31, "leaves of a tree", at_least(2))
    learning_rate: float = option(0.05, "what a tree's scores are multiplied by", positive)
    min_leaf_rows: int = option(50, "rows in a leaf at the least", at_least(1))
    feature_fraction: float = option(0.5, "share of the columns that a tree may use", all_of(positive, share))
    bagging_fraction: float = option(0.8, "share of the rows that a tree is grown on", all_of(positive, share))
    l2: float = option(10.0, "L2 penalty on the scores of leaves", at_least(0))
    rounds: int = option(2000, "trees at the most", at_least(1))
    patience: int = option(100, "trees without a smaller validation log loss before growing stops", at_least(1))
    smoothing: float = option(20.0, "rows of the overall click rate that are added to those of an id", positive)
    folds: int = option(5, "parts of the training rows; click rates of one part come from the others", at_least(2))


@dataclass(frozen=True)
class LrConfig(Section):
    """Logistic regression (scikit-learn)."""

    strengths: tuple[float, ...] = option(
        (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), "inverse regularisation strengths C to choose from by validation",
        all_of(not_empty, no_duplicates, each(positive)),
    )  # fmt: skip
    iterations: int = option(300, "iterations of L-BFGS at the most", at_least(1))
