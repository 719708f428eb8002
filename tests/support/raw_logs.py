"""Small raw logs, and readers of what the jobs write."""

import json
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kdcn_tf import manifest, records

CUTOFF = 50

USERS = [{"user_id": "u1", "tags": ["a", "b"]}, {"user_id": "u2", "tags": ["a"]}]
ITEMS = [
    {
        "item_id": "i1", "title": "red running shoe", "category": ["Sport", "Shoes"], "seller_id": "s1",
        "properties": {"color": "red"}, "stats": {"price": 9.0},
    },
    {
        "item_id": "i2", "title": "Red running jacket", "category": ["Sport", "Jackets"], "seller_id": "s1",
        "properties": {"color": "red", "size": ["S", "M"]}, "stats": {"price": 19.0},
    },
]  # fmt: skip
SESSIONS = [
    {
        "session_id": "q1", "user_id": "u1", "timestamp": 10, "intention": "buy", "seller_id": "s1",
        "keywords": ["running", "shoe"],
    },
    {"session_id": "q2", "user_id": "u2", "timestamp": 20, "utterances": [{"speaker": "user", "text": "red?"}]},
    {"session_id": "q3", "user_id": "u1", "timestamp": 100, "keywords": ["late"]},
]  # fmt: skip
BEHAVIORS = [
    {"user_id": "u1", "item_id": "i1", "behavior": "click", "timestamp": 5},
    {"user_id": "u1", "item_id": "i2", "behavior": "click", "timestamp": 7},
    {"user_id": "u1", "item_id": "i2", "behavior": "purchase", "timestamp": 10},
    {"user_id": "u1", "item_id": "i1", "behavior": "cart", "timestamp": 90},
]
IMPRESSIONS = [
    {
        "session_id": "q1", "user_id": "u1", "timestamp": 10, "query": "running shoe", "item_id": "i1", "label": 1,
        "stats": {"score": 1.0},
    },
    {
        "session_id": "q1", "user_id": "u1", "timestamp": 11, "query": ["shoe", "zebra"], "item_id": "i2", "label": 0,
        "position": 0,
    },
    {"session_id": "q2", "user_id": "u3", "timestamp": 60, "query": "", "item_id": "i1", "label": 0, "source": "web"},
    {
        "session_id": "q3", "user_id": "u1", "timestamp": 100, "query": "red", "item_id": "i2", "label": 1, "weight": 2,
        "position": 12,
    },
]  # fmt: skip


def streams(**changed: list) -> dict[str, list]:
    """The five streams; a changed one may hold dicts or lines of text."""
    whole = {
        "users": USERS, "items": ITEMS, "sessions": SESSIONS, "behaviors": BEHAVIORS, "impressions": IMPRESSIONS,
    }  # fmt: skip
    return whole | changed


def write_lines(path: Path, rows: Iterable[dict | str]) -> None:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def write_raw(directory: Path, rows: dict[str, list], extra: list[str] | None = None) -> Path:
    """A raw dataset with one plain file per stream, and extra triples item -> concept."""
    directory.mkdir()
    groups = {}
    for name, lines in rows.items():
        write_lines(directory / f"{name}.jsonl", lines)
        groups[name] = (manifest.describe_file(str(directory), f"{name}.jsonl", len(lines)),)
    info: dict = {"config": {"time.train_end": CUTOFF, "time.valid_end": 80}}
    if extra:
        write_lines(directory / "db.tsv", extra)
        groups["extra/db"] = (manifest.describe_file(str(directory), "db.tsv", len(extra)),)
        info["extra_triples"] = {"db": {"head_type": "item", "tail_type": "concept"}}
    manifest.write(str(directory), manifest.Manifest(manifest.RAW, groups, info=info))
    return directory


def run(main: Callable, *arguments: object) -> int:
    """Exit code of a command."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert isinstance(stopped.value.code, int)
    return stopped.value.code


def read_records(path: Path) -> list[dict[str, list]]:
    """Decoded examples of a TFRecord file."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        found.append(records.decode(data[place + 12 : place + 12 + length]))
        place += length + 16
    return found


def read_group(directory: Path, made: manifest.Manifest, group: str) -> list[dict[str, list]]:
    return [record for entry in made.files.get(group, ()) for record in read_records(directory / entry.name)]


def ids_of(directory: Path, made: manifest.Manifest) -> dict[tuple[str, str], int]:
    """(type, key) -> id, from the id map files."""
    found = {}
    for group, parts in made.files.items():
        if group.startswith("entities/"):
            for entry in parts:
                for offset, key in enumerate((directory / entry.name).read_text(encoding="utf-8").splitlines()):
                    found[group.removeprefix("entities/"), key] = entry.first + offset
    return found


def read_triples(directory: Path, made: manifest.Manifest, group: str = "train") -> list[tuple[int, int, int]]:
    found = []
    for block in read_group(directory, made, group):
        found += zip(block[records.HEAD], block[records.RELATION], block[records.TAIL], strict=True)
    return found
