"""A small shop from raw logs to a served K-DCN with random weights: weights don't matter to what it tests."""

from pathlib import Path
from typing import NamedTuple

from support.raw_logs import run, write_raw

from kdcn_tf import config, manifest, options
from kdcn_tf.export import serving
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.models.networks import build_model
from kdcn_tf.training.checkpoints import save_weights
from pipelines import build_ckg, build_ctr

USERS = [{"user_id": "u1", "tags": ["a"]}, {"user_id": 7, "tags": ["a"]}]
ITEMS = [
    {"item_id": "a", "title": "Red running shoe for the trail", "category": ["Sport", "Shoes/Boots"],
     "stats": {"price": 9.0, "sales": None}},
    {"item_id": "b", "title": "Red Running jacket", "category": "Sport", "stats": {"price": 19}},
    {"item_id": "c", "title": "Amélie's café shoe", "category": ["Sport", "Shoes/Boots", "Town"], "keywords": None},
    {"item_id": 4, "title": 2012, "keywords": ["Red ", "SHOE", "red", "café"], "category": ["Books"]},
    {"item_id": "d", "title": "红色跑步鞋 运动 红色", "category": ["运动", "鞋"], "stats": {"price": 3}},
    {"item_id": "e", "title": "运动 2012", "category": ["Books"], "keywords": []},
]  # fmt: skip
SESSIONS = [
    {"session_id": "s1", "user_id": "u1", "timestamp": 10, "keywords": ["red", "shoe", "running", "运动", "café"]},
]


def _behaviors(user, kind: str, *events: tuple[int, object]) -> list[dict]:
    return [{"user_id": user, "item_id": item, "behavior": kind, "timestamp": when} for when, item in events]


# Of these, with the options below: the last two of a kind, strictly before, and no older than 86.4 seconds.
BEHAVIORS = [
    *_behaviors("u1", "click", (1, "a"), (9, "b"), (4, "c"), (10, "d"), (70, "e")),
    *_behaviors("u1", "purchase", (2, 4)),
    *_behaviors(7, "click", (20, "e"), (39, 4), (40, "a")),
    *_behaviors(7, "cart", (30, "b")),
    *_behaviors("someone", "click", (1, "d")),
]


def _session(name, user, when: int, query, *shown: tuple) -> list[dict]:
    """Impressions of one moment; each shown is (item, label) or (item, label, stats)."""
    common = {"session_id": name, "user_id": user, "timestamp": when, "query": query}
    keys = ("item_id", "label", "stats")
    return [common | dict(zip(keys, one, strict=False)) for one in shown]


IMPRESSIONS = [
    *_session("s1", "u1", 10, "A red running shoe for the café", ("a", 1, {"score": 2}), ("b", 0), ("c", 0)),
    *_session("s2", 7, 40, ["Shoe", "zebra", "red", "运动"], (4, 0), ("a", 0, {"price": None}), ("d", 0, {"price": 5})),
    *_session("s3", "stranger", 60, "café 运动", ("e", 0), ("c", 1)),
    *_session(5, "u1", 100, "", ("a", 0), ("b", 1), (4, 0), ("d", 0)),
]
STREAMS = {"users": USERS, "items": ITEMS, "sessions": SESSIONS, "behaviors": BEHAVIORS, "impressions": IMPRESSIONS}

BUILT = ["logs.max_keywords=3", "ctr.max_behaviors=2", "ctr.history_days=0.001", "ctr.max_title_keywords=2"]
"""Options of the dataset, which training doesn't repeat."""

SMALL = ["kdcn.dim=8", "kdcn.filters=4", "kdcn.heads=2", "kdcn.deep_units=[6]", "kdcn.match_dim=4"]


class Shop(NamedTuple):
    """Directories raw, ckg, ctr, model and served stand in `root`; `version` is the SavedModel's."""

    root: Path
    ctr: manifest.Manifest
    model: ClickModel
    version: str


def write_model(directory: Path, ctr: manifest.Manifest, *assignments: str) -> tuple[ClickModel, manifest.Manifest]:
    """An untrained K-DCN, as train-kdcn leaves a trained one."""
    settings = config.resolve(assignments=[*SMALL, *assignments])
    model = build_model(settings, ctr)
    directory.mkdir()
    names = save_weights(model, str(directory))
    described = manifest.Manifest(
        manifest.KDCN_MODEL,
        {"weights": tuple(manifest.describe_file(str(directory), name) for name in names)},
        id_map=ctr.id_map,
        config=options.to_dict(settings),
        info={**ctr.info, "history": []},
    )
    manifest.write(str(directory), described)
    return model, manifest.read(str(directory), manifest.KDCN_MODEL)


def make(root: Path) -> Shop:
    write_raw(root / "raw", STREAMS)
    sets = [f"--set={text}" for text in BUILT]
    assert run(build_ckg.main, "--raw", root / "raw", "--output", root / "ckg", *sets) == 0
    assert run(build_ctr.main, "--raw", root / "raw", "--ckg", root / "ckg", "--output", root / "ctr", *sets) == 0
    ctr = manifest.read(str(root / "ctr"), manifest.CTR)
    model, trained = write_model(root / "model", ctr)
    version = serving.export(
        model=model, trained=trained, ctr_directory=str(root / "ctr"), ctr=ctr, ckg_directory=str(root / "ckg"),
        graph=manifest.read(str(root / "ckg"), manifest.CKG), directory=str(root / "served"),
    )  # fmt: skip
    return Shop(root, ctr, model, version)
