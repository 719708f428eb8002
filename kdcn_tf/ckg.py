"""Schema of the conversation knowledge graph (CKG), as data.

The nine patterns are those of the paper, section III-A-1. To add one, append a row here and yield its
triples from `pipelines/statements.py`.
"""

from dataclasses import dataclass

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
    """Contiguous id range [first, last) of every entity type, and the relation names by id.

    `fingerprint` identifies the assignment key -> id: two datasets may be joined by id only if
    their fingerprints are equal.
    """

    ranges: dict[str, tuple[int, int]]
    relations: tuple[str, ...]
    fingerprint: str

    @property
    def num_ids(self) -> int:
        """Number of rows an entity table needs: every entity and row 0 for PAD."""
        return max((last for _, last in self.ranges.values()), default=1)

    def range_of(self, entity_type: str) -> tuple[int, int]:
        if entity_type not in self.ranges:
            raise ConfigError(f"unknown entity type {entity_type!r}; known: {', '.join(self.ranges)}")
        return self.ranges[entity_type]

    def to_json(self) -> dict:
        return {
            "ranges": {name: list(span) for name, span in self.ranges.items()},
            "relations": list(self.relations),
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, data: dict) -> "IdMap":
        ranges = {name: (int(span[0]), int(span[1])) for name, span in data["ranges"].items()}
        following = 1
        for name, (first, last) in sorted(ranges.items(), key=lambda item: item[1]):
            if not following <= first <= last:
                raise ValueError(f"ids of {name} are not behind those before them: [{first}, {last})")
            following = last
        return cls(ranges, tuple(map(str, data["relations"])), str(data["fingerprint"]))
