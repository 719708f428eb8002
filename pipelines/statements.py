"""From columns of checked records to the triples that each record states. Pure, no Beam.

Entities and patterns are hashes (`pipelines.hashing`); the names behind them are collected beside.
"""

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kdcn_tf import ckg, keys
from kdcn_tf.ckg import Pattern
from kdcn_tf.config import CkgConfig
from pipelines import hashing
from pipelines.hashing import Hashes

KEY, DIGEST, LINE = "key", "digest", "line"
HEAD, PATTERN, TAIL = "head", "pattern", "tail"


class Names(NamedTuple):
    """Distinct entities of one type: keys and their hashes."""

    entity_type: str
    keys: list[str]
    hashes: Hashes


class Statements(NamedTuple):
    """What a batch of records states.

    Attributes:
        records: KEY (of equal ones only one counts), DIGEST (decides which), LINE, and the triples as three
            lists HEAD (uint64), PATTERN (uint32), TAIL (uint64).
        names: of all entities in it.
        patterns: of all triples in it.
    """

    records: pa.Table
    names: list[Names]
    patterns: list[Pattern]


def columns_of(stream: str, config: CkgConfig) -> frozenset[str] | None:
    """Columns of a stream that its statements are made of; None: all."""
    if stream == "items" and not config.item_keywords:
        return frozenset({LINE, DIGEST, "item_id", "category", "seller_id", "property_names", "property_values"})
    return None


@functools.cache
def pattern_hash(pattern: Pattern, salt: int) -> np.uint32:
    """Half a hash: there are few patterns, and one per triple. Two that are equal are refused (`pipelines.triples`)."""
    text = f"{pattern.head}\t{pattern.relation}\t{pattern.tail}"
    return hashing.of_texts([text], "pattern", salt)[0].astype(np.uint32)


class _Batch:
    """Collects the triples and names of a batch's records, which are numbered from 0."""

    def __init__(self, rows: pa.Table, salt: int):
        self.rows, self._salt = rows, salt
        self._triples: list[tuple[np.ndarray, Pattern, Hashes, Hashes]] = []
        self._names: list[Names] = []

    def column(self, name: str) -> pa.Array:
        return self.rows.column(name).combine_chunks()

    def entities(self, entity_type: str, raw: pa.Array) -> Hashes:
        """Hashes of the entities with these raw names, row by row."""
        encoded = raw.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        if entity_type in keys.PRIVATE_TYPES:
            texts = [keys.entity_key(entity_type, text) for text in texts]
        return self._named(entity_type, texts)[encoded.indices.to_numpy(zero_copy_only=False)]

    def _named(self, entity_type: str, texts: list[str]) -> Hashes:
        hashes = hashing.of_texts(texts, entity_type, self._salt)
        self._names.append(Names(entity_type, texts, hashes))
        return hashes

    def categories(self, paths: pa.Array) -> tuple[np.ndarray, Hashes]:
        """(row, hash) of every level of the records' category paths."""
        offsets = pa.array(np.r_[0, np.cumsum(pc.list_value_length(paths).to_numpy())], pa.int32())
        levels = pa.ListArray.from_arrays(offsets, pc.replace_substring(paths.flatten(), "/", "|"))
        whole = pc.binary_join(levels, "/").dictionary_encode()
        per_path = [keys.category_levels(path.split("/")) for path in whole.dictionary.to_pylist()]
        known = self._named(ckg.CATEGORY, list(dict.fromkeys(key for path in per_path for key in path)))
        place = {key: i for i, key in enumerate(self._names[-1].keys)}
        lengths = np.array([len(path) for path in per_path], np.int64)
        flat = known[np.array([place[key] for path in per_path for key in path], np.int64)]
        starts = np.cumsum(lengths) - lengths
        chosen = whole.indices.to_numpy(zero_copy_only=False)
        repeats = lengths[chosen]
        within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        return np.repeat(np.arange(len(chosen)), repeats), flat[np.repeat(starts[chosen], repeats) + within]

    def add(self, pattern: Pattern, rows: np.ndarray, heads: Hashes, tails: Hashes) -> None:
        if len(rows):
            self._triples.append((rows, pattern, heads, tails))

    def optional(
        self, pattern: Pattern, entity_type: str, name: str, this: Hashes, head: bool
    ) -> tuple[np.ndarray, Hashes]:
        """Adds (this, entity) or (entity, this) where the column isn't null; gives (rows, entities)."""
        column = self.column(name)
        rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
        found = self.entities(entity_type, column.drop_null())
        self.add(pattern, rows, found if head else this[rows], this[rows] if head else found)
        return rows, found

    def each(self, name: str) -> tuple[np.ndarray, pa.Array]:
        """(row, value) of all values of a list column."""
        lists = self.column(name)
        return pc.list_parent_indices(lists).to_numpy(), lists.flatten()

    def finish(self, key: Hashes, digest: np.ndarray | None = None) -> Statements:
        number = self.rows.num_rows
        rows = np.concatenate([t[0] for t in self._triples] or [np.zeros(0, np.int64)])
        order = np.argsort(rows, kind="stable")
        offsets = np.r_[0, np.cumsum(np.bincount(rows, minlength=number))].astype(np.int32)

        def lists(values: Iterable[np.ndarray], kind: type = np.uint64) -> pa.Array:
            flat = np.concatenate([*values, np.zeros(0, kind)])
            return pa.ListArray.from_arrays(offsets, pa.array(flat[order]))

        made = pa.table(
            {
                KEY: key,
                DIGEST: self.rows.column(DIGEST) if digest is None else digest,
                LINE: self.rows.column(LINE),
                HEAD: lists(t[2] for t in self._triples),
                PATTERN: lists((np.full(len(t[0]), pattern_hash(t[1], self._salt)) for t in self._triples), np.uint32),
                TAIL: lists(t[3] for t in self._triples),
            }
        )
        return Statements(made, self._names, list(dict.fromkeys(t[1] for t in self._triples)))


def of_users(rows: pa.Table, config: CkgConfig) -> Statements:
    batch = _Batch(rows, config.hash_salt)
    users = batch.entities(ckg.USER, batch.column("user_id"))
    owners, tags = batch.each("tags")
    batch.add(ckg.USER_HAS_TAG, owners, users[owners], batch.entities(ckg.USER_TAG, tags))
    return batch.finish(users)


def of_items(rows: pa.Table, config: CkgConfig) -> Statements:
    """An item belongs to every level of its category path, so that the levels are linked through it."""
    batch = _Batch(rows, config.hash_salt)
    items = batch.entities(ckg.ITEM, batch.column("item_id"))
    owners, categories = batch.categories(batch.column("category"))
    batch.add(ckg.ITEM_BELONGS_TO_CATEGORY, owners, items[owners], categories)
    batch.optional(ckg.SELLER_HAS_ITEM, ckg.SELLER, "seller_id", items, head=True)
    owners, names = batch.each("property_names")
    _, shown = batch.each("property_values")
    values = batch.entities(ckg.VALUE, pc.binary_join_element_wise(names, shown, "="))
    batch.add(ckg.ITEM_HAS_VALUE, owners, items[owners], values)
    batch.add(ckg.PROPERTY_HAS_VALUE, owners, batch.entities(ckg.PROPERTY, names), values)
    if config.item_keywords:
        owners, words = batch.each("keywords")
        batch.add(ckg.ITEM_HAS_KEYWORD, owners, items[owners], batch.entities(ckg.KEYWORD, words))
    return batch.finish(items)


def of_sessions(rows: pa.Table, config: CkgConfig) -> Statements:
    """Keywords hang on the intention (paper); on the session itself only with ckg.session_keywords."""
    batch = _Batch(rows, config.hash_salt)
    sessions = batch.entities(ckg.SESSION, batch.column("session_id"))
    everyone = np.arange(len(sessions))
    batch.add(ckg.USER_CREATED_SESSION, everyone, batch.entities(ckg.USER, batch.column("user_id")), sessions)
    batch.optional(ckg.SESSION_RELATES_TO_SELLER, ckg.SELLER, "seller_id", sessions, head=False)
    intended, intentions = batch.optional(ckg.SESSION_HAS_INTENTION, ckg.INTENTION, "intention", sessions, head=False)
    owners, texts = batch.each("keywords")
    intention_of = np.full(len(sessions), -1)
    intention_of[intended] = np.arange(len(intended))
    with_intention = intention_of[owners] >= 0
    if not config.session_keywords:
        owners, texts = owners[with_intention], texts.filter(pa.array(with_intention))
        with_intention = np.ones(len(owners), bool)
    words = batch.entities(ckg.KEYWORD, texts)
    under = owners[with_intention]
    batch.add(ckg.INTENTION_HAS_KEYWORD, under, intentions[intention_of[under]], words[with_intention])
    if config.session_keywords:
        batch.add(ckg.SESSION_HAS_KEYWORD, owners, sessions[owners], words)
    return batch.finish(sessions)


def of_behaviors(rows: pa.Table, config: CkgConfig) -> Statements:
    """A behaviour counts once: its key is who and what, its digest the kind and time."""
    batch = _Batch(rows, config.hash_salt)
    users, items = (batch.entities(kind, batch.column(f"{kind}_id")) for kind in (ckg.USER, ckg.ITEM))
    batch.add(ckg.USER_INTERACTED_ITEM, np.arange(len(users)), users, items)
    kinds = batch.column("kind").dictionary_encode()
    kind_hashes = hashing.of_texts(kinds.dictionary.to_pylist(), "behavior")[kinds.indices.to_numpy()]
    times = batch.column("timestamp").to_numpy().view(np.uint64)
    return batch.finish(hashing.combined(users, items), hashing.combined(kind_hashes, times).view(np.int64))


def of_extras(rows: pa.Table, head_type: str, tail_type: str, salt: int) -> Statements:
    """Lines of an outside graph; a line that says the same as another counts once."""
    batch = _Batch(rows, salt)
    heads = batch.entities(head_type, batch.column("head"))
    tails = batch.entities(tail_type, batch.column("tail"))
    relations = batch.column("relation").dictionary_encode()
    codes = relations.indices.to_numpy()
    for code, relation in enumerate(relations.dictionary.to_pylist()):
        chosen = np.flatnonzero(codes == code)
        batch.add(Pattern(head_type, relation, tail_type), chosen, heads[chosen], tails[chosen])
    said = hashing.of_texts(relations.dictionary.to_pylist(), "relation")[codes]
    return batch.finish(hashing.combined(heads, said), tails.view(np.int64))


OF_STREAM: dict[str, Callable[[pa.Table, CkgConfig], Statements]] = {
    "users": of_users,
    "items": of_items,
    "sessions": of_sessions,
    "behaviors": of_behaviors,
}
