"""Opening, listing and renaming files, local or remote, without knowing which.

A local path goes through `os`. A path with a scheme (gs://, s3://, hdfs://) goes through Beam's
`FileSystems`, imported only then, so that this module costs nothing on one machine.
"""

import contextlib
import fcntl
import glob as local_glob
import hashlib
import importlib.util
import os
from collections.abc import Iterator
from typing import IO, Any

from kdcn_tf import errors
from kdcn_tf.errors import ConfigError, DataError, KdcnError, TryAgainError, UnavailableError

_CHUNK = 1 << 20


def is_remote(path: str) -> bool:
    return "://" in path


def _remote(path: str) -> Any:
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.options.value_provider import RuntimeValueProvider

    if FileSystems._pipeline_options is None and RuntimeValueProvider.runtime_options is None:
        FileSystems.set_options(PipelineOptions([]))  # outside of a job: S3's file system refuses to go without any
    if path.startswith("s3://") and importlib.util.find_spec("boto3") is None:
        raise UnavailableError(f"{path}: s3:// needs boto3: pip install 'apache-beam[aws]'")
    try:
        FileSystems.get_filesystem(path)
    except ValueError:
        raise ConfigError(f"{path}: no file system is installed for this scheme (see extras of apache-beam)") from None
    return FileSystems


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turns the operating system's errors about `path` into this system's, which a Beam worker can hand on.

    Raises:
        ConfigError: the path can't be written to.
        TryAgainError: the disk is full.
        UnavailableError: any other failure.
    """
    try:
        yield
    except OSError as error:
        raise errors.of_os(error, path) from None


def join(directory: str, *parts: str) -> str:
    return "/".join([directory.rstrip("/"), *parts]) if is_remote(directory) else os.path.join(directory, *parts)


def last_name(path: str) -> str:
    """Of a path to a file or directory the part that names it."""
    return path.rstrip("/").rsplit("/", 1)[-1]


def same_place(one: str, other: str) -> bool:
    """Whether two paths lead to the same file or directory, local ones through links too."""
    if is_remote(one) or is_remote(other):
        return one.rstrip("/") == other.rstrip("/")
    return os.path.realpath(one) == os.path.realpath(other)


def exists(path: str) -> bool:
    return _remote(path).exists(path) if is_remote(path) else os.path.exists(path)


def make_dirs(path: str) -> None:
    with writing(path):
        if not is_remote(path):
            os.makedirs(path, exist_ok=True)
        elif not _remote(path).exists(path):
            _remote(path).mkdirs(path)


_claimed: dict[tuple[int, int], int] = {}  # device and inode of a directory -> the descriptor that holds its lock


def claim(directory: str) -> None:
    """Takes a local directory for this process, until it ends; no file is left in it.

    Raises:
        TryAgainError: another process has it.
    """
    if is_remote(directory):
        return
    with writing(directory):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    found = os.fstat(descriptor)
    if (found.st_dev, found.st_ino) in _claimed:
        os.close(descriptor)
        return
    _claimed[found.st_dev, found.st_ino] = descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(_claimed.pop((found.st_dev, found.st_ino)))
        raise TryAgainError(f"{directory}: another run is writing to it") from None
    except OSError:
        pass  # some network file systems know no lock: there it is up to the user


def open_read(path: str) -> IO[bytes]:
    """Opens for reading, bytes as they stand in the file (no decompression).

    Raises:
        DataError: the file can't be opened.
    """
    try:
        if is_remote(path):
            return _remote(path).open(path, compression_type="uncompressed")
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None


def read_bytes(path: str) -> bytes:
    with open_read(path) as stream:
        return stream.read()


def write_atomic(path: str, data: bytes) -> None:
    """Writes under another name, flushes to disk, then renames: a reader sees all or nothing.

    Raises:
        KdcnError: as `writing` says; nothing is left.
    """
    part = f"{path}.part-{os.getpid()}"
    try:
        with writing(path):
            _write_and_rename(part, path, data)
    except KdcnError:
        with contextlib.suppress(OSError):
            remove(part)
        raise


def _write_and_rename(part: str, path: str, data: bytes) -> None:
    if is_remote(path):
        with _remote(path).create(part, compression_type="uncompressed") as stream:
            stream.write(data)
        _remote(path).rename([part], [path])
        return
    with open(part, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, path)


def size(path: str) -> int | None:
    """Size in bytes, or None where there is no such file."""
    if is_remote(path):
        found = _remote(path).match([path])[0].metadata_list
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
        return sorted(found.path for found in _remote(pattern).match([pattern])[0].metadata_list)
    return sorted(local_glob.glob(pattern))


def listed(directory: str, pattern: str = "*") -> list[str]:
    """Paths directly in a directory whose names match; the directory's own name is no pattern ("runs[1]")."""
    return match(join(directory if is_remote(directory) else local_glob.escape(directory), pattern))


def names_below(directory: str) -> list[str]:
    """Files below a directory, relative to it, without hidden ones; of a remote one those directly in it."""
    if is_remote(directory):
        return [last_name(path) for path in listed(directory)]
    found = (os.path.join(folder, name) for folder, _, names in os.walk(directory) for name in names)
    return [os.path.relpath(path, directory) for path in found if not os.path.basename(path).startswith(".")]


def is_empty_dir(path: str) -> bool:
    """Whether nothing stands below `path` (also if it doesn't exist)."""
    return not listed(path)


def remove(path: str) -> None:
    """Removes a file, if it is there."""
    if is_remote(path):
        if _remote(path).exists(path):
            _remote(path).delete([path])
    elif os.path.lexists(path):
        with writing(path):
            os.remove(path)


def remove_empty_dir(path: str) -> None:
    """Removes a local directory, unless something is in it; object stores have none."""
    if not is_remote(path):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def remove_empty_dirs(path: str) -> None:
    """Removes the empty directories below a local `path`; object stores have none."""
    if is_remote(path):
        return
    for directory, _, _ in sorted(os.walk(path), reverse=True):
        if directory != path and not os.listdir(directory):
            os.rmdir(directory)
