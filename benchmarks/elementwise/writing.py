"""Writing of a dataset's files: names, order and bytes depend on the content alone.

Every file is built in memory (its size is bounded by config), written under another name and
renamed, so that a step that runs twice writes the same file twice.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable

import apache_beam as beam
import google_crc32c

from kdcn_tf import files

ORDER_BYTES = 8
_ORDER = struct.Struct(">Q")
_LENGTH, _CRC = struct.Struct("<Q"), struct.Struct("<I")

FileRow = tuple[str, str, int, str, int, int]
"""group, name, bytes, sha256, count, first: a `kdcn_tf.manifest.DataFile` and its group."""


def with_order(order: int, payload: bytes) -> bytes:
    """`payload` behind a signed 64-bit sort key, so that sorting the bytes sorts by the key."""
    return _ORDER.pack(order + (1 << 63)) + payload


def order_of(row: bytes) -> int:
    """The sort key, as an unsigned number."""
    return _ORDER.unpack_from(row)[0]


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return _CRC.pack(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def tfrecord(payloads: Iterable[bytes]) -> bytes:
    """Content of an uncompressed TFRecord file."""
    parts = []
    for payload in payloads:
        length = _LENGTH.pack(len(payload))
        parts += [length, _masked_crc(length), payload, _masked_crc(payload)]
    return b"".join(parts)


def shard_name(group: str, shard: int, shards: int, extension: str) -> str:
    return f"{group.replace('/', '-')}-{shard:05d}-of-{shards:05d}.{extension}"


def write_file(directory: str, *, group: str, name: str, data: bytes, count: int, first: int = 0) -> FileRow:
    """Writes one file of a group and describes it."""
    files.write_atomic(files.join(directory, name), data)
    return group, name, len(data), hashlib.sha256(data).hexdigest(), count, first


class WriteShards(beam.PTransform):
    """(group, row) -> FileRow; rows are spread over bounded files by their sort key and sorted inside.

    Args:
        directory: where to write.
        rows_per_file: rows of a file, on average.
        encode: sorted payloads of a file -> its bytes.
        extension: of the file names.
    """

    def __init__(
        self, directory: str, *, rows_per_file: int, encode: Callable[[list[bytes]], bytes], extension: str
    ):  # fmt: skip
        super().__init__()
        self._directory, self._rows_per_file = directory, rows_per_file
        self._encode, self._extension = encode, extension

    def expand(self, rows):
        counts = rows | "Group" >> beam.Map(lambda row: (row[0], 1)) | "CountRows" >> beam.CombinePerKey(sum)
        return (
            rows
            | "PickShard" >> beam.Map(_to_shard, beam.pvalue.AsDict(counts), self._rows_per_file)
            | "PerShard" >> beam.GroupByKey()
            | "WriteShard" >> beam.MapTuple(self._write)
        )

    def _write(self, key: tuple[str, int, int], rows: Iterable[bytes]) -> FileRow:
        group, shard, shards = key
        payloads = [row[ORDER_BYTES:] for row in sorted(rows)]
        name = shard_name(group, shard, shards, self._extension)
        return write_file(
            self._directory, group=group, name=name, data=self._encode(payloads), count=len(payloads)
        )  # fmt: skip


def _to_shard(row: tuple[str, bytes], counts: dict[str, int], rows_per_file: int) -> tuple[tuple[str, int, int], bytes]:
    group, payload = row
    shards = -(-counts[group] // rows_per_file)
    # The file takes the low part of the key, the order inside it the high part.
    return (group, order_of(payload) % shards, shards), payload
