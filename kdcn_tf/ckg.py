"""Schema of the conversation knowledge graph (CKG), as data.

The nine patterns are those of the paper, section III-A-1. To add one, append a row here and yield its
triples from `pipelines/statements.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kdcn_tf.errors import ConfigError

PAD_ID = 0
"""Entity id that belongs to no entity: padding of lists, and row 0 of every entity table."""

USER, USER_TAG = "user", "user_tag"
ITEM, CATEGORY, SELLER = "item", "category", "seller"
PROPERTY, VALUE = "property", "value"
SESSION, INTENTION, KEYWORD = "session", "intention", "keyword"

ENTITY_TYPES = (
    USER, USER_TAG, ITEM, CATEGORY, SELLER, PROPERTY, VALUE, SESSION, INTENTION, KEYWORD,
)  # fmt: skip
"""Types of the paper, in id order; types of extra triples follow, sorted by name."""

CLICK_TYPES = (ITEM, KEYWORD, USER)
"""Types whose vectors click models read."""

RARE_FILTERED_TYPES = (USER_TAG, VALUE, PROPERTY, INTENTION, KEYWORD)
"""Attribute types, whose rare members are dropped (paper, IV-B). Users, items, sellers, sessions and
categories are what the model ranks or slices by, and stay."""


@dataclass(frozen=True)
class Pattern:
    """One triple pattern: (head type, relation name, tail type)."""

    head: str
    relation: str
    tail: str

    @property
    def name(self) -> str:
        """Unique name, used as the relation when every pattern has an embedding of its own."""
        return f"{self.head}.{self.relation}.{self.tail}"


USER_HAS_TAG = Pattern(USER, "has", USER_TAG)
ITEM_BELONGS_TO_CATEGORY = Pattern(ITEM, "belong_to", CATEGORY)
SELLER_HAS_ITEM = Pattern(SELLER, "has", ITEM)
ITEM_HAS_VALUE = Pattern(ITEM, "has", VALUE)
PROPERTY_HAS_VALUE = Pattern(PROPERTY, "has", VALUE)
USER_CREATED_SESSION = Pattern(USER, "created", SESSION)
SESSION_RELATES_TO_SELLER = Pattern(SESSION, "relate_to", SELLER)
SESSION_HAS_INTENTION = Pattern(SESSION, "has", INTENTION)
INTENTION_HAS_KEYWORD = Pattern(INTENTION, "has", KEYWORD)

PAPER_PATTERNS = (
    USER_HAS_TAG, ITEM_BELONGS_TO_CATEGORY, SELLER_HAS_ITEM, ITEM_HAS_VALUE, PROPERTY_HAS_VALUE,
    USER_CREATED_SESSION, SESSION_RELATES_TO_SELLER, SESSION_HAS_INTENTION, INTENTION_HAS_KEYWORD,
)  # fmt: skip

ITEM_HAS_KEYWORD = Pattern(ITEM, "has", KEYWORD)
SESSION_HAS_KEYWORD = Pattern(SESSION, "has", KEYWORD)
USER_INTERACTED_ITEM = Pattern(USER, "interacted", ITEM)

LOG_PATTERNS = (*PAPER_PATTERNS, ITEM_HAS_KEYWORD, SESSION_HAS_KEYWORD, USER_INTERACTED_ITEM)
"""Every pattern that logs can yield, in the order of relation ids."""


def relation_key(pattern: Pattern, mode: str) -> str:
    """Name under which `pattern`'s relation is embedded.

    Args:
        pattern: the triple pattern.
        mode: "name" (the six `has` patterns share one embedding, as the paper writes it) or
            "pattern" (each pattern has its own).
    """
    if mode not in ("name", "pattern"):
        raise ConfigError(f"relation mode must be 'name' or 'pattern', got {mode!r}")
    return pattern.relation if mode == "name" else pattern.name


@dataclass(frozen=True)
class IdMap:
    """Id ranges [first, last) of every entity type, and the relation names by id.

    A graph built on an older one appends its new entities of a type as a further range, behind every id before.

    Attributes:
        ranges: entity type -> its first range.
        relations: names.
        fingerprint: identifies the assignment key -> id: two datasets may be joined by id only if theirs are equal.
        grown: entity type -> its further ranges, in id order; types that have none are left out.
    """

    ranges: dict[str, tuple[int, int]]
    relations: tuple[str, ...]
    fingerprint: str
    grown: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    @property
    def num_ids(self) -> int:
        """Number of rows an entity table needs: every entity and row 0 for PAD."""
        return max((last for entity_type in self.ranges for _, last in self.spans(entity_type)), default=1)

    def range_of(self, entity_type: str) -> tuple[int, int]:
        """First range of a type.

        Raises:
            ConfigError: the graph has no such type.
        """
        if entity_type not in self.ranges:
            raise ConfigError(f"unknown entity type {entity_type!r}; known: {', '.join(self.ranges)}")
        return self.ranges[entity_type]

    def spans(self, entity_type: str) -> tuple[tuple[int, int], ...]:
        """All ranges of a type, in id order.

        Raises:
            ConfigError: the graph has no such type.
        """
        return (self.range_of(entity_type), *self.grown.get(entity_type, ()))

    def type_starts(self) -> list[tuple[int, int]]:
        """(first id, number of the type, in the order of `ranges`) of every range that isn't empty, by id."""
        rows = [(first, n) for n, name in enumerate(self.ranges) for first, last in self.spans(name) if first < last]
        return sorted(rows)

    def size(self, entity_type: str) -> int:
        """Number of entities of a type.

        Raises:
            ConfigError: the graph has no such type.
        """
        return sum(last - first for first, last in self.spans(entity_type))

    def to_json(self) -> dict:
        grown = {name: [list(span) for span in spans] for name, spans in self.grown.items() if spans}
        return {
            "ranges": {name: list(span) for name, span in self.ranges.items()},
            "relations": list(self.relations),
            "fingerprint": self.fingerprint,
            **({"grown": grown} if grown else {}),
        }

    @classmethod
    def from_json(cls, data: dict) -> "IdMap":
        """Raises: ValueError: ranges overlap, or a type's further ones aren't behind its first."""
        ranges = {name: _span(span) for name, span in data["ranges"].items()}
        grown = {name: tuple(_span(span) for span in spans) for name, spans in data.get("grown", {}).items()}
        if unknown := sorted(grown.keys() - ranges.keys()):
            raise ValueError(f"{unknown[0]} has further ranges, but no first one")
        for name, spans in grown.items():
            _require_order((name, span) for span in (ranges[name], *spans))
        further = ((name, span) for name, spans in grown.items() for span in spans)
        _require_order(sorted([*ranges.items(), *further], key=lambda row: row[1]))
        return cls(ranges, tuple(map(str, data["relations"])), str(data["fingerprint"]), grown)


def _span(span: Sequence[int]) -> tuple[int, int]:
    return int(span[0]), int(span[1])


def _require_order(spans: Iterable[tuple[str, tuple[int, int]]]) -> None:
    following = 1
    for name, (first, last) in spans:
        if not following <= first <= last:
            raise ValueError(f"ids of {name} are not behind those before them: [{first}, {last})")
        following = last
