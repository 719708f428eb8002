"""Opening, listing and renaming files, local or remote, without knowing which.

A local path goes through `os`. A path with a scheme (gs://, s3://, hdfs://) goes through Beam's
`FileSystems`, imported only then, so that this module costs nothing on one machine.
"""

import glob as local_glob
import hashlib
import os
from typing import IO, Any

from kdcn_tf.errors import DataError

_CHUNK = 1 << 20


def is_remote(path: str) -> bool:
    return "://" in path


def _remote() -> Any:
    from apache_beam.io.filesystems import FileSystems

    return FileSystems


def join(directory: str, *parts: str) -> str:
    return "/".join([directory.rstrip("/"), *parts]) if is_remote(directory) else os.path.join(directory, *parts)


def exists(path: str) -> bool:
    return _remote().exists(path) if is_remote(path) else os.path.exists(path)


def make_dirs(path: str) -> None:
    if is_remote(path):
        if not _remote().exists(path):
            _remote().mkdirs(path)
    else:
        os.makedirs(path, exist_ok=True)


def open_read(path: str) -> IO[bytes]:
    """Opens for reading, bytes as they stand in the file (no decompression).

    Raises:
        DataError: the file can't be opened.
    """
    try:
        if is_remote(path):
            return _remote().open(path, compression_type="uncompressed")
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def read_bytes(path: str) -> bytes:
    with open_read(path) as stream:
        return stream.read()


def write_atomic(path: str, data: bytes) -> None:
    """Writes under another name, flushes to disk, then renames: a reader sees all or nothing."""
    part = f"{path}.part-{os.getpid()}"
    if is_remote(path):
        with _remote().create(part, compression_type="uncompressed") as stream:
            stream.write(data)
        _remote().rename([part], [path])
        return
    with open(part, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)


def size(path: str) -> int | None:
    """Size in bytes, or None where there is no such file."""
    if is_remote(path):
        found = _remote().match([path])[0].metadata_list
        return found[0].size_in_bytes if found else None
    return os.path.getsize(path) if os.path.isfile(path) else None


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open_read(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def match(pattern: str) -> list[str]:
    """Paths that match a glob, sorted."""
    if is_remote(pattern):
        return sorted(found.path for found in _remote().match([pattern])[0].metadata_list)
    return sorted(local_glob.glob(pattern))


def is_empty_dir(path: str) -> bool:
    """Whether nothing stands below `path` (also if it doesn't exist)."""
    return not match(join(path, "*"))


def remove(path: str) -> None:
    """Removes a file, if it is there."""
    if is_remote(path):
        if _remote().exists(path):
            _remote().delete([path])
    elif os.path.exists(path):
        os.remove(path)


def remove_empty_dirs(path: str) -> None:
    """Removes the empty directories below a local `path`; object stores have none."""
    if is_remote(path):
        return
    for directory, _, _ in sorted(os.walk(path), reverse=True):
        if directory != path and not os.listdir(directory):
            os.rmdir(directory)
