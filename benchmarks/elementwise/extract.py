"""From records to triples of the knowledge graph. Pure functions, no Beam.

A triple travels as one text, five fields with tabs between (keys have no control characters): head
type, head key, relation, tail type, tail key. An entity is the text `type<TAB>key`.
"""

from kdcn_tf import ckg, keys
from kdcn_tf.ckg import Pattern
from kdcn_tf.config import CkgConfig
from pipelines.logs import Behavior, Item, Record, Session, User
from pipelines.names import category_entities, entity


def triple(pattern: Pattern, head: str, tail: str) -> str:
    """Text of a triple; `head` and `tail` are entities of the pattern's types."""
    return f"{head}\t{pattern.relation}\t{tail}"


def split_triple(text: str) -> tuple[str, Pattern, str]:
    """Head entity, pattern and tail entity of a triple's text."""
    head_type, head, relation, tail_type, tail = text.split("\t")
    return f"{head_type}\t{head}", Pattern(head_type, relation, tail_type), f"{tail_type}\t{tail}"


def triples(record: Record, config: CkgConfig) -> list[str]:
    """Triples of one record, by its kind; impressions yield none."""
    if isinstance(record, User):
        return user_triples(record)
    if isinstance(record, Item):
        return item_triples(record, config)
    if isinstance(record, Session):
        return session_triples(record, config)
    if isinstance(record, Behavior) and config.interactions:
        return [interaction_triple(record)]
    return []


def user_triples(user: User) -> list[str]:
    head = entity(ckg.USER, user.user_id)
    return [triple(ckg.USER_HAS_TAG, head, entity(ckg.USER_TAG, tag)) for tag in user.tags]


def item_triples(item: Item, config: CkgConfig) -> list[str]:
    """An item belongs to every level of its category path, so that the levels are linked through it."""
    this = entity(ckg.ITEM, item.item_id)
    found = [triple(ckg.ITEM_BELONGS_TO_CATEGORY, this, category) for category in category_entities(item.category)]
    if item.seller_id is not None:
        found.append(triple(ckg.SELLER_HAS_ITEM, entity(ckg.SELLER, item.seller_id), this))
    for name, shown in item.properties:
        value = entity(ckg.VALUE, keys.value_key(name, shown))
        found.append(triple(ckg.ITEM_HAS_VALUE, this, value))
        found.append(triple(ckg.PROPERTY_HAS_VALUE, entity(ckg.PROPERTY, name), value))
    if config.item_keywords:
        found += [triple(ckg.ITEM_HAS_KEYWORD, this, entity(ckg.KEYWORD, word)) for word in item.keywords]
    return found


def session_triples(session: Session, config: CkgConfig) -> list[str]:
    """Keywords hang on the intention (paper); on the session itself only with ckg.session_keywords."""
    this = entity(ckg.SESSION, session.session_id)
    words = [entity(ckg.KEYWORD, word) for word in session.keywords]
    found = [triple(ckg.USER_CREATED_SESSION, entity(ckg.USER, session.user_id), this)]
    if session.seller_id is not None:
        found.append(triple(ckg.SESSION_RELATES_TO_SELLER, this, entity(ckg.SELLER, session.seller_id)))
    if session.intention is not None:
        intention = entity(ckg.INTENTION, session.intention)
        found.append(triple(ckg.SESSION_HAS_INTENTION, this, intention))
        found += [triple(ckg.INTENTION_HAS_KEYWORD, intention, word) for word in words]
    if config.session_keywords:
        found += [triple(ckg.SESSION_HAS_KEYWORD, this, word) for word in words]
    return found


def interaction_triple(behavior: Behavior) -> str:
    user, item = entity(ckg.USER, behavior.user_id), entity(ckg.ITEM, behavior.item_id)
    return triple(ckg.USER_INTERACTED_ITEM, user, item)
