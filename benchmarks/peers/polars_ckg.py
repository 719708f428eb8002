"""The knowledge graph of raw logs by Polars, in one process: what one machine can do at the best.

    python benchmarks/peers/polars_ckg.py RAW OUTPUT [--train-end=SECONDS] [--min-count=2] [--stored=20]

The same job as `kdcn build-ckg` with its default configuration, as a good Polars user would write it for clean logs of
a known schema: records are deduplicated by id, every pattern's triples made, counted and deduplicated, rare attributes
dropped, dense ids given per type, triples split by their hash, shuffled and written, neighbours sampled as the K
smallest hashes of edges. Where one process allows more it takes it: heads that are never dropped get their ids before
they are joined with anything.

What it does less than `kdcn build-ckg`: no field is checked beyond its type and there are no dead letters; pseudonyms
are Polars' hash; ids follow the sorted keys, so that a new entity moves all ids; files are Parquet (no TFRecord)
without digests; property names have to be known (the manifest's info). And it all has to fit in memory.
OUTPUT/counts.json has the counts that `benchmarks.elementwise.build` writes.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

TYPES = ("user", "user_tag", "item", "category", "seller", "property", "value", "session", "intention", "keyword")
PATTERNS = (
    ("user", "user_tag"), ("item", "category"), ("seller", "item"), ("item", "value"), ("property", "value"),
    ("user", "session"), ("session", "seller"), ("session", "intention"), ("intention", "keyword"),
    ("item", "keyword"), ("session", "keyword"),
)  # fmt: skip
"""Head and tail type, in the order of relation ids."""

TRIPLES_PER_FILE, IDS_PER_FILE, MAX_KEYWORDS = 200_000, 100_000, 16
VALID_SHARE, TEST_SHARE = 0.01, 0.01

Pattern = tuple[str, str]
TEXTS = pl.List(pl.String)
SHIFT = 1 << 32


def read(raw: Path, train_end: float | None) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    """Records of each stream, each once, before the cutoff, with dense ids from 0 as `id`; and counts."""
    made = json.loads((raw / "manifest.json").read_text())
    names = made["info"]["properties"]
    end = made["info"]["config"]["time.train_end"] if train_end is None else train_end
    schemas: dict[str, tuple[str, dict[str, Any]]] = {
        "users": ("user_id", {"tags": TEXTS}),
        "items": (
            "item_id",
            {"category": TEXTS, "seller_id": pl.String, "properties": pl.Struct(dict.fromkeys(names, pl.String)),
             "keywords": TEXTS},
        ),
        "sessions": (
            "session_id",
            {"user_id": pl.String, "timestamp": pl.Float64, "seller_id": pl.String, "intention": pl.String,
             "keywords": TEXTS},
        ),
    }  # fmt: skip
    counts, found = {}, {}
    for stream, (key, schema) in schemas.items():
        paths = [raw / entry["name"] for entry in made["files"].get(stream, ())]
        schema = {key: pl.String, **schema}
        records = pl.scan_ndjson(paths, schema=schema).collect() if paths else pl.DataFrame(schema=schema)
        counts[f"read.{stream}"] = len(records)
        if stream == "sessions":
            records = records.filter(pl.col("timestamp") < end)
            counts["filtered.sessions.after_train_end"] = counts["read.sessions"] - len(records)
        found[stream] = winners(records, key).with_row_index("id")
        counts[f"used.{stream}"] = len(found[stream])
    return found, counts


def winners(records: pl.DataFrame, key: str) -> pl.DataFrame:
    """One record per key, sorted by it; of several the one with the smallest hash, whatever their order."""
    single = records.filter(pl.col(key).is_unique())
    claimed = records.filter(pl.col(key).is_duplicated()).with_columns(order=pl.struct(pl.all()).hash(seed=4))
    best = claimed.sort("order").unique(key, keep="first", maintain_order=True).drop("order")
    return pl.concat([single, best]).sort(key)


def pseudonym(column: str) -> pl.Expr:
    return pl.col(column).hash(seed=1)


def keywords(frame: pl.DataFrame) -> pl.DataFrame:
    """(head id, keyword), each once."""
    clean = pl.element().str.strip_chars().str.to_lowercase()
    return (
        frame.lazy()
        .select("id", pl.col("keywords").list.eval(clean.filter(clean != "")))
        .select("id", pl.col("keywords").list.unique(maintain_order=True).list.head(MAX_KEYWORDS))
        .explode("keywords")
        .drop_nulls()
        .select(head="id", tail="keywords")
        .collect()
    )


def levels(items: pl.DataFrame) -> pl.DataFrame:
    """(item id, category) of every prefix of the category path."""
    depth = items.select(pl.col("category").list.len().max()).item() or 0
    paths = items.lazy().select(
        "id", category=pl.col("category").list.eval(pl.element().str.replace_all("/", "|", literal=True))
    )
    prefixes = [
        paths.filter(pl.col("category").list.len() >= size).select(
            head="id", tail=pl.col("category").list.head(size).list.join("/")
        )
        for size in range(1, depth + 1)
    ]
    return pl.concat(prefixes).collect()


def values(items: pl.DataFrame) -> pl.DataFrame:
    """(item id, value, property)."""
    shown = pl.col("properties").struct
    parts = [
        items.lazy()
        .select(head="id", tail=pl.lit(f"{field.name}=") + shown.field(field.name), property=pl.lit(field.name))
        .drop_nulls()
        for field in items.schema["properties"].fields  # type: ignore[attr-defined]
    ]
    return pl.concat(parts).collect()


def make_triples(found: dict[str, pl.DataFrame]) -> tuple[dict[Pattern, pl.DataFrame], dict[str, pl.DataFrame]]:
    """Triples by pattern, a column an id where its type is never dropped, else a key; and the keys of those types."""
    users, items, sessions = found["users"], found["items"], found["sessions"]
    named = pl.concat([users.select("user_id"), sessions.select("user_id")]).unique()
    names = named.select("user_id", key=pseudonym("user_id")).sort("key").with_row_index("id")
    tagged = users.drop("id").join(names, on="user_id")
    owned = sessions.select("user_id", tail="id").join(names, on="user_id").select(head="id", tail="tail")
    sold = items.select("seller_id", tail="id").drop_nulls()
    related = sessions.select("seller_id", head="id").drop_nulls()
    sellers = pl.concat([sold.select("seller_id"), related.select("seller_id")]).unique().sort("seller_id")
    sellers = sellers.with_row_index("id")
    level, value, spoken = levels(items), values(items), keywords(sessions)
    categories = level.select(key="tail").unique().sort("key").with_row_index("id")
    meant = sessions.select(head="id", tail="intention").drop_nulls()
    triples = {
        ("user", "user_tag"): tagged.select(head="id", tail="tags").explode("tail").drop_nulls().unique(),
        ("item", "category"): level.join(categories, left_on="tail", right_on="key").select("head", tail="id"),
        ("seller", "item"): sold.join(sellers, on="seller_id").select(head="id", tail="tail"),
        ("item", "value"): value.select("head", "tail"),
        ("property", "value"): value.select(head="property", tail="tail").unique(),
        ("user", "session"): owned,
        ("session", "seller"): related.join(sellers, on="seller_id").select("head", tail="id"),
        ("session", "intention"): meant,
        ("intention", "keyword"): spoken.join(meant, on="head").select(head="tail_right", tail="tail").unique(),
        ("item", "keyword"): keywords(items),
        ("session", "keyword"): spoken,
    }
    ids = {
        "user": names.select("id", "key"), "item": items.select("id", key="item_id"),
        "session": sessions.select("id", key=pseudonym("session_id")), "category": categories,
        "seller": sellers.select("id", key="seller_id"),
    }  # fmt: skip
    return triples, ids


def kept_attributes(triples: dict[Pattern, pl.DataFrame], min_count: int) -> dict[str, pl.DataFrame]:
    """(id, key) of the attributes that are the tail of enough triples, and of the properties that keep a value."""
    found = {}
    for kind in ("user_tag", "value", "intention", "keyword"):
        tails = [
            frame.lazy().select(key="tail")
            for pattern, frame in triples.items()
            if pattern[1] == kind and pattern[0] != "property"
        ]
        often = pl.concat(tails).group_by("key").len().filter(pl.col("len") >= min_count)
        found[kind] = often.select("key").sort("key").with_row_index("id").collect()
    owners = triples["property", "value"].join(found["value"], left_on="tail", right_on="key", how="semi")
    found["property"] = owners.select(key="head").unique().sort("key").with_row_index("id")
    return found


def encode(triples: dict[Pattern, pl.DataFrame], ids: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """head, relation, tail as ids over all types, and a hash of the three as `order`, sorted by it."""
    first, following = {}, 1
    for kind in TYPES:
        first[kind] = following
        following += len(ids[kind])
    parts = []
    for relation, pattern in enumerate(PATTERNS):
        part = triples[pattern].lazy()
        for end, kind in zip(("head", "tail"), pattern, strict=True):
            if triples[pattern].schema[end] == pl.String:
                table = ids[kind].lazy().select(pl.col("key").alias(end), pl.col("id").alias(f"{end}_id"))
                part = part.join(table, on=end).drop(end).rename({f"{end}_id": end})
        parts.append(
            part.select(
                (pl.col("head") + first[pattern[0]]).cast(pl.UInt32),
                pl.lit(relation, pl.UInt8).alias("relation"),
                (pl.col("tail") + first[pattern[1]]).cast(pl.UInt32),
            )
        )
    order = pl.struct("head", "relation", "tail").hash(seed=2)
    return pl.concat(parts).with_columns(order=order).sort("order").collect()


def neighbors(train: pl.DataFrame, total: int, stored: int) -> pl.DataFrame:
    """id, degree and the `stored` neighbours with the smallest hashes, of all ids from 1 on."""
    low, high = pl.min_horizontal("head", "tail"), pl.max_horizontal("head", "tail")
    edges = (
        train.lazy()
        .filter(pl.col("head") != pl.col("tail"))
        .select(edge=low.cast(pl.UInt64) * SHIFT + high)
        .unique()
        .select(low=pl.col("edge") // SHIFT, high=pl.col("edge") % SHIFT, order=pl.col("edge").hash(seed=3) // SHIFT)
    )
    # One sort of a 64-bit number, id before hash, takes half the time of any other way that was tried.
    ends = [
        edges.select(key=pl.col(one) * SHIFT + pl.col("order"), neighbor=pl.col(other).cast(pl.UInt32))
        for one, other in (("low", "high"), ("high", "low"))
    ]
    sampled = (
        pl.concat(ends)
        .sort("key")
        .select("neighbor", id=(pl.col("key") // SHIFT).cast(pl.UInt32).set_sorted())
        .group_by("id", maintain_order=True)
        .agg(degree=pl.len(), neighbors=pl.col("neighbor").head(stored))
    )
    everybody = pl.LazyFrame({"id": pl.int_range(1, total + 1, dtype=pl.UInt32, eager=True)})
    return everybody.join(sampled, on="id", how="left").with_columns(pl.col("degree").fill_null(0)).sort("id").collect()


def write(frame: pl.DataFrame, output: Path, name: str, rows_per_file: int) -> int:
    """Writes Parquet files of bounded size; returns the number of rows."""
    for part, first in enumerate(range(0, len(frame), rows_per_file)):
        frame.slice(first, rows_per_file).write_parquet(
            output / f"{name}-{part:05}.parquet", compression="uncompressed"
        )
    return len(frame)


def build(raw: Path, output: Path, train_end: float | None, min_count: int, stored: int) -> dict[str, int]:
    """Builds the graph; returns the counts."""
    output.mkdir(parents=True)
    found, counts = read(raw, train_end)
    triples, ids = make_triples(found)
    del found
    ids |= kept_attributes(triples, min_count)
    counts["distinct.triples"] = sum(map(len, triples.values()))
    for kind in TYPES:
        counts[f"rows.entities/{kind}"] = len(ids[kind])
        for part, first in enumerate(range(0, len(ids[kind]), IDS_PER_FILE)):
            names = ids[kind].slice(first, IDS_PER_FILE).select("key")
            names.write_csv(output / f"entities-{kind}-{part:05}.txt", include_header=False, quote_style="never")
    encoded = encode(triples, ids)
    del triples
    counts["filtered.triples.rare"] = counts["distinct.triples"] - len(encoded)
    place = encoded["order"] / 2**64
    masks = {
        "valid": place < VALID_SHARE, "test": (place >= VALID_SHARE) & (place < VALID_SHARE + TEST_SHARE),
        "train": place >= VALID_SHARE + TEST_SHARE,
    }  # fmt: skip
    parts = {split: encoded.filter(mask).drop("order") for split, mask in masks.items()}
    counts |= {f"rows.{split}": write(part, output, split, TRIPLES_PER_FILE) for split, part in parts.items()}
    total = sum(map(len, ids.values()))
    sampled = neighbors(parts["train"], total, stored)
    counts["rows.adjacency"] = write(sampled, output, "adjacency", IDS_PER_FILE)
    (output / "counts.json").write_text(json.dumps(counts, indent=1))
    return counts


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("raw", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--train-end", type=float)
    parser.add_argument("--min-count", type=int, default=2)
    parser.add_argument("--stored", type=int, default=20)
    values = parser.parse_args(argv)
    build(values.raw, values.output, values.train_end, values.min_count, values.stored)


if __name__ == "__main__":
    main()
