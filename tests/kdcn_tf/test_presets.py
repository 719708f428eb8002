"""The presets, against the paper's section IV-B and what the help texts say of it."""

import dataclasses
import re

from kdcn_tf import config, contestants
from kdcn_tf.config import Config

PAPER = {
    "ckg.min_attribute_count": 5000, "encoder.dim": 64, "encoder.neighbors": 10, "encoder.activation": "sigmoid",
    "kdcn.dim": 64, "pretrain.epochs": 5, "pretrain.batch_size": 1000, "pretrain.learning_rate": 1e-4,
    "kdcn.widths": (2, 4),
    "kdcn.heads": 4, "kdcn.cross_layers": 4, "kdcn.deep_units": (512, 512), "finetune.batch_size": 512,
    "kdcn.knowledge_scale": 1,
}  # fmt: skip
NOT_IN_THE_PAPER = {
    "ckg.item_keywords", "ckg.session_keywords", "ckg.interactions", "encoder.residual", "kdcn.candidate",
    "encoder.squared", "encoder.reciprocal", "encoder.relation_scale", "encoder.dropout", "encoder.max_norm",
    "encoder.l1", "encoder.l2", "encoder.export_dim", "pretrain.hide_targets",
    "kdcn.scale_attention", "kdcn.normalize_entities", "kdcn.dropout", "kdcn.unknown_share", "finetune.average",
    "finetune.warmup", "kdcn.knowledge_dropout", "kdcn.pool_dialogue", "kdcn.standardize_entities",
    "kdcn.list_sizes", "kdcn.similarities", "finetune.l2",
}  # fmt: skip


def helps(pattern: str) -> dict[str, str]:
    """Option -> what `pattern` finds in its help."""
    texts = {
        f"{section.name}.{field.name}": field.metadata["help"]
        for section in dataclasses.fields(Config)
        for field in dataclasses.fields(section.default_factory)
    }
    return {name: found[0] for name, text in texts.items() if (found := re.findall(pattern, text))}


def in_preset_paper(name: str):
    section, field = name.split(".")
    return getattr(getattr(config.resolve("paper"), section), field)


def test_preset_paper_is_the_papers():
    assert {name: in_preset_paper(name) for name in PAPER} == PAPER
    assert len(in_preset_paper("logs.behaviors")) == 4
    assert not any(map(in_preset_paper, NOT_IN_THE_PAPER))


def test_the_help_agrees():
    shown = {name: str(value).strip("()") for name, value in PAPER.items()}
    shown |= {"pretrain.learning_rate": "1e-4", "logs.behaviors": "4"}
    assert helps(r"\(paper: ([^)]+)\)") == shown
    assert set(helps("(not in the paper|the paper has none)")) == NOT_IN_THE_PAPER


def test_every_choice_of_ours_has_its_ablation():
    undone = {option for one in contestants.ABLATIONS.values() for option in one.differences}
    chosen = {option for option in NOT_IN_THE_PAPER if option.startswith(("kdcn.", "finetune."))}
    assert chosen - {"finetune.warmup"} <= undone  # which preset `default` doesn't use
