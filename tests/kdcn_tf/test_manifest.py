"""What is refused when one program reads, or replaces, what another wrote."""

import json
import os
import signal
import time

import pytest

from kdcn_tf import manifest
from kdcn_tf.ckg import IdMap
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.manifest import DataFile, Manifest

ID_MAP = IdMap({"user": (1, 3)}, ("has",), "0123")
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-2


@pytest.fixture
def dataset(tmp_path):
    directory = tmp_path / "data"
    (directory / "part").mkdir(parents=True)
    (directory / "part/a").write_text("abc")
    (directory / "config.yaml").write_text("{}")
    files = {"train": (manifest.describe_file(str(directory), "part/a", 3, 1),)}
    made = Manifest(
        manifest.CKG, files, {"n": 3}, ID_MAP, {"ckg": {"dim": 2}}, {"raw": "f00"}, {"stored": 5, "name": "é"}
    )
    manifest.write(str(directory), made)
    return directory


def refusal(directory, kind=manifest.CKG, **options) -> str:
    with pytest.raises(DataError) as error:
        manifest.read(str(directory), kind, **options)
    return str(error.value)


def test_reading_gives_what_was_written(dataset):
    found = manifest.read(str(dataset), manifest.CKG, check_digests=True)
    assert found.group("train") == (DataFile("part/a", 3, ABC, 3, 1),)
    assert (found.counts, found.id_map, found.config) == ({"n": 3}, ID_MAP, {"ckg": {"dim": 2}})
    assert (found.inputs, found.info) == ({"raw": "f00"}, {"stored": 5, "name": "é"})
    with pytest.raises(DataError, match="ckg dataset has no files 'test'; it has: train"):
        found.group("test")


def test_what_is_no_dataset_of_the_kind_is_refused(dataset):
    path = dataset / "manifest.json"
    assert refusal(dataset, manifest.CTR) == f"{path}: a dataset of kind 'ckg', expected 'ctr'"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    assert refusal(dataset) == f"{path}: format 2, this version reads 1"
    for content in ["", "[]", "{}", '{"format": 1}', '{"format": 1, "kind": "ckg", "files": 3}']:
        path.write_text(content)
        assert refusal(dataset).startswith(f"{path}: not a manifest: ")
    path.unlink()
    assert refusal(dataset) == f"{path}: no such file; the directory is not a finished ckg dataset"


def test_a_missing_or_changed_file_is_refused(dataset):
    (dataset / "part/a").write_text("abcd")
    assert refusal(dataset) == f"{dataset}/part/a: 4 bytes, but manifest.json says 3"
    (dataset / "part/a").unlink()
    assert refusal(dataset) == f"{dataset}/part/a: named in manifest.json, but there is no such file"


def test_a_changed_content_is_refused_where_digests_are_checked(dataset):
    (dataset / "part/a").write_text("abd")
    assert manifest.read(str(dataset), manifest.CKG).counts == {"n": 3}
    assert refusal(dataset, check_digests=True).startswith(f"{dataset}/part/a: its content is not what manifest.json")


def test_other_ids_are_refused_with_both_fingerprints():
    first = Manifest(manifest.CKG, id_map=ID_MAP)
    manifest.require_same_ids(first, Manifest(manifest.CTR, id_map=IdMap({}, (), "0123")))
    with pytest.raises(DataError, match="ckg dataset has id map 0123, the ctr dataset has id map 4567"):
        manifest.require_same_ids(first, Manifest(manifest.CTR, id_map=IdMap({}, (), "4567")))
    with pytest.raises(DataError, match="raw dataset has no id map"):
        manifest.require_same_ids(first, Manifest(manifest.RAW))


def test_the_fingerprint_is_of_content_and_config():
    """Not of names and places: equal content under equal config is the same dataset."""

    def of(name="a", digest="d", info=1, **changed) -> str:
        made = {"kind": manifest.RAW, "counts": {"n": 1}, "config": {"c": {"v": 1}}} | changed
        return Manifest(files={"g": (DataFile(name, 1, digest),)}, info={"i": info}, **made).fingerprint()

    assert of() == of(name="b") == of(info=2)
    assert len({of(), of(digest="e"), of(kind=manifest.CTR), of(counts={"n": 2}), of(config={})}) == 5


def test_output_has_to_be_fresh(dataset, tmp_path):
    manifest.prepare_output(str(tmp_path / "new/er"), manifest.CKG)
    assert (tmp_path / "new/er").is_dir()
    with pytest.raises(ConfigError, match=r"data: not empty; name a fresh directory, or pass --overwrite"):
        manifest.prepare_output(str(dataset), manifest.CKG)
    assert (dataset / "part/a").read_text() == "abc"


def test_overwrite_removes_a_dataset_and_its_leftovers(dataset):
    (dataset / "checkpoints").mkdir()
    (dataset / "checkpoints/1").write_text("x")
    manifest.prepare_output(str(dataset), manifest.CKG, overwrite=True, leftovers=["checkpoints"])
    assert list(dataset.iterdir()) == []


def test_overwrite_removes_nothing_where_something_else_stands(dataset):
    def refused(error, message, kind=manifest.CKG):
        before = sorted(dataset.rglob("*"))
        with pytest.raises(error, match=message):
            manifest.prepare_output(str(dataset), kind, overwrite=True)
        assert sorted(dataset.rglob("*")) == before

    refused(DataError, "holds a dataset of kind 'ckg'; --overwrite replaces 'ctr' only", manifest.CTR)
    (dataset / "mine").mkdir()
    (dataset / "mine/x").write_text("x")
    refused(ConfigError, "not empty; --overwrite removes a dataset only, and mine/x isn't of it")
    (dataset / "manifest.json").write_text("{")
    refused(DataError, "not a manifest")
    (dataset / "manifest.json").unlink()
    refused(ConfigError, "not empty")


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"name": "../../etc/hosts"}, "outside of the directory"),
        ({"name": "/etc/hosts"}, "outside of the directory"),
        ({"bytes": -1}, "bytes, count and first are numbers from 0"),
        ({"count": "3"}, "bytes, count and first are numbers from 0"),
        ({"size": 3}, "unexpected keyword argument 'size'"),
    ],
)
def test_a_manifest_that_names_wrong_files_is_refused(dataset, change, wrong):
    path = dataset / "manifest.json"
    body = json.loads(path.read_text())
    body["files"]["train"][0] |= change
    path.write_text(json.dumps(body))
    assert wrong in refusal(dataset)


@pytest.mark.parametrize(
    ("part", "value"),
    [("counts", 3), ("info", None), ("id_map", {"ranges": {"user": [1]}}), ("files", []), ("config", "x"),
     ("id_map", {"ranges": {"user": [1, 3], "item": [2, 4]}, "relations": [], "fingerprint": "0"})],
)  # fmt: skip
def test_a_manifest_with_a_wrong_part_is_refused(dataset, part, value):
    path = dataset / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {part: value}))
    assert refusal(dataset).startswith(f"{path}: not a manifest: ")


def test_work_that_is_terminated_leaves_nothing(tmp_path):
    before = signal.getsignal(signal.SIGTERM)

    def work():
        with manifest.discarded_on_failure(str(tmp_path)):
            (tmp_path / "half").write_text("a")
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (list(tmp_path.iterdir()), signal.getsignal(signal.SIGTERM)) == ([], before)
