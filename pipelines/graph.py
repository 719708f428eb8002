"""The steps from raw logs to the knowledge graph dataset, put together (docs/pipelines.md draws them)."""

import apache_beam as beam

from kdcn_tf import ckg
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from pipelines import adjacency, entities, item_check, stating, triples
from pipelines.base import FILES, Base, GiveIds
from pipelines.counting import COUNTS, DEAD, GOOD
from pipelines.exchange import Exchange
from pipelines.inputs import Extra, Inputs
from pipelines.job import Outputs

SPLITS = triples.SPLITS


def streams(config: Config) -> tuple[str, ...]:
    """Streams that the graph is made of."""
    return ("users", "items", "sessions", "behaviors") if config.ckg.interactions else ("users", "items", "sessions")


def train_end(config: Config) -> float:
    """The data cutoff.

    Raises:
        ConfigError: none is set.
    """
    if config.time.train_end is None:
        raise ConfigError("time.train_end: is required; --set time.train_end=<seconds since 1970>")
    return config.time.train_end


def build(
    pipeline: beam.Pipeline, inputs: Inputs, config: Config, directory: str, to: Exchange, base: Base | None = None
) -> Outputs:
    """Adds all steps to `pipeline`; files go to `directory`, tables `to` the next step."""
    outputs = Outputs()
    settings = config.ckg
    stated, winners = _winners(pipeline, inputs, config, to, outputs)
    names = [found[stating.PATTERNS] for found in stated] | "AllPatterns" >> beam.Flatten()
    stated_counts = outputs.counts | "StatedCounts" >> beam.Flatten()
    placed = {"triples": winners, "counts": stated_counts, "names": names} | "Place" >> triples.PlaceTriples(
        settings, to
    )
    known = [found[stating.NAMES] for found in stated] | "AllNames" >> beam.Flatten()
    told = [
        known | "Names" >> beam.MapTuple(lambda part, packed: (part, (entities.NAMES, packed))),
        placed[triples.TOLD],
    ]
    first_id = base.id_map.num_ids if base else ckg.PAD_ID + 1
    if base:
        given = pipeline | "Base" >> GiveIds(base, directory, to, settings.hash_salt)
        told.append(given["told"])
        outputs.files.append(given[FILES])
    numbered = (
        told | "Told" >> beam.Flatten() | "Entities" >> entities.NumberEntities(directory, settings, to, first_id)
    )
    written = {
        "placed": placed[GOOD], "ids": numbered["ids"], "plan": numbered["plan"], "patterns": placed["patterns"],
    } | "Triples" >> triples.WriteTriples(
        directory, settings, to, base.patterns if base else ()
    )  # fmt: skip
    adjacent = {"edges": written[triples.EDGES], "plan": numbered["plan"]} | "Adjacency" >> adjacency.WriteAdjacency(
        directory, settings, to
    )
    outputs.files += [numbered["files"], written["files"], adjacent]
    outputs.counts += [placed[COUNTS], numbered[COUNTS], written[COUNTS]]
    outputs.facts.append(
        placed["patterns"] | "UsedPatterns" >> beam.Map(lambda used: ("patterns", sorted(used.values())))
    )
    return outputs


def _winners(pipeline: beam.Pipeline, inputs: Inputs, config: Config, to: Exchange, outputs: Outputs):
    """What the streams state, and the triples of records that count; dead letters and counts go to `outputs`."""
    stated, keyed, unchecked = [], [], []
    for stream, paths in inputs.only(streams(config)).items():
        checked = stream == "behaviors"
        found = pipeline | stream.capitalize() >> stating.States(
            paths, stating.Parser(stream, config), train_end(config), to, checked
        )
        stated.append(found)
        if checked:
            unchecked.append((stream, found[GOOD], {"tail": "item_id"}))
        else:
            keyed.append(found[GOOD])
    for extra in inputs.extras:
        found = pipeline | extra.stream >> stating.States(
            extra.paths, stating.Parser(extra.stream, config, extra), train_end(config), to, checked=True
        )
        stated.append(found)
        unchecked.append((extra.stream, found[GOOD], _item_ends(extra)))
    first = keyed | "Keyed" >> beam.Flatten() | "Winners" >> stating.Winners(to)
    outputs.dead += [found[DEAD] for found in stated]
    outputs.counts += [*(found[COUNTS] for found in stated), first[COUNTS]]
    if not unchecked:
        return stated, first[GOOD]
    known_only = _known_only(unchecked, first[stating.KNOWN], to, outputs)
    late = known_only | "LateKeyed" >> beam.Flatten() | "LateWinners" >> stating.Winners(to)
    outputs.counts.append(late[COUNTS])
    return stated, (first[GOOD], late[GOOD]) | "AllWinners" >> beam.Flatten()


def _item_ends(extra: Extra) -> dict[str, str]:
    types = {"head": extra.head_type, "tail": extra.tail_type}
    return {end: end for end, entity_type in types.items() if entity_type == ckg.ITEM}


def _known_only(unchecked: list[tuple], known, to: Exchange, outputs: Outputs) -> list:
    """Streams by key, without the rows whose item isn't known."""
    good = []
    for stream, rows, columns in unchecked:
        if columns:
            found = {"rows": rows, "known": known} | f"{stream}Known" >> item_check.KnownItems(stream, columns, to)
            outputs.dead.append(found[DEAD])
            outputs.counts.append(found[COUNTS])
            rows = found[GOOD]
        good.append(rows | f"{stream}ByKey" >> stating.ByKey(stream, to))
    return good
