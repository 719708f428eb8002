"""What only manifest and id map know is added to the counts: names of relations and entities, sparsity."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdcn_tf import ckg, files, records
from kdcn_tf.errors import DataError
from kdcn_tf.manifest import Manifest
from pipelines.quality import graph_summary

_ENTITIES = "entities/"
NO_CATEGORY = "(none)"


def graph(found: dict, directory: str, made: Manifest) -> dict[str, Any]:
    """Statistics of a graph: of splits, entities, degrees, and how sparse it is."""
    id_map = made.require_id_map()
    shape = graph_summary.Shape.of(id_map)
    entities = {kind: sum(f.count for f in made.files.get(_ENTITIES + kind, ())) for kind in id_map.ranges}
    for split in found["splits"].values():
        split["patterns"] = {
            _pattern(int(code), shape, id_map.relations): number
            for code, number in sorted(split["patterns"]["numbers"].items(), key=lambda row: int(row[0]))
        }
    degrees = {kind: found["degrees"][kind] for kind in id_map.ranges if kind in found.get("degrees", {})}
    keys = keys_of(directory, made, {kind: [one for one, _ in body["largest"]] for kind, body in degrees.items()})
    for kind, body in degrees.items():
        _finish_degrees(body, entities[kind], unused=id_map.size(kind) - entities[kind], keys=keys)
    triples = sum(split["triples"] for split in found["splits"].values())
    total = sum(entities.values())
    return {
        **found,
        "degrees": degrees,
        "entities": {kind: {"entities": entities[kind], "ids": id_map.size(kind)} for kind in id_map.ranges},
        "sparsity": {
            "entities": total,
            "triples": triples,
            "density": triples / (total * (total - 1) / 2) if total > 1 else 0.0,
            "mean_degree": sum(body["sum"] for body in degrees.values()) / total if total else 0.0,
            "isolated": sum(body["isolated"] for body in degrees.values()),
        },
    }


def _finish_degrees(body: dict, entities: int, *, unused: int, keys: Mapping[int, str]) -> None:
    """Names the buckets and the hot entities; ids of a range that no entity has yet are not isolated entities."""
    histogram = {int(digits): number for digits, number in body["histogram"]["numbers"].items()}
    body["isolated"] = histogram.get(0, 0) - unused
    if body["isolated"]:
        histogram[0] = body["isolated"]
    else:
        histogram.pop(0, None)
    body["histogram"] = {graph_summary.digits_label(digits): histogram[digits] for digits in sorted(histogram)}
    body["mean"] = body["sum"] / entities if entities else 0.0
    body["largest"] = [[one, number, keys.get(one, "")] for one, number in body["largest"] if number]


def _pattern(code: int, shape: graph_summary.Shape, relations: Sequence[str]) -> str:
    rest, tail = divmod(code, len(shape.types))
    relation, head = divmod(rest, len(shape.types))
    return f"{shape.types[head]}\t{relations[relation]}\t{shape.types[tail]}"


def examples(found: dict, made: Manifest, names_from: str | None, names: Manifest | None) -> dict[str, Any]:
    """Statistics of CTR examples; categories have their keys where a graph is given, else their ids."""
    counted = [split["by"]["category"] for split in found["splits"].values()]
    wanted = {int(one) for body in counted for one in body["examples"]["numbers"]} - {records.OOV_ID}
    keys = keys_of(names_from, names, {ckg.CATEGORY: sorted(wanted)}) if names_from is not None and names else {}
    keys[records.OOV_ID] = NO_CATEGORY
    for body in counted:
        for counts in body.values():
            counts["numbers"] = {keys.get(int(one), f"#{one}"): number for one, number in counts["numbers"].items()}
    return {**found, "named_categories": names is not None}


def keys_of(directory: str, graph: Manifest, ids: Mapping[str, Sequence[int]]) -> dict[int, str]:
    """Key of each id, given by type, from the id map files that hold one, one file at a time.

    Raises:
        DataError: a file has fewer lines than the manifest says.
    """
    found: dict[int, str] = {}
    for kind, wanted in ids.items():
        for entry in graph.files.get(_ENTITIES + kind, ()):
            inside = [one for one in wanted if entry.first <= one < entry.first + entry.count]
            if not inside:
                continue
            path = files.join(directory, entry.name)
            lines = files.read_bytes(path).split(b"\n")
            if len(lines) <= entry.count:
                raise DataError(f"{path}: {len(lines) - 1} keys of {entry.count}")
            found |= {one: lines[one - entry.first].decode("utf-8", "replace") for one in inside}
    return found
