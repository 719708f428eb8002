"""Ids of entities: where they begin, who is told which, and the files of the id map.

An id is: first id of the part + place in it. Only the parts' sizes are gathered in one place.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kdcn_tf import ckg
from kdcn_tf.manifest import DataFile
from kdcn_tf.options import fingerprint
from pipelines import exchange, writing
from pipelines.batches import column

CODE, RANK, PLACE = "code", "rank", "place"
DROPPED, GIVEN = -1, -2
"""Codes in place of a type's: the entity isn't kept; it has an id already, which stands for the rank."""

Part = tuple[str, int]
"""Entity type and part of the hashes' range."""


def type_order(entity_type: str) -> tuple[int, str]:
    """Sort key of types: those of the paper in their order, then the others by name."""
    known = ckg.ENTITY_TYPES.index(entity_type) if entity_type in ckg.ENTITY_TYPES else len(ckg.ENTITY_TYPES)
    return known, entity_type


def first_ids(sizes: Iterable[tuple[Part, int]], first: int = ckg.PAD_ID + 1) -> dict[Part, int]:
    """First id of every part; id 0 is PAD."""
    found = {}
    for part, size in sorted(sizes, key=lambda row: (type_order(row[0][0]), row[0][1])):
        found[part] = first
        first += size
    return found


class Plan(NamedTuple):
    """Where ids begin.

    Attributes:
        firsts: first id of every part.
        spans: type -> its new ids [first, last).
        first: of all new ids; smaller ones are given.
    """

    firsts: dict[Part, int]
    spans: dict[str, tuple[int, int]]
    first: int

    @property
    def number(self) -> int:
        """Entities in all."""
        return max((last for _, last in self.spans.values()), default=self.first) - 1


def plan(sizes: Iterable[tuple[Part, int]], first_id: int = ckg.PAD_ID + 1) -> Plan:
    found = list(sizes)
    firsts = first_ids(found, first_id)
    spans: dict[str, tuple[int, int]] = {}
    for part, size in found:
        first, last = spans.get(part[0], (firsts[part], 0))
        spans[part[0]] = min(first, firsts[part]), max(last, firsts[part] + size)
    return Plan(firsts, spans, first_id)


class Answer(NamedTuple):
    """Ids of the entities that a file's triples of one origin name, as far as one part of the hashes' range goes.

    Attributes:
        part: the part.
        types: entity types by code.
        first: place of the first row.
        packed: Arrow bytes of CODE and RANK in the part; of properties with a column of places.
    """

    part: int
    types: list[str]
    first: int
    packed: bytes


def ids_of(number: int, told: Iterable[Answer], ids: Plan) -> np.ndarray:
    """Ids of `number` entities, by place; `PAD_ID` where one isn't kept.

    Raises:
        ValueError: a part didn't answer all that it was asked.
    """
    found = np.full(number, ckg.PAD_ID, np.int64)
    answered = 0
    for answer in told:
        rows = exchange.unpack([answer.packed])
        if PLACE in rows.column_names:
            place = column(rows, PLACE)
        else:
            place = np.arange(answer.first, answer.first + rows.num_rows)
            answered += rows.num_rows
        code = column(rows, CODE)
        firsts = np.array([ids.firsts[entity_type, answer.part] for entity_type in answer.types], np.int64)
        kept = code >= 0
        found[place[kept]] = firsts[code[kept]] + column(rows, RANK)[kept]
        has_id = code == GIVEN
        found[place[has_id]] = column(rows, RANK)[has_id]
    if answered != number:
        raise ValueError(f"{answered} of {number} entities were answered for")
    return found


def write_keys(directory: str, entity_type: str, data: bytes, *, count: int, first: int) -> writing.FileRow:
    """Writes a file of the id map, named by its first id so that names sort as ids do."""
    group = f"entities/{entity_type}"
    name = f"entities-{entity_type}-{first:012d}.txt"
    return writing.write_file(directory, group=group, name=name, data=data, count=count, first=first)


def id_map(groups: dict[str, tuple[DataFile, ...]], relations: Iterable[str]) -> ckg.IdMap:
    """The id map that written `entities/<type>` files make up."""
    ranges: dict[str, tuple[int, int]] = {}
    grown: dict[str, tuple[tuple[int, int], ...]] = {}
    digests = []
    for group, parts in groups.items():
        entity_type = group.removeprefix("entities/")
        first, *more = _spans(parts)
        ranges[entity_type] = first
        if more:
            grown[entity_type] = tuple(more)
        digests.append([entity_type, [part.sha256 for part in parts]])
    return ckg.IdMap(ranges, tuple(relations), fingerprint(digests), grown)


def _spans(parts: Iterable[DataFile]) -> list[tuple[int, int]]:
    """Ranges of ids that files, in their order, make up."""
    found: list[tuple[int, int]] = []
    for part in parts:
        follows = found and found[-1][1] == part.first
        first = found.pop()[0] if follows else part.first
        found.append((first, part.first + part.count))
    return found
