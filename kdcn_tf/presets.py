"""Presets: named differences from the defaults of `kdcn_tf.config`, as data."""

from typing import Any

_ONE_LAYER: dict[str, Any] = {
    # A GCN layer over plain TransE, one side of a triple in a step. The paper has the size, and "multi-layer" alone.
    "encoder.dim": 64,
    "encoder.layers": 1,
    "encoder.reciprocal": False,
    "encoder.relation_scale": False,
    "encoder.l2": 0.0,
    "encoder.init_scale": 0.75,
    "pretrain.negatives": 64,
    "pretrain.chunks": 8,
    "pretrain.both_sides": False,
    "pretrain.decay": "constant",
}

PAPER: dict[str, Any] = {
    # The paper's IV-B. What it leaves open is marked or keeps its default.
    **_ONE_LAYER,
    "ckg.min_attribute_count": 5000,
    "ckg.relation_mode": "name",
    "ckg.item_keywords": False,
    "ckg.session_keywords": False,
    "encoder.neighbors": 10,
    "encoder.activation": "sigmoid",
    "encoder.residual": False,
    "encoder.export_dim": None,
    "encoder.norm": 2,  # not mentioned in the paper
    "pretrain.epochs": 5,
    "pretrain.batch_size": 1000,
    "pretrain.type_constrained": 0.0,
    "pretrain.hide_targets": False,
    "pretrain.loss": "margin",
    "pretrain.margin": 1.0,  # not mentioned in the paper
    "pretrain.optimizer": "adam",
    "pretrain.learning_rate": 1e-4,
    "kdcn.dim": 64,
    "kdcn.candidate": False,
    "kdcn.unknown_share": 0.0,
    "kdcn.list_sizes": False,
    "kdcn.similarities": False,
    "kdcn.widths": (2, 4),
    "kdcn.heads": 4,
    "kdcn.scale_attention": False,
    "kdcn.standardize_entities": False,
    "kdcn.cross": "vector",
    "kdcn.cross_layers": 4,
    "kdcn.deep_units": (512, 512),
    "kdcn.dropout": 0.0,
    "kdcn.knowledge_dropout": 0.0,
    "kdcn.knowledge_scale": 1.0,
    "kdcn.pool_dialogue": False,
    "finetune.batch_size": 512,
    "finetune.average": 0.0,
}

QUICK: dict[str, Any] = {
    # Sized for `make quickstart`: the whole chain in minutes on two cores.
    "simulate.users": 2000,
    "simulate.items": 1000,
    "simulate.sessions": 8000,
    "ckg.triples_per_file": 10_000,
    "ctr.examples_per_file": 5_000,
    "pretrain.epochs": 12,
    "pretrain.batch_size": 500,
    "finetune.epochs": 14,  # two workers that train beside each other need more than one does
    "finetune.warmup": 100,
    "kdcn.cross_layers": 2,
    "kdcn.knowledge_scale": 0.03,  # a few hundred steps are too few to find what speaks more softly
}

GCN: dict[str, Any] = {
    # For graphs whose vectors must be short, and to compare with.
    **_ONE_LAYER,
    "pretrain.epochs": 30,
    "pretrain.loss": "logistic",
    "pretrain.margin": 4.0,
    "pretrain.learning_rate": 0.3,
}

PRESETS: dict[str, dict[str, Any]] = {"default": {}, "paper": PAPER, "quick": QUICK, "gcn": GCN}
