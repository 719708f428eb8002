"""Files, local ones and those behind a scheme: the same calls do the same."""

import hashlib
import os

import pytest
from apache_beam.io.filesystem import FileMetadata, MatchResult
from apache_beam.io.localfilesystem import LocalFileSystem

from kdcn_tf import files
from kdcn_tf.errors import DataError


class Pretended(LocalFileSystem):
    """pretend://<path>: the local <path>, so that `files` takes the way of a remote file. Beam finds it by itself."""

    @classmethod
    def scheme(cls):
        return "pretend"

    def match(self, patterns, limits=None):
        def renamed(found):
            return [FileMetadata(f"pretend://{one.path}", one.size_in_bytes) for one in found.metadata_list]

        return [MatchResult(f.pattern, renamed(f)) for f in super().match(list(map(local, patterns)), limits)]

    def delete(self, paths):
        for path in paths:
            os.remove(local(path))

    def rename(self, sources, targets):
        super().rename(list(map(local, sources)), list(map(local, targets)))

    def _path_open(self, path, *arguments, **options):
        return super()._path_open(local(path), *arguments, **options)

    def mkdirs(self, path):
        super().mkdirs(local(path))

    def exists(self, path):
        return super().exists(local(path))


def local(path: str) -> str:
    return path.removeprefix("pretend://")


@pytest.fixture(params=["", "pretend://"])
def folder(request, tmp_path) -> str:
    return f"{request.param}{tmp_path}"


def test_a_file_from_its_writing_to_its_end(folder):
    path = files.join(folder, "a.txt")
    assert not files.exists(path)
    assert files.size(path) is None
    assert files.is_empty_dir(folder)
    files.write_atomic(path, b"abc")
    assert files.exists(path)
    assert (files.size(path), files.read_bytes(path)) == (3, b"abc")
    assert files.sha256(path) == hashlib.sha256(b"abc").hexdigest()
    assert os.listdir(local(folder)) == ["a.txt"]  # no part is left
    assert not files.is_empty_dir(folder)
    files.remove(path)
    files.remove(path)
    assert not files.exists(path)


def test_match_is_sorted_and_make_dirs_may_repeat(folder):
    for name in ("b", "a", "c.part"):
        files.make_dirs(files.join(folder, "d"))
        files.write_atomic(files.join(folder, "d", name), b"")
    assert files.match(files.join(folder, "d", "?")) == [files.join(folder, "d", name) for name in "ab"]
    assert files.match(files.join(folder, "x*")) == []


def test_reading(folder):
    """Bytes come as they stand; by its name Beam would unpack the file."""
    files.write_atomic(files.join(folder, "a.gz"), b"not gzip")
    assert files.read_bytes(files.join(folder, "a.gz")) == b"not gzip"
    with pytest.raises(DataError, match="nowhere: "):
        files.read_bytes(files.join(folder, "nowhere"))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = str(tmp_path / "a")
    files.write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        files.write_atomic(path, b"new")
    assert files.read_bytes(path) == b"old"
