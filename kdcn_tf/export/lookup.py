"""Keys and ids of entities, one id map file of a CKG dataset at a time."""

import heapq
from collections.abc import Iterator, Mapping

import numpy as np

from kdcn_tf import keys
from kdcn_tf.data.entities import ENTITIES, read_keys
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest

_SUGGESTIONS = 5


def keys_of(ckg_directory: str, graph: Manifest, ids: Mapping[str, np.ndarray]) -> dict[int, str]:
    """Key of every id; `ids` are given by entity type."""
    found: dict[int, str] = {}
    for entity_type, wanted in ids.items():
        for entry in graph.files.get(ENTITIES + entity_type, ()):
            inside = wanted[(wanted >= entry.first) & (wanted < entry.first + entry.count)]
            if len(inside):
                names = read_keys(ckg_directory, entry)
                found |= {int(i): names[int(i) - entry.first] for i in inside}
    return found


def find_id(ckg_directory: str, graph: Manifest, entity_type: str, key: str) -> tuple[int, str]:
    """Id and key of the entity that a person names.

    Users and sessions stand in the graph under pseudonyms: of those, the raw id is found too.

    Raises:
        ConfigError: there is none; keys like it are named, but no pseudonyms.
        DataError: an id map file is wrong.
    """
    private = entity_type in keys.PRIVATE_TYPES
    wanted = {key}
    if private:
        try:
            wanted.add(keys.entity_key(entity_type, key))
        except ValueError as error:
            raise ConfigError(f"{entity_type} {key!r}: {error}") from None
    for entity_id, name in _entities(ckg_directory, graph, entity_type):
        if name in wanted:
            return entity_id, name
    close = [] if private else _close(key, (name for _, name in _entities(ckg_directory, graph, entity_type)))
    hint = f"; did you mean {', '.join(map(repr, close))}?" if close else ""
    raise ConfigError(f"no {entity_type} {key!r} in the graph{hint}")


def _entities(ckg_directory: str, graph: Manifest, entity_type: str) -> Iterator[tuple[int, str]]:
    for entry in graph.group(ENTITIES + entity_type):
        yield from enumerate(read_keys(ckg_directory, entry), start=entry.first)


def _close(key: str, names: Iterator[str]) -> list[str]:
    """Keys that begin with `key`, whatever the case; the shortest first, so that equal ones lead."""
    folded = key.casefold()
    like = (name for name in names if name.casefold().startswith(folded))
    return heapq.nsmallest(_SUGGESTIONS, like, key=lambda name: (len(name), name))
