"""Files cut into chunks of whole lines or rows, so that one is parsed at a time and no file is held whole.

A file is read from its beginning, because a line number needs all lines before it: split large logs
into many files.
"""

import codecs
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as parquet

from kdcn_tf import files
from kdcn_tf.errors import DataError

CHUNK_BYTES = 4 << 20
CHUNK_ROWS = 8192
_PARQUET_MAGIC, _GZIP_MAGIC = b"PAR1", b"\x1f\x8b"
_BROKEN = (EOFError, zlib.error, pa.ArrowException, OSError, ValueError, OverflowError, LookupError)


class Chunk(NamedTuple):
    """Part of a file: whole lines of text, or Parquet rows; `first_line` is the number of the first, from 1."""

    path: str
    first_line: int
    body: bytes | pa.Table


Row = bytes | Mapping[str, Any]
"""A line without its end, or a Parquet row."""


def read_chunks(path: str) -> Iterator[Chunk]:
    """Chunks of a file in order: text of about `CHUNK_BYTES` (more where a line is longer) or `CHUNK_ROWS` rows.

    Raises:
        DataError: the file is empty, or its compression or Parquet is broken; everything before that
            has been yielded.
    """
    place = [1]  # number of the next line
    try:
        with files.open_read(path) as stream:
            magic = stream.read(4)
            stream.seek(0)
            parts = _row_groups(stream) if magic == _PARQUET_MAGIC else _texts(stream, magic[:2] == _GZIP_MAGIC, place)
            for body in parts:
                number = len(body) if isinstance(body, pa.Table) else _count_lines(body)
                yield Chunk(path, place[0], body)
                place[0] += number
    except _BROKEN as error:
        raise DataError(f"{path}: broken after line {place[0] - 1}: {error}") from None
    if place[0] == 1:
        raise DataError(f"{path}: the file is empty")


def _texts(stream: IO[bytes], compressed: bool, place: list[int]) -> Iterator[bytes]:
    """Pieces of text that end with a line's end; what a broken file still holds comes before its error."""
    first, held, broken = True, [], None
    source = gzip.GzipFile(fileobj=stream) if compressed else stream
    while True:
        try:
            piece = source.read1(CHUNK_BYTES) if compressed else source.read(CHUNK_BYTES)  # type: ignore[union-attr]
        except _BROKEN as error:
            piece, broken = b"", error
        held.append(piece)
        if piece and (b"\n" not in piece or sum(map(len, held)) < CHUNK_BYTES):
            continue
        whole = b"".join(held)
        # The last line of a broken file isn't whole, of any other file it is.
        end = whole.rfind(b"\n") + 1 if piece or broken else len(whole)
        if end:
            yield whole[:end].removeprefix(codecs.BOM_UTF8) if first else whole[:end]  # some editors begin with it
            first = False
        held = [whole[end:]]
        if broken:
            raise broken
        if not piece:
            return


def _row_groups(stream: IO[bytes]) -> Iterator[pa.Table]:
    for batch in parquet.ParquetFile(stream).iter_batches(batch_size=CHUNK_ROWS):
        yield pa.Table.from_batches([batch])


def _count_lines(body: bytes) -> int:
    return body.count(b"\n") + (not body.endswith(b"\n"))


def lines_of(body: bytes) -> list[bytes]:
    """Lines of a chunk without their ends; a text without any character is one empty line."""
    lines = body.split(b"\n")
    if body.endswith(b"\n"):
        lines.pop()
    return [line.rstrip(b"\r\n") for line in lines] if b"\r" in body else lines


def rows_of(chunk: Chunk) -> Iterator[tuple[int, Row]]:
    """(number from 1, line or row) of a chunk.

    Raises:
        DataError: Parquet rows hold values that Python has no place for.
    """
    if isinstance(chunk.body, bytes):
        yield from enumerate(lines_of(chunk.body), start=chunk.first_line)
        return
    number = chunk.first_line - 1
    for batch in chunk.body.to_batches(max_chunksize=1024):
        try:
            rows = batch.to_pylist()
        except _BROKEN as error:
            raise DataError(f"{chunk.path}: broken after line {number}: {error}") from None
        for row in rows:
            number += 1
            yield number, row


def digest(row: Row) -> bytes:
    """64-bit hash of a line as it stands in the file, or of a Parquet row's values: equal on every machine."""
    line = row if isinstance(row, bytes) else repr(sorted(row.items())).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(line, digest_size=8).digest()


def digest_number(row: Row) -> int:
    """`digest` as a signed number. Of records that share an id, that with the smallest counts, in every job."""
    return int.from_bytes(digest(row), "little", signed=True)
