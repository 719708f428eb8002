"""The steps from raw logs and a knowledge graph to CTR examples, put together."""

import hashlib

import apache_beam as beam

from kdcn_tf import ckg, keys
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import Manifest
from kdcn_tf.records import OOV_ID
from pipelines import dedupe, known_items, leaks, moments, names, reading, writing
from pipelines.counting import COUNTS, DEAD, GOOD, CountingDoFn
from pipelines.ctr_examples import Event, Shown, known, split_of, user_examples
from pipelines.inputs import Inputs
from pipelines.job import Outputs
from pipelines.logs import Behavior, Impression, Item
from pipelines.names import category_entities, entity
from pipelines.triples import VALID

STREAMS = ("items", "behaviors", "impressions")
ID_TYPES = (ckg.USER, ckg.ITEM, ckg.CATEGORY, ckg.KEYWORD)
UNKNOWN_USERS, UNKNOWN_CANDIDATES = "oov.valid.user", "oov.valid.item"
"""Counts of validation's examples whose user, or candidate, the graph doesn't know."""

_QUERY_SEPARATOR = "\x1f"  # no keyword holds a control character


def times(config: Config) -> tuple[float, float]:
    """train_end and valid_end.

    Raises:
        ConfigError: one isn't set.
    """
    found = []
    for name in ("train_end", "valid_end"):
        value = getattr(config.time, name)
        if value is None:
            raise ConfigError(f"time.{name}: is required; --set time.{name}=<seconds since 1970>")
        found.append(value)
    return found[0], found[1]


def item_claim(item: Item, digest: int, max_categories: int) -> tuple[str, dedupe.Claim]:
    """The item with its names (itself, title keywords, categories) and (number of keywords, statistics)."""
    words = [entity(ckg.KEYWORD, word) for word in item.keywords]
    this = entity(ckg.ITEM, item.item_id)
    entities = [this, *words, *category_entities(item.category)[:max_categories]]
    return dedupe.claim(item, (this, (entities, (len(words), item.stats))), digest)


class ItemFacts(beam.PTransform):
    """{"pipeline", "ids"} -> outputs GOOD (item entity, (id, title ids, category ids, stats)), DEAD, COUNTS."""

    def __init__(self, paths: tuple[str, ...], config: Config):
        super().__init__()
        self._paths, self._config = paths, config

    def expand(self, ids):
        config = self._config
        parse = reading.ParseRecords("items", config.logs, digests=True)
        parsed = ids.pipeline | reading.ReadFiles(self._paths, parse)
        claims = parsed[GOOD] | "Claim" >> beam.MapTuple(
            lambda item, digest: item_claim(item, digest, config.ctr.max_categories)
        )
        winners = claims | dedupe.PickWinners("items")
        resolved = {"names": winners[GOOD], "ids": ids} | names.ResolveNames()
        return {
            GOOD: resolved[GOOD] | "Facts" >> beam.MapTuple(_item_facts),
            DEAD: parsed[DEAD],
            COUNTS: (parsed[COUNTS], winners[COUNTS], resolved[COUNTS]) | "Counts" >> beam.Flatten(),
        }


def _item_facts(item, resolved):
    ids, (words, stats) = resolved
    return item, (ids[0], ids[1 : 1 + words], ids[1 + words :], stats)


def _behavior_row(config: Config):
    places = {kind: place for place, kind in enumerate(config.logs.behaviors)}

    def row(record: Behavior, file: str, line: int):
        payload = (entity(ckg.USER, record.user_id), places[record.kind], record.timestamp)
        return entity(ckg.ITEM, record.item_id), ("behaviors", payload, file, line)

    return row


def _impression_row(record: Impression, file: str, line: int):
    payload = (
        entity(ckg.USER, record.user_id),
        record.timestamp,
        keys.session_number(record.session_id),
        record.label,
        record.weight,
        record.source,
        record.position,
        _QUERY_SEPARATOR.join(record.query),
        record.stats,
    )
    return entity(ckg.ITEM, record.item_id), ("impressions", payload, file, line)


def _to_event(facts, row):
    user, kind, timestamp = row[1]
    return user, (timestamp, kind, facts[0])


def _to_shown(facts, row):
    """(query, (user, fields of `Shown` without the query)); an impression's statistic wins over the item's."""
    item, title, categories, stats = facts
    user, timestamp, session, label, weight, source, position, query, own = row[1]
    merged = sorted({**dict(stats), **dict(own)}.items())
    return query, (user, timestamp, session, item, label, weight, source, position, title, categories, merged)


def _stats_of(shown, train_end: float):
    _, fields = shown
    return [fields[-1]] if fields[1] < train_end else []


class QueryIds(beam.PTransform):
    """{"queries": texts, "ids"} -> outputs GOOD (query, keyword ids), COUNTS."""

    def expand(self, inputs):
        named = (
            inputs["queries"]
            | "Distinct" >> beam.Distinct()
            | "HasWords" >> beam.Filter(bool)
            | "Words" >> beam.Map(_query_names)
        )
        resolved = {"names": named, "ids": inputs["ids"]} | names.ResolveNames()
        first = resolved[GOOD] | "FirstFound" >> beam.MapTuple(lambda query, found: (query, found[0]))
        return {GOOD: first, COUNTS: resolved[COUNTS]}


def _query_names(query: str):
    return query, ([entity(ckg.KEYWORD, word) for word in query.split(_QUERY_SEPARATOR)], None)


def _join_query(element):
    """(query, its ids as a list and its impressions as tuples) -> (user, impression with ids)."""
    _, values = element
    ids = next((value for value in values if isinstance(value, list)), [])
    return ((value[0], (ids, *value[1:])) for value in values if isinstance(value, tuple))


class UserExamples(CountingDoFn):
    """(user, id and behaviours and impressions) -> (split, order + example)."""

    def __init__(self, config: Config):
        self._config = config

    def process(self, element, sums: dict[str, moments.Sums]):
        _, values = element
        user, events, shown = OOV_ID, [], []
        for value in values:
            if isinstance(value, int):
                user = value
            elif len(value) == 3:
                events.append(Event(*value))
            else:
                shown.append(self._shown(value))
        self._count_behaviors(events, shown)
        self._count_unknown(user, shown)
        found = user_examples(events, shown, user=user, dense_names=sorted(sums), config=self._config)
        for timestamp, example in found:
            order = int.from_bytes(hashlib.blake2b(example, digest_size=8).digest(), "little", signed=True)
            yield self._split(timestamp), writing.with_order(order, example)

    def _count_behaviors(self, events: list[Event], shown: list[Shown]) -> None:
        """A behaviour is used if it lies strictly before an impression of its user."""
        last = max((one.timestamp for one in shown), default=None)
        late = 0 if last is None else sum(event.timestamp >= last for event in events)
        if events and last is None:
            self.count("filtered.behaviors.no_impression", len(events))
        if late:
            self.count("filtered.behaviors.late", late)
        self.count("used.behaviors", 0 if last is None else len(events) - late)

    def _count_unknown(self, user: int, shown: list[Shown]) -> None:
        """Users that the graph doesn't know, and validation's examples of such users and candidates."""
        judged = [one.item for one in shown if self._split(one.timestamp) == VALID]
        if user == OOV_ID and shown:
            self.count("oov.user")
        if judged:
            self.count(UNKNOWN_USERS, len(judged) if user == OOV_ID else 0)
            self.count(UNKNOWN_CANDIDATES, judged.count(OOV_ID))

    def _shown(self, value) -> Shown:
        query, timestamp, session, item, label, weight, source, position, title, categories, stats = value
        limits = self._config.ctr
        return Shown(
            timestamp=timestamp,
            session=session,
            item=item,
            label=label,
            weight=weight,
            source=source,
            position=position,
            query=known(query, limits.max_query_keywords),
            title=known(title, limits.max_title_keywords),
            categories=known(categories, limits.max_categories),
            stats=stats,
        )

    def _split(self, timestamp: float) -> str:
        return split_of(timestamp, *times(self._config))


def build(pipeline: beam.Pipeline, inputs: Inputs, graph: Manifest, graph_dir: str, config: Config, directory: str):
    """Adds all steps to `pipeline`; files go to `directory`."""
    outputs = Outputs()
    ids = pipeline | "ReadIds" >> names.ReadIds(graph_dir, graph, ID_TYPES)
    items = ids | "Items" >> ItemFacts(inputs.streams["items"], config)
    events, shown = _matched(pipeline, inputs, items[GOOD], config, outputs)
    sums = (
        shown | "TrainingStats" >> beam.FlatMap(_stats_of, config.time.train_end) | "Moments" >> moments.Moments()
    )  # fmt: skip
    queries = {"queries": shown | "Queries" >> beam.Keys(), "ids": ids} | "QueryIds" >> QueryIds()
    complete = (
        (shown, queries[GOOD])
        | "WithQueries" >> beam.Flatten()
        | "PerQuery" >> beam.GroupByKey()
        | "JoinQuery" >> beam.FlatMap(_join_query)
    )
    users = ids | "UserIds" >> beam.Filter(lambda pair: pair[0].startswith(ckg.USER + "\t"))
    examples = (
        (complete, events, users)
        | "Histories" >> beam.Flatten()
        | "PerUser" >> beam.GroupByKey()
        | "Sweep" >> beam.ParDo(UserExamples(config), beam.pvalue.AsDict(sums)).with_outputs(COUNTS, main=GOOD)
    )
    written = examples[GOOD] | "WriteExamples" >> writing.WriteShards(
        directory, rows_per_file=config.ctr.examples_per_file, encode=writing.tfrecord, extension="tfrecord"
    )
    outputs.files.append(written)
    outputs.dead.append(items[DEAD])
    outputs.counts += [items[COUNTS], queries[COUNTS], examples[COUNTS]]
    outputs.facts.append(
        sums | "MomentFacts" >> beam.MapTuple(lambda name, found: (f"moments/{name}", moments.mean_and_std(found)))
    )
    if leaks.relations(graph):
        clicks = examples[GOOD] | "Clicks" >> beam.ParDo(leaks.ClicksOfExamples(leaks.Pairs.of(graph)))
        outputs.facts.append(clicks | "FindLeaks" >> leaks.FindLeaks(graph_dir, graph))
    return outputs


def _matched(pipeline: beam.Pipeline, inputs: Inputs, items, config: Config, outputs: Outputs):
    """Behaviours as (user, event) and impressions as (query, fields), joined with their items."""
    rows = {}
    for stream, to_row in (("behaviors", _behavior_row(config)), ("impressions", _impression_row)):
        if stream in inputs.streams:
            parse = reading.ParseRecords(stream, config.logs)
            parsed = pipeline | stream.capitalize() >> reading.ReadFiles(inputs.streams[stream], parse)
            once = parsed[GOOD] | f"{stream}Once" >> dedupe.DistinctEvents(stream, to_row)
            rows[stream] = once[GOOD]
            outputs.dead.append(parsed[DEAD])
            outputs.counts += [parsed[COUNTS], once[COUNTS]]
    merged = list(rows.values()) | "RowsWithItems" >> beam.Flatten()
    joined = {"rows": merged, "items": items} | "KnownItems" >> known_items.JoinItems("item_id", "join")
    outputs.dead.append(joined[DEAD])
    outputs.counts.append(joined[COUNTS])
    events = joined[GOOD] | "Events" >> beam.FlatMap(
        lambda pair: [_to_event(*pair)] if pair[1][0] == "behaviors" else []
    )
    shown = joined[GOOD] | "Shown" >> beam.FlatMap(
        lambda pair: [_to_shown(*pair)] if pair[1][0] == "impressions" else []
    )
    return events, shown
