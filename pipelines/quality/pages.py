"""What the reports of statistics and of drift show."""

import datetime
from typing import Any

from kdcn_tf import manifest
from kdcn_tf.pages.content import Section, Table
from pipelines.quality import cells, drift, plots
from pipelines.quality.examples_summary import DAY


def statistics(found: dict[str, Any]) -> list[Section]:
    """Sections about one dataset."""
    of_kind = _graph if found["kind"] == manifest.CKG else _examples
    return [*of_kind(found), _counts(found["counts"])]


def _graph(found: dict[str, Any]) -> list[Section]:
    splits, degrees = found["splits"], found["degrees"]
    entities = [(kind, body["entities"]) for kind, body in found["entities"].items()]
    patterns = sorted({pattern for split in splits.values() for pattern in split["patterns"]})
    by_pattern = [
        (*pattern.split("\t"), *(split["patterns"].get(pattern, 0) for split in splits.values()))
        for pattern in patterns
    ]
    by_pattern.sort(key=lambda row: -sum(row[3:]))
    bars = [(" ".join(row[:3]), sum(row[3:])) for row in by_pattern]
    triples = [
        (name, split["triples"], split["self_loops"], split["weight"].get("mean"), split["weight"].get("max"))
        for name, split in splits.items()
    ]
    sparsity = found["sparsity"]
    return [
        Section("Size", tables=[
            Table(("split", "triples", "self-loops", "records per triple", "at most"), triples),
            Table(("", "number"), [
                ("entities", sparsity["entities"]), ("triples", sparsity["triples"]),
                ("triples per pair of entities", sparsity["density"]),
                ("mean degree in the training graph", sparsity["mean_degree"]),
                ("entities without a neighbour in it", sparsity["isolated"]),
            ]),
        ]),
        Section("Entities by type", tables=[Table(("type", "entities"), entities)],
                charts=[plots.bars(entities, "entities")]),
        Section("Triples by pattern", tables=[Table(("head", "relation", "tail", *splits), by_pattern)],
                charts=[plots.bars(bars, "triples")] if bars else []),
        Section(
            "Degrees", "Distinct neighbours of an entity in the training graph.",
            tables=[
                Table(("type", "entities", "isolated", "mean", "largest"), [
                    (kind, found["entities"][kind]["entities"], body["isolated"], body["mean"],
                     max((n for _, n, _ in body["largest"]), default=0))
                    for kind, body in degrees.items()
                ]),
                Table(("entity of the largest degree", "type", "id", "degree"), _hottest(degrees)),
            ],
            charts=[plots.columns(_ordered(degrees), "entities", logarithmic=True)] if degrees else [],
        ),
    ]  # fmt: skip


def _hottest(degrees: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    rows = [(key, kind, one, number) for kind, body in degrees.items() for one, number, key in body["largest"]]
    return sorted(rows, key=lambda row: (-row[3], row[2]))


def _ordered(degrees: dict[str, Any]) -> dict[str, list[tuple[str, float]]]:
    """Histograms whose first one has all labels, in order, so that a chart's axis is in order too."""
    labels = {label for body in degrees.values() for label in body["histogram"]}
    order = sorted(labels, key=lambda label: int(label.split("-")[0]))
    return {kind: [(label, body["histogram"].get(label, 0)) for label in order] for kind, body in degrees.items()}


def _examples(found: dict[str, Any]) -> list[Section]:
    splits = found["splits"]
    sizes = [
        (name, split["examples"], split["positives"], _share(split["positives"], split["examples"]),
         split["distinct"]["user"], split["distinct"]["item"])
        for name, split in splits.items()
    ]  # fmt: skip
    features = [
        (feature, name, _share(body["missing"], split["examples"]), _share(body["oov"], body["values"]),
         _share(body["values"], split["examples"]), max(map(int, body["lengths"]["numbers"]), default=0))
        for name, split in splits.items() for feature, body in split["features"].items()
    ]  # fmt: skip
    dense: list[tuple] = [
        (feature, name, _share(body["missing"], split["examples"]), *map(body.get, ("mean", "std", "min", "max")))
        for name, split in splits.items() for feature, body in split.get("dense", {}).items()
    ]  # fmt: skip
    dense.sort(key=_name)
    days = {name: [(day, rate) for day, _, rate in _rates(split["by"]["day"], _date)] for name, split in splits.items()}
    days = {name: rows for name, rows in days.items() if rows}
    header = ("split", "examples", "clicks", "label rate", "known users", "known items")
    named = "" if found["named_categories"] else "Categories are shown by id; --ckg gives their names."
    return [
        Section("Size", tables=[Table(header, sizes)]),
        Section("Label rate by day", charts=[plots.columns(days, "label rate")] if days else [],
                tables=[_rate_table("day (UTC)", found, "day", _date)]),
        Section("Label rate by source", tables=[_rate_table("source", found, "source")]),
        Section("Label rate by top category", named, tables=[_rate_table("category", found, "category")]),
        Section("Features", "Unknown: ids that the graph doesn't have, as a share of all values.", tables=[
            Table(("feature", "split", "missing", "unknown", "values per example", "at most"), sorted(features))]),
        Section("Dense statistics", "As they stand in the examples, before any transformation.", tables=[
            Table(("statistic", "split", "missing", "mean", "std", "min", "max"), dense)]),
    ]  # fmt: skip


def _name(row: tuple) -> tuple[str, str]:
    return row[0], row[1]


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _date(day: str) -> str:
    try:
        return datetime.datetime.fromtimestamp(int(day) * DAY, datetime.timezone.utc).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return f"day {day}"  # outside the calendar


def _rates(body: dict[str, Any], shown=str) -> list[tuple[str, int, float]]:
    examples, positives = body["examples"]["numbers"], body["positives"]["numbers"]
    return [(shown(key), number, positives.get(key, 0) / number) for key, number in examples.items()]


def _rate_table(what: str, found: dict[str, Any], group: str, shown=str) -> Table:
    rows: list[tuple] = [(key, name, number, rate) for name, split in found["splits"].items()
            for key, number, rate in _rates(split["by"][group], shown)]  # fmt: skip
    others: list[tuple] = [(drift.OTHERS, name, number, None) for name, split in found["splits"].items()
              if (number := split["by"][group]["examples"]["others"])]  # fmt: skip
    if group != "day":
        rows.sort(key=lambda row: (-row[2], row[0], row[1]))
    return Table((what, "split", "examples", "label rate"), rows + others)


def _counts(counts: dict[str, int]) -> Section:
    text = "What the job that made the dataset read, used, filtered and put aside, and fields that it missed."
    return Section("Counts of the build", text, tables=[Table(("count", "number"), sorted(counts.items()))])


def drifted(found: dict[str, Any]) -> list[Section]:
    """Sections about the drift between two datasets."""
    distributions = sorted(found["distributions"].items(), key=lambda row: (-row[1]["jensen_shannon"], row[0]))
    table = Table(
        ("distribution", "Jensen-Shannon", "L-infinity", "stability index", "only in A", "only in B"),
        [
            (name, *(body[measure] for measure in drift.MEASURES), body["only_a"]["number"], body["only_b"]["number"])
            for name, body in distributions
        ],
    )
    keys = sorted(
        (-abs(after - before), name, key, before, after)
        for name, body in distributions for key, before, after in body["largest"]
    )  # fmt: skip
    rates = sorted(found["rates"].items(), key=lambda row: (-abs(row[1]["change"]), row[0]))
    names = [(f"{when} {what}", ", ".join(listed)) for when in ("new", "gone")
             for what, listed in found[when].items() if listed]  # fmt: skip
    top = [(name, body["jensen_shannon"]) for name, body in distributions if body["jensen_shannon"]]
    skipped = ", ".join(found["not_compared"])
    return [
        Section("Names that only one has", tables=[Table(("", "names"), names)]),
        Section("Distributions", f"Not compared, as their ids are of two id maps: {skipped}." if skipped else "",
                tables=[table], charts=[plots.bars(top, "Jensen-Shannon divergence")] if top else []),
        Section("Largest changes of shares", tables=[
            Table(("distribution", "key", "share in A", "share in B", "change"), [
                (name, _key(name, key), before, after, after - before) for _, name, key, before, after in keys])]),
        Section("Rates", tables=[Table(("rate", "A", "B", "change"), [
            (name, body["a"], body["b"], body["change"]) for name, body in rates])]),
    ]  # fmt: skip


def _key(distribution: str, key: str) -> str:
    """A key as people read it: buckets of numbers by their edges."""
    if ": dense " not in distribution and not distribution.endswith("records of a triple"):
        return key
    low, high = cells.bucket_edges(int(key))
    return f"{low:.3g} to {high:.3g}" if low != high else f"{low:g}"
