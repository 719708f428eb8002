"""Shows the entities whose exported vectors are nearest to one entity's.

  kdcn neighbors KEY --embeddings=EMBEDDINGS --ckg=CKG
  kdcn neighbors u17 --type=user --to=item,category ...     a user by the id in the logs; the graph has its pseudonym

Searches exactly, except in an index of more than 100,000 entities that export-embeddings --format=faiss wrote; the
output says which.
"""

import json
from collections.abc import Sequence

import numpy as np
from absl import flags

from kdcn_tf import ckg as schema
from kdcn_tf import command, manifest
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest

NAME = "neighbors"


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    values.set_gnu_getopt(True)
    flags.DEFINE_string("embeddings", None, "vectors, from export-embeddings", flag_values=values)
    flags.DEFINE_string("ckg", None, "the CKG dataset that holds the keys", flag_values=values)
    flags.DEFINE_string("type", None, "type of KEY; by default item, or the only type", flag_values=values)
    flags.DEFINE_list("to", None, "types to look for; KEY's own by default", flag_values=values)
    flags.DEFINE_integer("k", 10, "neighbours to show", 1, flag_values=values)
    flags.DEFINE_enum("metric", "l2", ["l2", "cosine"], "distance: Euclidean, or 1 - cosine", flag_values=values)
    flags.DEFINE_bool("json", False, "print JSON", flag_values=values)
    return values


def _call(values: flags.FlagValues, rest: list[str]) -> None:
    rest = command.operands(NAME, rest)
    if len(rest) != 1 or not rest[0]:
        raise ConfigError(f"one KEY is needed, got {' '.join(rest) or 'none'}; see kdcn {NAME} --help")
    command.required(values, "embeddings", "ckg")
    embeddings = manifest.read(values.embeddings, manifest.EMBEDDINGS)
    ckg = manifest.read(values.ckg, manifest.CKG)
    manifest.require_same_ids(embeddings, ckg)
    exported = [name for name in ckg.require_id_map().ranges if name in embeddings.files]
    entity_type = values.type or (exported[0] if len(exported) == 1 else schema.ITEM)
    targets = list(dict.fromkeys(values.to or [entity_type]))
    for flag, name in [("type", entity_type), *(("to", target) for target in targets)]:
        if name not in exported:
            raise ConfigError(
                f"--{flag}: no entity type {name!r} in {values.embeddings}; it has: {', '.join(exported)}"
            )
    found = _search(values, embeddings, ckg, rest[0], entity_type, targets)
    print(json.dumps(found, ensure_ascii=False) if values.json else _table(found))


def _search(
    values: flags.FlagValues, embeddings: Manifest, ckg: Manifest, name: str, entity_type: str, targets: list[str]
) -> dict:
    from kdcn_tf.export import lookup, similarity

    entity_id, key = lookup.find_id(values.ckg, ckg, entity_type, name)
    query = similarity.vector_of(values.embeddings, embeddings, entity_type, entity_id)
    rows, exact = [], True
    for target in targets:
        # One more than asked for: the entity is its own nearest.
        near, all_compared = similarity.nearest(
            values.embeddings, embeddings, target, query, values.k + 1, values.metric
        )
        rows += [(distance, target, other) for other, distance in near if other != entity_id]
        exact = exact and all_compared
    rows = sorted(rows)[: values.k]
    ids = {target: np.array([other for _, kind, other in rows if kind == target]) for target in targets}
    keys = lookup.keys_of(values.ckg, ckg, ids)
    return {
        "key": key,
        "type": entity_type,
        "metric": values.metric,
        "exact": exact,
        "neighbors": [{"key": keys[other], "type": kind, "distance": distance} for distance, kind, other in rows],
    }


def _table(found: dict) -> str:
    neighbors = found["neighbors"]
    width = max([len("key"), *(len(row["key"]) for row in neighbors)])
    kinds = max([len("type"), *(len(row["type"]) for row in neighbors)])
    how = "exact" if found["exact"] else "approximate, by an IVF index"
    return "\n".join(
        [
            f"nearest to {found['type']} {found['key']!r} by {found['metric']} ({how})",
            f"{'key':<{width}}  {'type':<{kinds}}  distance",
            *(f"{row['key']:<{width}}  {row['type']:<{kinds}}  {row['distance']:.4f}" for row in neighbors),
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    command.run(NAME, __doc__ or "", _flags(), _call, argv, pass_through=True)


if __name__ == "__main__":
    main()
