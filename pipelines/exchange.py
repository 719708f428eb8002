"""How tables travel between the steps of a job.

A runner on one machine holds everything that it shuffles in its own memory and copies it some twenty
times on the way. There, large tables are written to files of a folder and only their places travel. On a
distributed runner, whose workers share no disk and whose shuffle is made for it, tables travel whole.
"""

import contextlib
import os
import shutil
import struct
import tempfile
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from kdcn_tf import files
from pipelines import batches, engines

_FOLDER = ".shuffle-"  # hidden, so that no glob of a dataset's files finds it
_SMALL = 512
_PLACE = struct.Struct("<4sqq")  # mark, offset, length; then the path
_MARK = b"@at\0"  # no Arrow stream begins so

_open: dict[tuple[str, int, int], int] = {}  # folder, process, thread -> descriptor of the file they append to


class Exchange(NamedTuple):
    """How the steps of one job hand each other tables.

    Attributes:
        parts: ranges of hashes, each of which one step sees at a time; no file that a job writes depends on it.
        folder: where large tables are put; None: they travel whole.
    """

    parts: int
    folder: str | None = None

    def pack(self, rows: pa.Table) -> bytes:
        """A table as bytes, or the place where it is."""
        packed = batches.pack(rows)
        if self.folder is None or packed.size < _SMALL:
            return packed.to_pybytes()
        path, offset = _append(self.folder, packed)
        return _PLACE.pack(_MARK, offset, packed.size) + path.encode()


def unpack(packed: Iterable[bytes]) -> pa.Table:
    """All rows of packed tables of one schema, one after the other."""
    return pa.concat_tables([batches.read(_content(one)) for one in packed]).combine_chunks()


def _append(folder: str, packed: pa.Buffer) -> tuple[str, int]:
    """Every thread of every process has a file of its own."""
    writer = (folder, os.getpid(), threading.get_ident())
    path = os.path.join(folder, f"{writer[1]}-{writer[2]}")
    with files.writing(path):
        if writer not in _open:
            _open[writer] = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        offset = os.lseek(_open[writer], 0, os.SEEK_END)
        rest = memoryview(packed)
        while rest:
            rest = rest[os.write(_open[writer], rest) :]
    return path, offset


def _content(packed: bytes) -> pa.Buffer:
    if not packed.startswith(_MARK):
        return pa.py_buffer(packed)
    _, offset, length = _PLACE.unpack_from(packed)
    path = packed[_PLACE.size :].decode()
    with files.writing(path), pa.memory_map(path) as mapped:
        mapped.seek(offset)
        return mapped.read_buffer(length)


@contextlib.contextmanager
def for_job(parts: int, directory: str, beam_config: PipelineOptions) -> Iterator[Exchange]:
    """An exchange that fits the runner.

    Args:
        parts: of the hashes' range.
        directory: of the dataset, claimed by this process; large tables are put there meanwhile, or into the system's
            folder of temporary files where it is remote.
        beam_config: names the runner.
    """
    if not engines.is_on_this_machine(beam_config):
        yield Exchange(parts)
        return
    home = tempfile.gettempdir() if files.is_remote(directory) else directory
    if not files.is_remote(directory):
        for left in os.scandir(home):  # by a job that was killed
            if left.name.startswith(_FOLDER):
                shutil.rmtree(left.path)
    with files.writing(home), tempfile.TemporaryDirectory(prefix=_FOLDER, dir=os.path.abspath(home)) as folder:
        try:
            yield Exchange(parts, folder)
        finally:
            for writer in [writer for writer in _open if writer[0] == folder]:
                os.close(_open.pop(writer))
