"""The presets, against the help texts and the paper's section IV-B."""

import dataclasses
import re

import pytest
import yaml

from kdcn_tf import config, options
from kdcn_tf.config import Config
from kdcn_tf.presets import PRESETS


def said_of_the_paper() -> dict[str, str]:
    """Option -> the value that its help calls the paper's."""
    found = {}
    for section in dataclasses.fields(Config):
        for field in dataclasses.fields(section.default_factory):
            said = re.search(r"\(paper: ([^)]+)\)", field.metadata["help"])
            if said:
                found[f"{section.name}.{field.name}"] = said.group(1)
    return found


def test_the_help_says_the_papers_values():
    assert said_of_the_paper() == {
        "logs.behaviors": "4", "ckg.min_attribute_count": "5000", "encoder.dim": "64", "encoder.neighbors": "10",
        "encoder.activation": "sigmoid", "pretrain.epochs": "5", "pretrain.batch_size": "1000",
        "pretrain.learning_rate": "1e-4", "kdcn.widths": "2, 4", "kdcn.heads": "4", "kdcn.cross_layers": "4",
        "kdcn.deep_units": "512, 512", "finetune.batch_size": "512",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "said"), said_of_the_paper().items())
def test_preset_paper_has_the_papers_values(name, said):
    paper = config.resolve("paper")
    section, field = name.split(".")
    if name == "logs.behaviors":
        assert len(paper.logs.behaviors) == int(said)
        return
    value = yaml.safe_load(f"[{said}]" if "," in said else said)
    taken = options.apply_overrides(Config(), {name: value}, "help")
    assert getattr(getattr(paper, section), field) == getattr(getattr(taken, section), field)


def test_preset_paper_has_nothing_that_the_paper_does_not():
    """The options whose help says "not in the paper" are off."""
    paper = config.resolve("paper")
    off = {
        f"{section.name}.{field.name}": getattr(getattr(paper, section.name), field.name)
        for section in dataclasses.fields(Config)
        for field in dataclasses.fields(section.default_factory)
        if re.search("not in the paper|the paper has none", field.metadata["help"])
    }
    assert set(off) == {
        "ckg.item_keywords", "ckg.session_keywords", "ckg.interactions", "encoder.residual", "kdcn.candidate",
        "kdcn.scale_attention", "kdcn.normalize_entities", "kdcn.dropout",
    }  # fmt: skip
    assert not any(off.values())


def test_the_default_is_the_defaults():
    assert PRESETS["default"] == {}
    assert config.resolve() == Config()
