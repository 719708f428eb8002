"""Raw logs of any size, written in seconds per million triples, to time the pipelines on.

`kdcn simulate` makes logs that are worth learning from, record by record. These only have the shape of real ones:
records of several streams, names drawn by power laws, one record in a hundred delivered twice. Everything, the
vocabularies too, grows with the wanted number of triples, so that ten times the triples are ten times the work. A
file's size doesn't.

    python benchmarks/raw_logs.py --output=RAW [--triples=5000000] [--skew] [--keywords=false] [--impressions=4]
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kdcn_tf import command, files, manifest

START, DAYS = 1_700_000_000, 30
TRAIN_SHARE, VALID_SHARE = 0.9, 0.95
"""Places in the period where training and validation end."""

TAGS, ITEM_WORDS, SESSION_WORDS, SHOWN = 3, 5, 4, 4
PROPERTIES = tuple(f"p{number:02}" for number in range(12))
ITEM_TRIPLES, SESSION_TRIPLES = 2 + 1 + SHOWN + ITEM_WORDS, 3 + SESSION_WORDS
"""Distinct triples of a record, beside those that records share: (property, value) and (intention, keyword)."""

_CHUNK = 4096
_KINDS = ("click", "cart", "favorite", "purchase")

Chunk = tuple[np.random.Generator, np.ndarray]
"""Source of all choices, and the numbers of the records to make."""


@dataclass(frozen=True)
class Shape:
    """Sizes of everything.

    Attributes:
        items: records of the items stream; the other sizes follow from it.
        skew: every second item and session has one category, one seller and one keyword.
        keywords: items and sessions give keywords as lists; else they are cut from titles and utterances.
        shown: impressions of a session.
    """

    items: int
    skew: bool = False
    keywords: bool = True
    shown: int = 0

    @property
    def users(self) -> int:
        return max(self.items // 2, 2)

    @property
    def sessions(self) -> int:
        return self.items

    @property
    def timely(self) -> int:
        """Sessions before the data cutoff."""
        return -int(-self.sessions * TRAIN_SHARE // 1)

    @property
    def triples(self) -> int:
        return self.users * TAGS + self.items * ITEM_TRIPLES + self.timely * SESSION_TRIPLES

    def names(self, kind: str) -> int:
        """Size of a vocabulary."""
        share = {"word": 2, "seller": 50, "category": 200, "tag": 100, "value": 100, "intention": 50}[kind]
        return max(self.items // share, 2 * max(ITEM_WORDS, SESSION_WORDS))


def shape_of(triples: int, **options) -> Shape:
    """The smallest shape that makes at least so many triples."""
    per_item = TAGS / 2 + ITEM_TRIPLES + TRAIN_SHARE * SESSION_TRIPLES
    items = max(int(triples / per_item), 2)
    while Shape(items, **options).triples < triples:
        items += 1
    return Shape(items, **options)


def _draw(random: np.random.Generator, names: int, shape: tuple[int, ...], power: float = 0.7) -> np.ndarray:
    """Numbers below `names`; that of rank r comes up in proportion to r ** -power."""
    return (names * random.random(shape) ** (1 / (1 - power))).astype(np.int64)


def _distinct(random: np.random.Generator, names: int, rows: int, columns: int) -> np.ndarray:
    """[rows, columns] numbers below `names`, no two of a row equal: a column draws from a part of its own."""
    return _draw(random, names // columns, (rows, columns)) * columns + np.arange(columns)


def _users(shape: Shape, chunk: Chunk) -> list[str]:
    random, numbers = chunk
    tags = _distinct(random, shape.names("tag"), len(numbers), TAGS).tolist()
    return [
        f'{{"user_id":"u{n}","tags":["tag{a}","tag{b}","tag{c}"]}}'
        for n, (a, b, c) in zip(numbers.tolist(), tags, strict=True)
    ]  # fmt: skip


def _items(shape: Shape, chunk: Chunk) -> list[str]:
    random, numbers = chunk
    rows = len(numbers)
    leaves, sellers = (_draw(random, shape.names(kind), (rows,), 0.5) for kind in ("category", "seller"))
    words = _distinct(random, shape.names("word"), rows, ITEM_WORDS)
    values = _draw(random, max(shape.names("value") // len(PROPERTIES), 4), (rows, SHOWN))
    names = _distinct(random, len(PROPERTIES), rows, SHOWN)
    prices, sales = random.integers(100, 99_999, rows), _draw(random, 10_000, (rows,))
    if shape.skew:
        hot = numbers % 2 == 0
        leaves[hot], sellers[hot], words[hot, 0] = 0, 0, 0
    found = []
    columns = (numbers, leaves, sellers, words, names, values, prices, sales)
    for n, leaf, seller, said, has, value, price, sold in zip(*(c.tolist() for c in columns), strict=True):
        texts = [f"w{word}" for word in said]
        properties = ",".join(f'"{PROPERTIES[p]}":"v{v}"' for p, v in zip(has, value, strict=True))
        found.append(
            f'{{"item_id":"i{n}","title":"{" ".join(texts)}","category":["c{leaf % 40}","c{leaf % 40}-{leaf}"],'
            f'"seller_id":"s{seller}","properties":{{{properties}}},'
            f'"stats":{{"price":{price / 100},"sales":{sold}}}{_listed(shape, texts)}}}'
        )
    return found


def _listed(shape: Shape, texts: list[str]) -> str:
    quoted = '","'.join(texts)
    return f',"keywords":["{quoted}"]' if shape.keywords else ""


def _head(shape: Shape, numbers: np.ndarray) -> list[str]:
    """Session id, user and time, as fields of a record; equal for a session wherever it is named."""
    users = _draw(np.random.default_rng(numbers[0]), shape.users, (len(numbers),), 0.3)
    times = START + numbers * (DAYS * 86_400) // shape.sessions
    return [
        f'"session_id":"q{n}","user_id":"u{user}","timestamp":{time}'
        for n, user, time in zip(numbers.tolist(), users.tolist(), times.tolist(), strict=True)
    ]


def _sessions(shape: Shape, chunk: Chunk) -> list[str]:
    random, numbers = chunk
    rows = len(numbers)
    sellers = _draw(random, shape.names("seller"), (rows,), 0.5)
    intentions = _draw(random, shape.names("intention"), (rows,))
    words = _distinct(random, shape.names("word"), rows, SESSION_WORDS)
    if shape.skew:
        hot = numbers % 2 == 0
        sellers[hot], words[hot, 0] = 0, 0
    found = []
    columns = (sellers.tolist(), intentions.tolist(), words.tolist())
    for head, seller, intention, said in zip(_head(shape, numbers), *columns, strict=True):
        texts = [f"w{word}" for word in said]
        spoken = f'"utterances":[{{"speaker":"user","text":"please show me {" and ".join(texts)}"}}]'
        found.append(f'{{{head},"seller_id":"s{seller}","intention":"n{intention}",{spoken}{_listed(shape, texts)}}}')
    return found


def _behaviors(shape: Shape, chunk: Chunk) -> list[str]:
    random, numbers = chunk
    rows = len(numbers)
    items, kinds = _draw(random, shape.items, (rows,), 0.5).tolist(), random.integers(0, 4, rows).tolist()
    heads = _head(shape, numbers)
    return [
        f'{{{head},"item_id":"i{item}","behavior":"{_KINDS[kind]}"}}'
        for head, item, kind in zip(heads, items, kinds, strict=True)
    ]


def _impressions(shape: Shape, chunk: Chunk) -> list[str]:
    random, numbers = chunk
    size = (len(numbers), shape.shown)
    items = _distinct(random, shape.items, *size).tolist()
    labels = (random.random(size) < 0.2).astype(int).tolist()
    words = _distinct(random, shape.names("word"), len(numbers), 2).tolist()
    return [
        f'{{{head},"query":["w{a}","w{b}"],"item_id":"i{item}","label":{label},"position":{place}}}'
        for head, shown, clicks, (a, b) in zip(_head(shape, numbers), items, labels, words, strict=True)
        for place, (item, label) in enumerate(zip(shown, clicks, strict=True))
    ]


def _instant(share: float) -> int:
    return START + int(share * DAYS * 86_400)


def _lines(make: Callable[[Shape, Chunk], list[str]], shape: Shape, records: int, seed: int) -> Iterator[list[str]]:
    """All records, then the first hundredth again: a chunk that is made twice is the same twice."""
    for end in (records, records // 100):
        for first in range(0, end, _CHUNK):
            numbers = np.arange(first, min(first + _CHUNK, records))
            yield make(shape, (np.random.default_rng((seed, first)), numbers))[: end - first if end < records else None]


def write(output: str, shape: Shape, *, file_bytes: int = 16 << 20, seed: int = 1) -> manifest.Manifest:
    """Writes raw logs as a raw dataset of JSON Lines files.

    Args:
        output: fresh directory.
        shape: what to write.
        file_bytes: size of a file; at most one chunk of records more.
        seed: of every choice.
    """
    manifest.prepare_output(output, manifest.RAW)
    streams: dict[str, tuple[Callable[[Shape, Chunk], list[str]], int]] = {
        "users": (_users, shape.users), "items": (_items, shape.items), "sessions": (_sessions, shape.sessions),
        "behaviors": (_behaviors, shape.sessions),
    }  # fmt: skip
    if shape.shown:
        streams["impressions"] = (_impressions, shape.sessions)
    groups = {}
    for place, (name, (make, records)) in enumerate(streams.items()):
        groups[name] = tuple(_write(output, name, _lines(make, shape, records, 100 * seed + place), file_bytes))
    suggested = {"time.train_end": float(_instant(TRAIN_SHARE)), "time.valid_end": float(_instant(VALID_SHARE))}
    made = manifest.Manifest(
        kind=manifest.RAW,
        files=groups,
        counts={name: sum(part.count for part in parts) for name, parts in groups.items()},
        info={"config": suggested, "extra_triples": {}, "triples": shape.triples, "properties": list(PROPERTIES)},
    )
    manifest.write(output, made)
    return made


def _write(output: str, stream: str, chunks: Iterator[list[str]], file_bytes: int) -> Iterator[manifest.DataFile]:
    waiting: list[str] = []
    size = part = 0
    for lines in chunks:
        waiting += lines
        size += sum(map(len, lines))
        if size >= file_bytes:
            yield _write_file(output, f"{stream}-{part:05}.jsonl", waiting)
            waiting, size, part = [], 0, part + 1
    if waiting:
        yield _write_file(output, f"{stream}-{part:05}.jsonl", waiting)


def _write_file(output: str, name: str, lines: list[str]) -> manifest.DataFile:
    files.write_atomic(files.join(output, name), ("\n".join(lines) + "\n").encode())
    return manifest.describe_file(output, name, len(lines))


def _flags() -> flags.FlagValues:
    values = command.new_flags(with_config=False)
    flags.DEFINE_string("output", None, "directory to write the raw logs to; has to be fresh", flag_values=values)
    flags.DEFINE_integer("triples", 5_000_000, "distinct triples at the least", 100, flag_values=values)
    flags.DEFINE_integer("impressions", 0, "impressions of a session", 0, flag_values=values)
    flags.DEFINE_integer("file_bytes", 16 << 20, "size of a file", 1, flag_values=values)
    flags.DEFINE_bool("skew", False, "one key holds half of the items and sessions", flag_values=values)
    flags.DEFINE_bool("keywords", True, "give keywords as lists, beside the texts", flag_values=values)
    return values


def _call(values: flags.FlagValues, _: list[str]) -> None:
    command.required(values, "output")
    shape = shape_of(values.triples, skew=values.skew, keywords=values.keywords, shown=values.impressions)
    made = write(values.output, shape, file_bytes=values.file_bytes)
    print(", ".join(f"{name} {count:,}" for name, count in made.counts.items()), f"records, {shape.triples:,} triples")


def main(argv: Sequence[str]) -> None:
    command.run("raw_logs", __doc__ or "", _flags(), _call, argv)


if __name__ == "__main__":
    main(sys.argv[1:])
