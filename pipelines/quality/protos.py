"""Statistics as protos of tensorflow-metadata, which TensorFlow Data Validation reads."""

from typing import Any

from kdcn_tf import extras, manifest, records
from kdcn_tf.manifest import Manifest
from pipelines.quality import cells

LIBRARY = "tensorflow_metadata.proto.v0.statistics_pb2"
_PRESENT = 1.0


def _modules() -> tuple[Any, Any]:
    return extras.load(LIBRARY.replace("statistics", "schema")), extras.load(LIBRARY)


def schema(found: dict[str, Any], made: Manifest) -> Any:
    """`schema_pb2.Schema`: of a graph's triples by type and relation, or of the Examples of a CTR dataset."""
    pb, _ = _modules()
    made_schema = pb.Schema()
    if made.kind == manifest.CKG:
        id_map = made.require_id_map()
        for name, values in (
            ("head_type", list(id_map.ranges)), (records.RELATION, list(id_map.relations)),
            ("tail_type", list(id_map.ranges)),
        ):  # fmt: skip
            feature = _feature(made_schema, name, pb.BYTES, size=1)
            feature.string_domain.name = name
            feature.string_domain.value.extend(values)
        if any(split["weight"]["number"] for split in found["splits"].values()):
            _feature(made_schema, "weight", pb.INT, size=1).int_domain.min = 1
        return made_schema
    _examples_schema(made_schema, pb, made)
    return made_schema


def _examples_schema(made_schema: Any, pb: Any, made: Manifest) -> None:
    label = _feature(made_schema, records.LABEL, pb.FLOAT, size=1)
    label.float_domain.min, label.float_domain.max = 0, 1
    _feature(made_schema, records.WEIGHT, pb.FLOAT, size=1)
    _feature(made_schema, records.TIMESTAMP, pb.INT, size=1)
    _feature(made_schema, records.SESSION, pb.INT, size=1)
    _feature(made_schema, records.SOURCE, pb.BYTES, size=1)
    position = _feature(made_schema, records.POSITION, pb.INT)  # of no size: older datasets don't have it
    position.value_count.min, position.value_count.max = 1, 1
    position.int_domain.min = records.UNKNOWN_POSITION
    last = made.require_id_map().num_ids - 1
    for name in (records.USER, records.ITEM):
        domain = _feature(made_schema, name, pb.INT, size=1).int_domain
        domain.min, domain.max = records.OOV_ID, last
    info = made.info
    limits = {
        records.QUERY_KEYWORDS: "max_query_keywords",
        records.TITLE_KEYWORDS: "max_title_keywords",
        records.CATEGORIES: "max_categories",
    } | {records.behavior_key(kind): "max_behaviors" for kind in info["behaviors"]}
    for name, limit in limits.items():
        feature = _feature(made_schema, name, pb.INT)
        feature.value_count.min, feature.value_count.max = 0, info.get(limit, 0)
        feature.int_domain.min, feature.int_domain.max = records.OOV_ID, last
    names = info["dense"]["names"]
    if names:
        _feature(made_schema, records.DENSE, pb.FLOAT, size=len(names))
    for name in names:
        _feature(
            made_schema, f"{records.DENSE}/{name}", pb.FLOAT
        ).lifecycle_stage = pb.DEBUG_ONLY  # no feature of the records


def _feature(made_schema: Any, name: str, kind: int, size: int | None = None) -> Any:
    feature = made_schema.feature.add(name=name, type=kind)
    if size is not None:
        feature.presence.min_fraction = _PRESENT
        feature.shape.dim.add(size=size)
    return feature


def statistics(found: dict[str, Any]) -> Any:
    """`statistics_pb2.DatasetFeatureStatisticsList`: a dataset per split; of a graph also one of its degrees."""
    _, pb = _modules()
    listed = pb.DatasetFeatureStatisticsList()
    for name, split in found["splits"].items():
        if found["kind"] == manifest.CKG:
            _triples(listed.datasets.add(name=name, num_examples=split["triples"]), pb, split)
        else:
            _examples(listed.datasets.add(name=name, num_examples=split["examples"]), pb, split)
    if found["kind"] == manifest.CKG:
        entities = sum(body["entities"] for body in found["entities"].values())
        dataset = listed.datasets.add(name="entities", num_examples=entities)
        for kind, body in found["degrees"].items():
            _degrees(dataset.features.add(name=f"degree/{kind}", type=pb.FeatureNameStatistics.INT), pb, body)
    return listed


def _triples(dataset: Any, pb: Any, split: dict[str, Any]) -> None:
    for place, name in enumerate(("head_type", records.RELATION, "tail_type")):
        counts: dict[str, int] = {}
        for pattern, number in split["patterns"].items():
            key = pattern.split("\t")[place]
            counts[key] = counts.get(key, 0) + number
        _text(dataset, pb, name, counts)
    if split["weight"]["number"]:
        _numbers(dataset, pb, "weight", pb.FeatureNameStatistics.INT, split["weight"])


def _degrees(feature: Any, pb: Any, body: dict[str, Any]) -> None:
    number = sum(body["histogram"].values())
    _common(feature.num_stats.common_stats, there=number, missing=0, values=number, lengths={"1": number})
    feature.num_stats.mean, feature.num_stats.num_zeros = body["mean"], body["isolated"]
    feature.num_stats.max = max((degree for _, degree, _ in body["largest"]), default=0)
    histogram = feature.num_stats.histograms.add(type=pb.Histogram.STANDARD)
    for label, count in body["histogram"].items():
        low, _, high = label.partition("-")
        histogram.buckets.add(low_value=int(low), high_value=int(high or low), sample_count=count)


def _examples(dataset: Any, pb: Any, split: dict[str, Any]) -> None:
    kinds = pb.FeatureNameStatistics
    number = split["examples"]
    for name, body in split["features"].items():
        common = dataset.features.add(name=name, type=kinds.INT).num_stats.common_stats
        lengths = body["lengths"]["numbers"]
        _common(common, number - body["missing"], body["missing"], body["values"], lengths)
    feature = dataset.features.add(name=records.LABEL, type=kinds.FLOAT)
    _common(feature.num_stats.common_stats, number, 0, number, {"1": number})
    feature.num_stats.num_zeros = number - split["positives"]
    feature.num_stats.mean = split["positives"] / number if number else 0.0
    _numbers(dataset, pb, records.WEIGHT, kinds.FLOAT, split["weight"])
    _text(dataset, pb, records.SOURCE, split["by"]["source"]["examples"]["numbers"])
    for name, body in split.get("dense", {}).items():
        _numbers(dataset, pb, f"{records.DENSE}/{name}", kinds.FLOAT, body)


def _common(common: Any, there: int, missing: int, values: int, lengths: dict[str, int]) -> None:
    common.num_non_missing, common.num_missing, common.tot_num_values = there, missing, values
    sizes = [int(length) for length in lengths if length != "0"]
    if there and sizes:
        common.min_num_values, common.max_num_values = min(sizes), max(sizes)
        common.avg_num_values = values / there


def _text(dataset: Any, pb: Any, name: str, counts: dict[str, int]) -> None:
    number = sum(counts.values())
    stats = dataset.features.add(name=name, type=pb.FeatureNameStatistics.STRING).string_stats
    _common(stats.common_stats, number, 0, number, {"1": number} if number else {})
    stats.unique = len(counts)
    for rank, (key, count) in enumerate(sorted(counts.items(), key=lambda row: (-row[1], row[0]))):
        stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=key, sample_count=count)
        if rank < 20:
            stats.top_values.add(value=key, frequency=count)


def _numbers(dataset: Any, pb: Any, name: str, kind: int, body: dict[str, Any]) -> None:
    stats = dataset.features.add(name=name, type=kind).num_stats
    number = body["number"]
    _common(stats.common_stats, number, body["missing"], number, {"1": number} if number else {})
    if not number:
        return
    stats.mean, stats.std_dev, stats.num_zeros = body["mean"], body["std"], body["zeros"]
    stats.min, stats.max = body["min"], body["max"]
    histogram = stats.histograms.add(type=pb.Histogram.STANDARD, num_nan=body["missing"])
    for bucket, count in sorted((int(key), count) for key, count in body["buckets"].items()):
        low, high = cells.bucket_edges(bucket)
        histogram.buckets.add(low_value=low, high_value=high, sample_count=count)
