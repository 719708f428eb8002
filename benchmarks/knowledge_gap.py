"""How much of what decides a simulated click can be read off the exported embeddings.

    python benchmarks/knowledge_gap.py --raw=RAW --ckg=CKG --embeddings=EMBEDDINGS

Ridge regression reads the tastes of users and items, which no log states, off their vectors (each vector's
reading by a model that did not see it). Put into the true click model, the readings give the AUC that a
perfect network could reach with these embeddings. What is missing to the first row is the embeddings'
gap; what is missing from the last row to K-DCN's AUC is the network's.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

# The folder of this file, first on the path, has a module named pipelines.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kdcn_tf import ckg, command, config, keys, manifest
from kdcn_tf.data.entities import ENTITIES, read_keys, read_rows
from kdcn_tf.training.metrics import auc
from pipelines.datasets.simulate import VALID_SHARE
from pipelines.datasets.world import WEIGHTS, World

FOLDS, PENALTY = 5, 10.0


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    for name, what in (("raw", "simulated logs"), ("ckg", "graph built from them"), ("embeddings", "its export")):
        flags.DEFINE_string(name, None, what, flag_values=values)
    return values


def vectors(directory: str, graph_directory: str, entity_type: str, names: Sequence[str]) -> np.ndarray:
    """Exported vectors [n, d] of entities by key, standardised."""
    graph = manifest.read(graph_directory, manifest.CKG)
    exported = manifest.read(directory, manifest.EMBEDDINGS)
    rows = np.concatenate([block for _, block in read_rows(directory, exported, entity_type)])
    listed = [key for file in graph.group(ENTITIES + entity_type) for key in read_keys(graph_directory, file)]
    place = {key: index for index, key in enumerate(listed)}
    return StandardScaler().fit_transform(rows[[place[keys.entity_key(entity_type, name)] for name in names]])


def readings(inputs: np.ndarray, tastes: np.ndarray) -> np.ndarray:
    """Tastes as read off the vectors, by models fitted on other entities."""
    return cross_val_predict(Ridge(PENALTY), inputs, tastes, cv=KFold(FOLDS, shuffle=True, random_state=0))


def test_impressions(world: World):
    """(user, wanted, items, clicks) of the sessions of the test period."""
    for number in range(world.config.sessions):
        session = world.session(number)
        if session.place >= VALID_SHARE:
            clicks = world.clicks(session)
            yield session.user, session.intention, [i for i, _, _ in clicks], [clicked for _, _, clicked in clicks]


def click_auc(world: World, users: np.ndarray, items: np.ndarray) -> float | None:
    """AUC of the true click model with these tastes [users, TASTES] and [items, TASTES]."""
    terms, labels = [], []
    for user, wanted, shown, clicked in test_impressions(world):
        numbers = [item.number for item in shown]
        fits = 0.5 * np.array([item.top == wanted.top for item in shown]) + items[numbers, wanted.taste]
        terms.append(np.stack([items[numbers] @ users[user], fits, [item.rating for item in shown]], axis=1))
        labels += clicked
    stacked = StandardScaler().fit_transform(np.concatenate(terms))
    return auc(np.array(labels, float), stacked @ np.array(WEIGHTS))


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "raw", "ckg", "embeddings")
    simulated = config.from_dict(manifest.read(values.raw, manifest.RAW).config).simulate
    world = World(simulated)
    true, read = {}, {}
    for entity_type, count, of in ((ckg.USER, simulated.users, world.user), (ckg.ITEM, simulated.items, world.item)):
        names = [f"{entity_type[0]}{number}" for number in range(count)]
        true[entity_type] = np.stack([of(number).tastes for number in range(count)])
        read[entity_type] = readings(vectors(values.embeddings, values.ckg, entity_type, names), true[entity_type])
        print(f"R2 of the {entity_type}s' tastes: {r2_score(true[entity_type], read[entity_type]):.3f}")
    for name, users, items in (
        ("true tastes", true, true),
        ("items' tastes read", true, read),
        ("users' tastes read", read, true),
        ("both read", read, read),
    ):
        print(f"test AUC, {name}: {click_auc(world, users[ckg.USER], items[ckg.ITEM]):.4f}")


if __name__ == "__main__":
    command.run("knowledge_gap", __doc__ or "", _flags(), _call, sys.argv[1:])
