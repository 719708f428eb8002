"""Reading of TFRecord files without TensorFlow, checksums included."""

import struct
from collections.abc import Iterator
from typing import Any

import google_crc32c
from google.protobuf.message import DecodeError

from kdcn_tf import files, records
from kdcn_tf.errors import DataError

_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
_BUFFER = 1 << 20


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read(path: str) -> Iterator[tuple[int, bytes]]:
    """(offset, payload) of each record of an uncompressed TFRecord file; holds one record at a time.

    Raises:
        DataError: the file ends inside a record or a checksum is wrong; names the file and the record's offset.
    """
    size, offset = files.size(path) or 0, 0
    with files.open_read(path) as stream:
        while header := stream.read(_HEADER.size):
            if len(header) < _HEADER.size:
                raise DataError(f"{path}: the file ends inside the record at byte {offset}")
            length, crc = _HEADER.unpack(header)
            if crc != _masked_crc(header[:8]):
                raise DataError(f"{path}: the record at byte {offset} is corrupt (checksum of its length)")
            if length > size - offset - _HEADER.size - _FOOTER.size:
                raise DataError(f"{path}: the file ends inside the record at byte {offset}")
            payload, footer = stream.read(length), stream.read(_FOOTER.size)
            if _FOOTER.unpack(footer)[0] != _masked_crc(payload):
                raise DataError(f"{path}: the record at byte {offset} is corrupt (checksum of its content)")
            yield offset, payload
            offset += _HEADER.size + length + _FOOTER.size


def features(path: str) -> Iterator[tuple[int, Any]]:
    """(offset, its map of features) of each Example of a TFRecord file.

    Raises:
        DataError: as `read` says, or a record is no Example.
    """
    for offset, payload in read(path):
        try:
            yield offset, records.Example.FromString(payload).features.feature
        except DecodeError:
            raise DataError(f"{path}: the record at byte {offset} is no Example") from None
