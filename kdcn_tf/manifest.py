"""The manifest: what one program hands to the next.

Every directory that one program writes and another reads holds `manifest.json`, written last and
atomically. It names the files with sizes and digests, so a reader never globs, an unfinished
directory has none, and a changed file is refused.
"""

import contextlib
import hashlib
import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from kdcn_tf import __version__, files
from kdcn_tf.ckg import ITEM, IdMap
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.options import fingerprint

MANIFEST = "manifest.json"
CONFIG_FILE = "config.yaml"
FORMAT = 1

RAW, CKG, CTR, EMBEDDINGS, CKG_MODEL, KDCN_MODEL, EVALUATION, SERVING, STATISTICS, DRIFT = (
    "raw", "ckg", "ctr", "embeddings", "ckg-model", "kdcn-model", "evaluation", "serving", "statistics", "drift",
)  # fmt: skip
EXPLANATION = "explanation"
COMPARISON = "comparison"
POOL = "pooled-comparison"
TUNING = "tuning"
"""Kinds of dataset directory."""


@dataclass(frozen=True)
class DataFile:
    """One file of a dataset.

    Attributes:
        name: path relative to the directory.
        bytes: its size.
        sha256: hex digest of its content.
        count: rows in it (triples, entities, examples, lines), by the file group's meaning.
        first: first id in it, for files of an id range; else 0.
    """

    name: str
    bytes: int
    sha256: str
    count: int = 0
    first: int = 0


@dataclass(frozen=True)
class Manifest:
    """Content of `manifest.json`.

    Attributes:
        kind: one of this module's kinds.
        files: file group (such as "train", "entities/item") -> its files, in order.
        counts: name -> number, for people and for reconciliation.
        id_map: the id map whose ids the files hold, or None.
        config: the resolved configuration that made it.
        inputs: kind -> fingerprint of the manifests it was made from.
        info: what only this kind has (dimension, split times, moments), by name.
    """

    kind: str
    files: dict[str, tuple[DataFile, ...]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    id_map: IdMap | None = None
    config: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)

    def group(self, name: str) -> tuple[DataFile, ...]:
        """Files of one group.

        Raises:
            DataError: the dataset has no such group.
        """
        if name not in self.files:
            known = ", ".join(sorted(self.files)) or "none"
            raise DataError(f"{self.kind} dataset has no files {name!r}; it has: {known}")
        return self.files[name]

    def fingerprint(self) -> str:
        """Identifies the content: the same files under the same config have the same one."""
        digests = {name: [f.sha256 for f in group] for name, group in self.files.items()}
        return fingerprint([self.kind, digests, self.counts, self.config])

    def number(self, name: str) -> int:
        """A size from `info`.

        Raises:
            DataError: it is missing, or not a number from 1.
        """
        value = self.info.get(name)
        if type(value) is not int or value < 1:
            raise DataError(f"{self.kind} manifest: info.{name}: expected a number from 1, got {value!r}")
        return value

    def require_id_map(self) -> IdMap:
        if self.id_map is None:
            raise DataError(f"{self.kind} dataset has no id map in its {MANIFEST}")
        return self.id_map


def describe_file(directory: str, name: str, count: int = 0, first: int = 0) -> DataFile:
    """Size and digest of a finished file of `directory`."""
    path = files.join(directory, name)
    size = files.size(path)
    if size is None:
        raise DataError(f"{path}: no such file")
    return DataFile(name, size, files.sha256(path), count, first)


def write(directory: str, manifest: Manifest) -> None:
    """Writes `manifest.json`; everything it names must be finished."""
    body = {
        "format": FORMAT,
        "created_by": f"kdcn-tf {__version__}",
        "kind": manifest.kind,
        "counts": manifest.counts,
        "id_map": manifest.id_map.to_json() if manifest.id_map else None,
        "inputs": manifest.inputs,
        "info": manifest.info,
        "files": {name: [asdict(f) for f in group] for name, group in manifest.files.items()},
        "config": manifest.config,
    }
    text = json.dumps(body, indent=1, ensure_ascii=False) + "\n"
    files.write_atomic(files.join(directory, MANIFEST), text.encode())


def kind_of(directory: str) -> str:
    """Kind of a finished dataset.

    Raises:
        DataError: no manifest, or one that can't be read.
    """
    return unchecked(directory).kind


def unchecked(directory: str) -> Manifest:
    """A dataset's manifest, whatever its kind, and whether its files are there or not.

    Raises:
        DataError: no manifest, or one that can't be read.
    """
    path = files.join(directory, MANIFEST)
    if not files.exists(path):
        raise DataError(f"{path}: no such file; the directory is not a finished dataset")
    return _parse(path)


def read(directory: str, kind: str, check_digests: bool = False) -> Manifest:
    """Reads a dataset's manifest and checks that its files are there.

    Args:
        directory: the dataset.
        kind: the kind the caller needs.
        check_digests: read every file and compare its SHA-256 too.

    Raises:
        DataError: no manifest, another kind or format, a missing or changed file.
    """
    path = files.join(directory, MANIFEST)
    if not files.exists(path):
        raise DataError(f"{path}: no such file; the directory is not a finished {kind} dataset")
    manifest = _parse(path)
    if manifest.kind != kind:
        raise DataError(f"{path}: a dataset of kind {manifest.kind!r}, expected {kind!r}")
    for group in manifest.files.values():
        for entry in group:
            _check_file(directory, entry, check_digests)
    return manifest


def _parse(path: str) -> Manifest:
    try:
        body = json.loads(files.read_bytes(path))
        if body["format"] != FORMAT:
            raise DataError(f"{path}: format {body['format']}, this version reads {FORMAT}")
        return _from_json(body)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: not a manifest: {error!r}") from None


def _from_json(body: dict) -> Manifest:
    return Manifest(
        kind=str(body["kind"]),
        files={name: tuple(_data_file(f) for f in group) for name, group in body["files"].items()},
        counts=dict(body["counts"]),
        id_map=IdMap.from_json(body["id_map"]) if body["id_map"] else None,
        config=dict(body["config"]),
        inputs=dict(body["inputs"]),
        info=dict(body["info"]),
    )


def _data_file(body: dict) -> DataFile:
    entry = DataFile(**body)
    # A name is joined to the directory, for reading and for removal: it must not lead out of it.
    if os.path.isabs(entry.name) or ".." in entry.name.split("/"):
        raise ValueError(f"file {entry.name!r} is outside of the directory")
    if not all(type(number) is int and number >= 0 for number in (entry.bytes, entry.count, entry.first)):
        raise ValueError(f"file {entry.name!r}: bytes, count and first are numbers from 0")
    return entry


def read_file(directory: str, entry: DataFile) -> bytes:
    """Content of one file of a dataset, for files that are read whole.

    Raises:
        DataError: it isn't what the manifest describes.
    """
    data = files.read_bytes(files.join(directory, entry.name))
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise _changed(files.join(directory, entry.name))
    return data


def _changed(path: str) -> DataError:
    return DataError(f"{path}: its content is not what {MANIFEST} describes (SHA-256 differs)")


def _check_file(directory: str, entry: DataFile, check_digest: bool) -> None:
    path = files.join(directory, entry.name)
    size = files.size(path)
    if size is None:
        raise DataError(f"{path}: named in {MANIFEST}, but there is no such file")
    if size != entry.bytes:
        raise DataError(f"{path}: {size} bytes, but {MANIFEST} says {entry.bytes}")
    if check_digest and files.sha256(path) != entry.sha256:
        raise _changed(path)


def require_entities(directory: str, ckg: Manifest) -> None:
    """Refuses a knowledge graph whose id map files aren't those of its id map, or that has no items.

    Raises:
        DataError: naming the entity type.
    """
    id_map = ckg.require_id_map()
    for entity_type in dict.fromkeys((ITEM, *id_map.ranges)):
        listed = sum(entry.count for entry in ckg.files.get(f"entities/{entity_type}", ()))
        size = id_map.size(entity_type) if entity_type in id_map.ranges else None
        if listed != size:
            raise DataError(f"{directory}: files 'entities/{entity_type}' hold {listed} keys of {size or 0}")


def require_same_ids(first: Manifest, second: Manifest) -> None:
    """Refuses to join two datasets whose ids come from different id maps.

    Raises:
        DataError: showing both fingerprints.
    """
    a, b = first.require_id_map().fingerprint, second.require_id_map().fingerprint
    if a != b:
        raise DataError(
            f"ids don't match: the {first.kind} dataset has id map {a}, the {second.kind} dataset has id map {b}"
        )


def prepare_output(directory: str, kind: str, overwrite: bool = False, leftovers: Sequence[str] = ()) -> None:
    """Makes `directory`, takes it for this process, and refuses one that already holds something.

    With `overwrite`, a finished dataset is removed. If anything else stands there, nothing is.

    Args:
        directory: where a dataset will be written.
        kind: of that dataset; one of another kind is never replaced.
        overwrite: whether to replace a finished dataset.
        leftovers: folders of `directory` that belong to a dataset of this kind without being named in its manifest.

    Raises:
        ConfigError: the directory isn't empty, or can't be made.
        DataError: `overwrite`, but its manifest can't be read or is of another kind.
        TryAgainError: another process writes to it.
    """
    files.make_dirs(directory)
    files.claim(directory)
    if overwrite and files.exists(files.join(directory, MANIFEST)):
        _remove_dataset(directory, kind, leftovers)
    if not files.is_empty_dir(directory):
        raise ConfigError(
            f"{directory}: not empty; name a fresh directory"
            + ("" if overwrite else ", or pass --overwrite to replace a finished dataset")
        )


@contextlib.contextmanager
def discarded_on_failure(directory: str) -> Iterator[None]:
    """Empties the directory of `prepare_output` if the work in it fails, so that the same command can run again."""
    try:
        with terminated_as_interrupted():
            yield
    except BaseException:
        clear(directory)
        raise


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Inside, SIGTERM, which would end the process at once, raises KeyboardInterrupt as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # only that one may say what a signal does
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def clear(directory: str) -> None:
    """Removes all that is in a directory."""
    for name in files.names_below(directory):
        files.remove(files.join(directory, name))
    files.remove_empty_dirs(directory)


def _remove_dataset(directory: str, kind: str, leftovers: Sequence[str]) -> None:
    found = _parse(files.join(directory, MANIFEST))
    if found.kind != kind:
        raise DataError(f"{directory}: holds a dataset of kind {found.kind!r}; --overwrite replaces {kind!r} only")
    names = [MANIFEST, CONFIG_FILE, *(entry.name for group in found.files.values() for entry in group)]
    names += [name for name in files.names_below(directory) if name.split("/")[0] in leftovers]
    foreign = sorted(set(files.names_below(directory)) - set(names))
    if foreign:
        raise ConfigError(f"{directory}: not empty; --overwrite removes a dataset only, and {foreign[0]} isn't of it")
    # The manifest goes first: a removal that stops half-way must not look finished.
    for name in names:
        files.remove(files.join(directory, name))
    files.remove_empty_dirs(directory)
