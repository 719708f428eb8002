"""Every option of the system: name, type, default, help, check. The one home of hyperparameters.

Defaults here are preset `default`; the other presets are differences from it (`kdcn_tf.presets`).
A field whose help says "(paper)" has the paper's value in preset `paper`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kdcn_tf import options
from kdcn_tf.config_clicks import FinetuneConfig, GbdtConfig, KdcnConfig, LrConfig, TrialConfig
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.options import (
    Section,
    all_of,
    at_least,
    at_most,
    each,
    fraction,
    identifier,
    no_duplicates,
    not_empty,
    one_of,
    option,
    positive,
    seconds,
    seed_range,
    share,
)
from kdcn_tf.presets import PRESETS

RECORDS_PER_FILE = 1 << 20
"""Records that readers take of a file, which they read whole."""
_MEAN_RECORDS = RECORDS_PER_FILE // 2
"""What options allow a file on average: hashes spread rows over files, so some get more."""


@dataclass(frozen=True)
class SimulateConfig(Section):
    """The log simulator."""

    seed: int = option(7, "seed of every random choice", seed_range)
    users: int = option(4000, "number of users", at_least(1))
    items: int = option(2000, "number of items", at_least(2))
    sellers: int = option(50, "number of sellers", at_least(1))
    sessions: int = option(12000, "number of conversations", at_least(1))
    impressions_per_session: int = option(8, "candidates shown in a session", at_least(1))
    behaviors_per_user: int = option(12, "mean number of behaviours of a user", at_least(0))
    language: str = option("en", "language of utterances and titles", one_of("en", "zh"))
    days: int = option(30, "length of the simulated period in days", at_least(3))
    click_rate: float = option(0.2, "mean click rate of impressions", fraction)
    categories: str = option(
        "equal", "'paper': categories have the relative sizes of the paper's Table I", one_of("equal", "paper")
    )


@dataclass(frozen=True)
class TimeConfig(Section):
    """Split by time. Knowledge, vocabularies, thresholds and statistics use only what lies before `train_end`."""

    train_end: float | None = option(
        None, "data cutoff in seconds since 1970: the first instant that is not training period", seconds
    )
    valid_end: float | None = option(None, "first instant of the test period, in seconds since 1970", seconds)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_end is not None and self.valid_end is not None and self.valid_end < self.train_end:
            raise ConfigError(f"valid_end: must not lie before train_end, got {self.valid_end}")


@dataclass(frozen=True)
class LogsConfig(Section):
    """Reading of the raw logs."""

    behaviors: tuple[str, ...] = option(
        ("click", "cart", "favorite", "purchase"),
        "the k behaviour kinds, in order (paper: 4)",
        all_of(not_empty, no_duplicates, each(identifier)),
    )
    max_bad_share: float = option(
        0.01, "share of records of a stream that may be dead letters before the job fails", fraction
    )
    max_keywords: int = option(16, "keywords cut from one text at the most", at_least(1))
    dead_letter_records: str = option(
        "none", "what dead letters hold of the record: 'redacted': its fields, without texts and numbers",
        one_of("none", "redacted", "raw"),
    )  # fmt: skip


@dataclass(frozen=True)
class CkgConfig(Section):
    """Building of the knowledge graph."""

    min_attribute_count: int = option(
        2, "attributes (tags, values, intentions, keywords) in fewer triples are dropped (paper: 5000)", at_least(1)
    )
    relation_mode: str = option(
        "pattern", "'name': one embedding per relation name (paper); 'pattern': one per pattern",
        one_of("name", "pattern"),
    )  # fmt: skip
    item_keywords: bool = option(True, "add (item, has, keyword) from titles; not in the paper")
    session_keywords: bool = option(True, "add (session, has, keyword); not in the paper")
    interactions: bool = option(False, "add (user, interacted, item) from behaviours; not in the paper")
    valid_fraction: float = option(
        0.01, "share of triples held out for validation; no vector learns what they say", fraction
    )
    test_fraction: float = option(
        0.01, "share of triples held out for testing; no vector learns what they say", fraction
    )
    block_size: int = option(1024, "triples in one record", at_least(1))
    triples_per_file: int = option(200_000, "triples in one file, the unit of training work", at_least(1))
    ids_per_file: int = option(
        100_000, "entities in one id map or adjacency file", all_of(at_least(1), at_most(RECORDS_PER_FILE))
    )
    stored_neighbors: int = option(20, "neighbours kept per entity (K)", all_of(at_least(1), at_most(10_000)))
    hash_salt: int = option(
        0,
        "another number gives other hashes of entities and relations, for the rare graph in which two collide",
        seed_range,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.valid_fraction + self.test_fraction >= 1:
            raise ConfigError("valid_fraction: with test_fraction it must stay below 1")
        if self.triples_per_file > _MEAN_RECORDS * self.block_size:
            raise ConfigError(
                f"triples_per_file: at most {_MEAN_RECORDS} records of block_size={self.block_size}, "
                f"got {self.triples_per_file}"
            )


@dataclass(frozen=True)
class EncoderConfig(Section):
    """GCN-TransE (equations 1 and 2)."""

    dim: int = option(256, "embedding size d (paper: 64)", at_least(1))
    layers: int = option(0, "GCN layers L; 0 is TransE alone", at_least(0))
    neighbors: int = option(10, "neighbours sampled per entity and step (paper: 10)", at_least(1))
    activation: str = option(
        "identity", "activation of a GCN layer (paper: sigmoid)", one_of("sigmoid", "tanh", "relu", "identity")
    )
    aggregation: str = option(
        "degree", "neighbours of a GCN layer: 'degree': equation 1's sum (paper); 'by_type': a mean and a matrix per "
        "entity type of the neighbours", one_of("degree", "by_type"),
    )  # fmt: skip
    residual: bool = option(True, "add a layer's input to its output; not in the paper")
    norm: int = option(2, "p of the distance norm in equation 2 (the paper doesn't say which)", one_of(1, 2))
    squared: bool = option(False, "square the distance, for norm 2; not in the paper")
    reciprocal: bool = option(True, "ask for heads by relation vectors of their own; not in the paper")
    relation_scale: bool = option(
        True, "scale the given entity by a vector of its relation before it is moved; not in the paper"
    )
    dropout: float = option(
        0.0, "share of each encoded vector's elements zeroed in training; not in the paper", fraction
    )
    max_norm: float | None = option(
        None,
        "length to which entity rows are cut when they are looked up; null leaves them; not in the paper",
        positive,
    )
    l1: float = option(0.0, "L1 penalty on encoded entities, mean over a step's; not in the paper", at_least(0))
    l2: float = option(0.01, "L2 penalty on encoded entities, mean over a step's; not in the paper", at_least(0))
    export_dim: int | None = option(
        64,
        "numbers of an exported vector at the most: longer ones are turned into their principal components; twice as "
        "many with --vectors=surrounded; null leaves them as they are; not in the paper",
        at_least(1),
    )
    init_scale: float = option(
        0.1, "initial values are uniform in [-init_scale, init_scale] (TransE's own: 6 / sqrt(dim))", positive
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.squared and self.norm != 2:
            raise ConfigError(f"squared: needs norm=2, got norm={self.norm}")
        if self.relation_scale and not self.reciprocal:
            raise ConfigError("relation_scale: needs reciprocal=true")


@dataclass(frozen=True)
class PretrainConfig(Section):
    """Training of GCN-TransE."""

    epochs: int = option(36, "passes over the triples (paper: 5)", at_least(1))
    batch_size: int = option(1000, "positive triples per step B (paper: 1000)", at_least(1))
    negatives: int = option(256, "negatives per positive, shared inside a chunk", at_least(1))
    chunks: int = option(5, "chunks of a batch; each has its own negatives and corrupted side", at_least(1))
    both_sides: bool = option(
        True, "corrupt the tail and the head of every triple in a step; else one of them, at random by chunk"
    )
    type_constrained: float = option(0.5, "share of negatives drawn from the corrupted entity's own type", share)
    degree_weighted: float = option(
        0.0, "share of negatives drawn by degree, from the entities of their chunk; what is left comes from all", share
    )
    hide_targets: bool = option(
        True, "keep the edges of a batch's triples out of their own aggregation; not in the paper"
    )
    loss: str = option("softmax", "loss of a triple", one_of("margin", "logistic", "self_adversarial", "softmax"))
    margin: float = option(
        0.0, "margin gamma of equation 3 (the paper doesn't give it); added to the scores of softmax's negatives",
        at_least(0),
    )  # fmt: skip
    temperature: float = option(1.0, "temperature of self-adversarial weights", positive)
    optimizer: str = option(
        "adagrad", "optimizer of the tables; 'adagrad' keeps a sum per row, 'adam' (paper) two moments of every number",
        one_of("adam", "adagrad"),
    )  # fmt: skip
    learning_rate: float | None = option(
        None, "initial learning rate; null is 0.8 for adagrad, 0.01 for adam (paper: 1e-4)", positive
    )
    decay: str = option(
        "linear", "learning rate over the run: constant, or falling to 0 in a line", one_of("constant", "linear")
    )
    wire: str = option(
        "bfloat16", "type in which embedding rows and their gradients travel between workers and servers",
        one_of("float32", "bfloat16"),
    )  # fmt: skip
    checkpoint_every: int = option(1, "epochs between checkpoints", at_least(1))
    eval_triples: int = option(2000, "held-out triples ranked at the most", at_least(1))
    eval_candidates: int = option(
        200_000, "held-out triples are ranked among all entities, of a larger graph among this many sampled ones",
        at_least(1),
    )  # fmt: skip
    seed: int = option(1, "seed of initial values, shuffling and negatives", seed_range)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.type_constrained + self.degree_weighted > 1:
            raise ConfigError(f"degree_weighted: with type_constrained={self.type_constrained} it must not exceed 1")
        if self.batch_size % self.chunks:
            raise ConfigError(f"chunks: must divide batch_size={self.batch_size}, got {self.chunks}")

    @property
    def rate(self) -> float:
        """The initial learning rate: `learning_rate`, or the optimizer's own."""
        own = {"adagrad": 0.8, "adam": 0.01}
        return own[self.optimizer] if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True)
class CtrConfig(Section):
    """Building of CTR examples."""

    max_behaviors: int = option(20, "latest items kept per behaviour kind", at_least(1))
    max_query_keywords: int = option(8, "query keywords kept, M", at_least(1))
    max_title_keywords: int = option(8, "title keywords kept, N", at_least(1))
    max_categories: int = option(4, "levels of the category path kept", at_least(1))
    history_days: float | None = option(None, "behaviours older than this are left out; null keeps all", positive)
    max_leaked_share: float = option(
        0.0, "share of the clicks of validation and test that may stand in the graph (ckg.interactions)", share
    )
    examples_per_file: int = option(
        20_000, "examples in one file, the unit of training work", all_of(at_least(1), at_most(_MEAN_RECORDS))
    )


@dataclass(frozen=True)
class Config:
    """The resolved configuration: one section per stage, in the order in which data flows."""

    simulate: SimulateConfig = field(default_factory=SimulateConfig)
    time: TimeConfig = field(default_factory=TimeConfig)
    logs: LogsConfig = field(default_factory=LogsConfig)
    ckg: CkgConfig = field(default_factory=CkgConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    ctr: CtrConfig = field(default_factory=CtrConfig)
    kdcn: KdcnConfig = field(default_factory=KdcnConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    trial: TrialConfig = field(default_factory=TrialConfig)
    gbdt: GbdtConfig = field(default_factory=GbdtConfig)
    lr: LrConfig = field(default_factory=LrConfig)

    def __post_init__(self) -> None:
        if self.encoder.neighbors > self.ckg.stored_neighbors:
            raise ConfigError(
                f"encoder.neighbors: {self.encoder.neighbors} sampled of "
                f"ckg.stored_neighbors={self.ckg.stored_neighbors} stored"
            )
        attends = self.kdcn.network == "kdcn" and self.kdcn.dialogue
        if attends and self.kdcn.dim % self.kdcn.heads:
            raise ConfigError(f"kdcn.heads: must divide dim={self.kdcn.dim}, got {self.kdcn.heads}")


def resolve(
    preset: str = "default",
    suggested: dict | None = None,
    config_file: str | None = None,
    assignments: Iterable[str] = (),
) -> Config:
    """Builds the configuration; a later source wins over an earlier one.

    Args:
        preset: name of a preset.
        suggested: `section.field` -> value that the input dataset brings along (split times,
            behaviour kinds).
        config_file: YAML or JSON file of sections.
        assignments: `section.field=value` texts.

    Raises:
        ConfigError: naming the source and the field.
    """
    if preset not in PRESETS:
        raise ConfigError(f"--preset {preset}: unknown; known: {', '.join(PRESETS)}")
    sources = [(PRESETS[preset], f"preset {preset}"), (suggested or {}, "input dataset")]
    if config_file:
        sources.append((options.read_overrides(config_file), config_file))
    sources.append((dict(map(options.parse_assignment, assignments)), "--set"))
    return options.apply_overrides(Config(), *sources)


def from_dict(data: dict) -> Config:
    """The configuration that `options.to_dict` turned into plain data (in a manifest).

    Raises:
        DataError: it isn't one.
    """
    try:
        overrides = {f"{name}.{key}": value for name, body in data.items() for key, value in body.items()}
        return options.apply_overrides(Config(), (overrides, "manifest"))
    except (AttributeError, ConfigError) as error:
        raise DataError(f"the manifest's config: {error}") from None
