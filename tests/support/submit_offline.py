"""Runs a command with gs:// as a local directory and without Google's services, to see what a job for Dataflow is.

    python submit_offline.py DIRECTORY MODULE [ARGUMENT...]

`gs://bucket/name` is DIRECTORY/bucket/name. Only for an environment with apache-beam[gcp].
"""

import importlib
import os
import sys
from pathlib import Path

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.gcp.gcsfilesystem import GCSFileSystem
from apache_beam.io.localfilesystem import LocalFileSystem
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.dataflow.internal import apiclient

HOME = Path(sys.argv[1])
DISK = LocalFileSystem(PipelineOptions([]))


def local(path):
    return str(HOME / path.removeprefix("gs://"))


class Disk:
    """Methods that replace those of `GCSFileSystem`."""

    def _list(self, prefix):
        for folder, _, names in os.walk(local(prefix if prefix.endswith("/") else os.path.dirname(prefix))):
            for name in names:
                path = Path(folder, name)
                yield FileMetadata(f"gs://{path.relative_to(HOME)}", path.stat().st_size, 0.0)

    def create(self, path, mime_type="application/octet-stream", compression_type=CompressionTypes.AUTO):
        os.makedirs(os.path.dirname(local(path)), exist_ok=True)
        return DISK.create(local(path), mime_type, compression_type)

    def open(self, path, mime_type="application/octet-stream", compression_type=CompressionTypes.AUTO):
        try:
            return DISK.open(local(path), mime_type, compression_type)
        except OSError as error:
            raise BeamIOError(str(error)) from None

    def exists(self, path):
        return os.path.isfile(local(path))

    def metadata(self, path):
        return FileMetadata(path, os.path.getsize(local(path)), 0.0)

    def rename(self, source_file_names, destination_file_names):
        for source, target in zip(source_file_names, destination_file_names, strict=True):
            os.replace(local(source), local(target))

    def delete(self, paths):
        DISK.delete([local(path) for path in paths])


def stage_file(self, directory, name, stream, mime_type="", total_size=None):
    target = Path(local(directory), name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(stream.read())


def main():
    for name in ("_list", "create", "open", "exists", "metadata", "rename", "delete"):
        setattr(GCSFileSystem, name, vars(Disk)[name])
    GoogleCloudOptions._warn_if_soft_delete_policy_enabled = lambda *_: None
    apiclient.DataflowApplicationClient.stage_file = stage_file
    importlib.import_module(sys.argv[2]).main(sys.argv[3:])


if __name__ == "__main__":
    main()
