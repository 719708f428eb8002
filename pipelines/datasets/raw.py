"""Writing of a raw dataset directory: a gzip JSON Lines file per stream, TSV extras, manifest last."""

import gzip
import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kdcn_tf import files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError
from kdcn_tf.manifest import DataFile

log = logging.getLogger(__name__)
REPORT_SECONDS = 10.0


@dataclass
class RawWriter:
    """Writes streams one after the other, in constant memory; `finish` makes the directory a dataset.

    Attributes:
        directory: local, fresh.
        overwrite: replace a finished dataset.
    """

    directory: str
    overwrite: bool = False
    groups: dict[str, tuple[DataFile, ...]] = field(default_factory=dict)
    types: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if files.is_remote(self.directory):
            raise ConfigError(f"--output {self.directory}: write to a local directory and copy it")
        manifest.prepare_output(self.directory, manifest.RAW, self.overwrite)

    def stream(self, name: str, records: Iterable[Mapping[str, Any]]) -> int:
        """Writes one stream of JSON objects; returns their number."""
        lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
        return self._write(name, f"{name}.jsonl.gz", lines)

    def extra(self, name: str, head_type: str, tail_type: str, triples: Iterable[tuple[str, str, str]]) -> int:
        """Writes extra triples of the given entity types; returns their number."""
        self.types[name] = {"head_type": head_type, "tail_type": tail_type}
        return self._write(f"extra/{name}", f"extra_{name}.tsv.gz", map("\t".join, triples))

    def _write(self, group: str, name: str, lines: Iterable[str]) -> int:
        try:
            with manifest.terminated_as_interrupted():
                count = self._write_lines(group, name, lines)
        except BaseException:
            # Wrong input data show only here: the same command has to work once they are mended.
            for left in [name, *(entry.name for made in self.groups.values() for entry in made)]:
                files.remove(files.join(self.directory, left))
            raise
        self.groups[group] = (manifest.describe_file(self.directory, name, count),)
        return count

    def _write_lines(self, group: str, name: str, lines: Iterable[str]) -> int:
        count, start = 0, time.monotonic()
        reported = start
        # No time stamp and no name in the gzip header: equal records give equal bytes.
        path = files.join(self.directory, name)
        with (
            files.writing(path),
            open(path, "wb") as target,
            gzip.GzipFile("", "wb", compresslevel=5, fileobj=target, mtime=0) as stream,
        ):
            for line in lines:
                stream.write(line.encode() + b"\n")
                count += 1
                if count % 1000 == 0 and time.monotonic() - reported >= REPORT_SECONDS:
                    reported = time.monotonic()
                    log.info("%s: %s records, %s/s", group, f"{count:,}", f"{count / (reported - start):,.0f}")
        return count

    def finish(self, config: Config, suggested: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Writes config and manifest.

        Args:
            config: resolved configuration.
            suggested: `section.field` -> value that later stages take where the user says nothing.
            info: what else the manifest's info holds.
        """
        files.write_atomic(files.join(self.directory, manifest.CONFIG_FILE), options.to_yaml(config).encode())
        made = manifest.Manifest(
            kind=manifest.RAW,
            files=self.groups,
            counts={name: group[0].count for name, group in self.groups.items()},
            config=options.to_dict(config),
            info={"config": dict(suggested), "extra_triples": self.types, **info},
        )
        manifest.write(self.directory, made)
