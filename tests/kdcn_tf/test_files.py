"""Files, local ones and those behind a scheme: the same calls do the same."""

import errno
import hashlib
import os
import subprocess
import sys

import pytest
from apache_beam.io.filesystem import FileMetadata, MatchResult
from apache_beam.io.localfilesystem import LocalFileSystem

from kdcn_tf import files
from kdcn_tf.errors import ConfigError, DataError, TryAgainError


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


@pytest.mark.parametrize("path", ["runs/ctr", "runs/ctr/", "ctr", "gs://bucket/runs/ctr"])
def test_the_last_name_of_a_path(path):
    assert files.last_name(path) == "ctr"


def test_the_same_place(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    assert files.same_place(f"{tmp_path}/data", f"{tmp_path}/link/../data/.")
    assert files.same_place(f"{tmp_path}/data/new", f"{tmp_path}/link/new")
    assert not files.same_place(f"{tmp_path}/data", f"{tmp_path}/other")
    assert files.same_place("gs://bucket/data/", "gs://bucket/data")
    assert not files.same_place("gs://bucket/data", "gs://bucket/other")


def test_reading(folder):
    """Bytes come as they stand; by its name Beam would unpack the file."""
    files.write_atomic(files.join(folder, "a.gz"), b"not gzip")
    assert files.read_bytes(files.join(folder, "a.gz")) == b"not gzip"
    with pytest.raises(DataError, match="nowhere: "):
        files.read_bytes(files.join(folder, "nowhere"))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = str(tmp_path / "a")
    files.write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "disk full")))
    with pytest.raises(TryAgainError, match=f"^{path}: disk full$"):
        files.write_atomic(path, b"new")
    assert files.read_bytes(path) == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("place", "reason"),
    [("file", "File exists"), ("file/below", "Not a directory"), ("x" * 300, "File name too long")],
)
def test_a_directory_that_cannot_be_made(tmp_path, place, reason):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError) as error:
        files.make_dirs(str(tmp_path / place))
    assert str(error.value) == f"{tmp_path / place}: {reason}"


def test_an_unknown_scheme_is_named():
    with pytest.raises(ConfigError, match=r"^nothing://a/b: no file system is installed for this scheme"):
        files.exists("nothing://a/b")


def test_a_directory_is_one_process_s_at_a_time(tmp_path):
    """It may claim it again; another process may after its end."""
    files.claim(str(tmp_path))
    files.claim(str(tmp_path))
    code = f"from kdcn_tf import files; files.claim({str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith(f"TryAgainError: {tmp_path}: another run is writing to it\n")
    (tmp_path / "other").mkdir()
    subprocess.run([sys.executable, "-c", code.replace("')", "/other')")], check=True)
    files.claim(str(tmp_path / "other"))


def test_a_directory_s_name_is_no_pattern(tmp_path):
    """As a glob, runs[1] matches runs1 only."""
    (tmp_path / "runs[1]").mkdir()
    (tmp_path / "runs[1]/a").write_text("x")
    assert not files.is_empty_dir(str(tmp_path / "runs[1]"))
    assert files.listed(str(tmp_path / "runs[1]"), "?") == [str(tmp_path / "runs[1]/a")]
