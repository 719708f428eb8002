"""Which files a job reads: those of a raw dataset's manifest, or the user's own by glob."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from absl import flags

from kdcn_tf import files, manifest, records
from kdcn_tf.errors import ConfigError, DataError

_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Extra:
    """Files of extra triples: TSV head, relation, tail, ends of these types."""

    name: str
    paths: tuple[str, ...]
    head_type: str
    tail_type: str

    @property
    def stream(self) -> str:
        """Name in counts and dead letters."""
        return f"extra/{self.name}"


@dataclass(frozen=True)
class Inputs:
    """Files per stream. A stream that the dataset doesn't have is absent.

    Attributes:
        streams: stream -> paths, sorted.
        extras: extra triples, sorted by name.
        suggested: config values that the raw dataset brings along.
        fingerprints: {"raw": fingerprint}, or {} for files named by glob.
    """

    streams: dict[str, tuple[str, ...]]
    extras: tuple[Extra, ...] = ()
    suggested: dict[str, Any] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)

    def require(self, *names: str) -> None:
        """Checks that streams are there.

        Raises:
            DataError: naming the first that isn't.
        """
        for name in names:
            if name not in self.streams:
                raise DataError(f"{name}: the input has no such stream; it has: {', '.join(self.streams) or 'none'}")

    def only(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        return {name: self.streams[name] for name in names if name in self.streams}

    def sizes(self) -> list[tuple[str, int]]:
        """(path, bytes) of all files."""
        groups = [*self.streams.values(), *(extra.paths for extra in self.extras)]
        return [(path, files.size(path) or 0) for group in groups for path in group]

    def bytes(self) -> int:
        return sum(size for _, size in self.sizes())


def define_flags(values: flags.FlagValues, streams: Iterable[str], with_extra: bool) -> None:
    """Flags that name the input: --raw, or a glob per stream."""
    flags.DEFINE_string("raw", None, "raw dataset: a directory with a manifest", flag_values=values)
    for name in streams:
        flags.DEFINE_multi_string(
            name, [], f"glob of {name} files, JSON Lines (plain, gzip) or Parquet, in place of --raw; repeatable",
            flag_values=values,
        )  # fmt: skip
    if with_extra:
        flags.DEFINE_multi_string(
            "extra_triples", [], "GLOB:HEAD_TYPE:TAIL_TYPE of TSV files head, relation, tail; repeatable",
            flag_values=values,
        )  # fmt: skip


def from_flags(values: flags.FlagValues, streams: Iterable[str]) -> Inputs:
    """The files that the flags name.

    Raises:
        ConfigError: neither --raw nor a glob, or both.
        DataError: a glob matches nothing, a file is empty, the manifest is wrong.
    """
    globs = {name: tuple(values[name].value or ()) for name in streams if values[name].value}
    if values.raw and globs:
        raise ConfigError(f"--raw: not together with --{next(iter(globs))}")
    if not values.raw and not globs:
        raise ConfigError("--raw: is required, or a glob per stream (--items=... and so on)")
    found = _of_manifest(values.raw) if values.raw else Inputs({k: _expand(k, v) for k, v in globs.items()})
    specs = (values["extra_triples"].value or []) if "extra_triples" in values else []
    extras = [_of_flag(index, spec) for index, spec in enumerate(specs)]
    names = [extra.name for extra in (*found.extras, *extras)]
    if len(set(names)) < len(names):
        raise ConfigError("--extra_triples: a name occurs twice")
    for path in (p for group in found.streams.values() for p in group):
        if files.size(path) == 0:
            raise DataError(f"{path}: the file is empty")
    return Inputs(found.streams, (*found.extras, *extras), found.suggested, found.fingerprints)


def _expand(name: str, globs: Iterable[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for pattern in globs:
        matched = files.match(pattern)
        if not matched:
            raise DataError(f"--{name}: no file matches {pattern}")
        found.update(matched)
    return tuple(sorted(found))


def _of_manifest(directory: str) -> Inputs:
    raw = manifest.read(directory, manifest.RAW)

    def paths(group: str) -> tuple[str, ...]:
        return tuple(sorted(files.join(directory, entry.name) for entry in raw.group(group)))

    suggested = raw.info.get("config", {})
    if not isinstance(suggested, dict):
        raise DataError(f"{directory}: the manifest's info.config isn't an object")
    extras = []
    for name in sorted(group.removeprefix("extra/") for group in raw.files if group.startswith("extra/")):
        try:
            types = raw.info["extra_triples"][name]
            extras.append(_extra(name, paths(f"extra/{name}"), str(types["head_type"]), str(types["tail_type"])))
        except (KeyError, TypeError):
            raise DataError(f"{directory}: the manifest's info.extra_triples has no types of {name!r}") from None
    return Inputs(
        {name: paths(name) for name in records.STREAMS if raw.files.get(name)},
        tuple(extras),
        suggested,
        {"raw": raw.fingerprint()},
    )


def _of_flag(index: int, spec: str) -> Extra:
    parts = spec.rsplit(":", 2)
    if len(parts) != 3:
        raise ConfigError(f"--extra_triples {spec}: expected GLOB:HEAD_TYPE:TAIL_TYPE")
    return _extra(f"flag{index}", _expand("extra_triples", [parts[0]]), parts[1], parts[2])


def _extra(name: str, paths: tuple[str, ...], head_type: str, tail_type: str) -> Extra:
    for entity_type in (head_type, tail_type):
        if not _TYPE_NAME.fullmatch(entity_type):
            raise ConfigError(f"extra triples {name}: {entity_type!r} isn't an entity type (a-z, 0-9 and _)")
    return Extra(name, paths, head_type, tail_type)
