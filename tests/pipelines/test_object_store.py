"""Datasets in an object store: a local S3 server, read and written by Beam and by tensorflow-io."""

import os
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from support.job_service import free_port
from support.raw_logs import run, streams, write_raw

from kdcn_tf import files, manifest
from kdcn_tf.errors import UnavailableError
from pipelines import build_ckg

ROOT = Path(__file__).parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake", "AWS_REGION": "us-east-1"}

# Copies the records of a local file to s3:// and reads them back, then trains; argv: source, target, train-ckg's flags.
COPY_AND_TRAIN = """
import sys
from kdcn_tf.data import filesystems
import tensorflow as tf
assert "s3" not in tf.io.gfile.get_registered_schemes()
filesystems.require(None, sys.argv[1], sys.argv[2])
records = list(tf.data.TFRecordDataset(sys.argv[1]).as_numpy_iterator())
with tf.io.TFRecordWriter(sys.argv[2]) as writer:
    for record in records:
        writer.write(record)
assert records and records == list(tf.data.TFRecordDataset(sys.argv[2]).as_numpy_iterator())
from kdcn_tf.errors import UnavailableError
try:
    filesystems.require("ftp://host/file")
except UnavailableError as error:
    print(error)
from kdcn_tf.cli import train_ckg
train_ckg.main(sys.argv[3:])
"""


@pytest.fixture(scope="module")
def store():
    """(client, environment for other processes) of an S3 server with a bucket "bucket"."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="fake", aws_secret_access_key="fake"
    )
    environment = {**os.environ, **KEYS, "PYTHONPATH": str(ROOT), "AWS_ENDPOINT_URL": endpoint}
    try:
        make_bucket(client, server)
        yield client, environment | {"S3_ENDPOINT": endpoint, "S3_USE_HTTPS": "0", "S3_VERIFY_SSL": "0"}
    finally:
        server.kill()
        server.wait()


def make_bucket(client, server):
    for _ in range(100):
        try:
            return client.create_bucket(Bucket="bucket")
        except EndpointConnectionError:
            assert server.poll() is None, "the S3 server ended"
            time.sleep(0.2)
    raise TimeoutError("the S3 server doesn't answer")


def upload(client, directory, prefix):
    for path in directory.iterdir():
        client.upload_file(str(path), "bucket", f"{prefix}/{path.name}")


def content(client, key):
    return client.get_object(Bucket="bucket", Key=key)["Body"].read()


def python(environment, *arguments):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def graph(store, tmp_path_factory):
    """Directory of a small graph, built from local logs; it is s3://bucket/ckg too, and the logs s3://bucket/raw."""
    directory = tmp_path_factory.mktemp("graph")
    raw = write_raw(directory / "raw", streams())
    assert run(build_ckg.main, f"--raw={raw}", f"--output={directory}/ckg") == 0
    upload(store[0], raw, "raw")
    upload(store[0], directory / "ckg", "ckg")
    return directory / "ckg"


@pytest.mark.slow  # Beam makes a new S3 client for every call
def test_beam_builds_in_the_store_what_it_builds_locally(store, graph):
    client, environment = store
    done = python(environment, "-m", "pipelines.build_ckg", "--raw=s3://bucket/raw", "--output=s3://bucket/built")
    assert done.returncode == 0, done.stderr
    listed = client.list_objects_v2(Bucket="bucket", Prefix="built/")["Contents"]
    stored = {found["Key"].split("/")[-1] for found in listed}
    assert stored == {path.name for path in graph.iterdir()}
    for name in stored:
        assert content(client, f"built/{name}") == (graph / name).read_bytes()


def test_training_and_its_records_by_tensorflow_io(store, graph, tmp_path):
    client, environment = store
    source = graph / manifest.read(str(graph), manifest.CKG).group("train")[0].name
    flags = ["--ckg=s3://bucket/ckg", f"--output={tmp_path}/model", "--set=pretrain.epochs=1", "--set=encoder.dim=8"]
    done = python(environment, "-c", COPY_AND_TRAIN, source, "s3://bucket/copy/train.tfrecord", *flags)
    assert done.returncode == 0, done.stderr
    assert content(client, "copy/train.tfrecord") == source.read_bytes()
    assert done.stdout.startswith(
        "ftp://host/file: TensorFlow has no file system for ftp://, with tensorflow-io only: "
    )
    made = manifest.read(str(tmp_path / "model"), manifest.CKG_MODEL, check_digests=True)
    assert made.inputs == {"ckg": manifest.read(str(graph), manifest.CKG).fingerprint()}


def test_s3_without_boto3_is_told(monkeypatch):
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"s3://bucket/raw: s3:// needs boto3: pip install 'apache-beam\[aws\]'"):
        files.exists("s3://bucket/raw")
