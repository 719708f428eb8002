"""File systems of TensorFlow beyond the local disk: s3, hdfs, viewfs, har, oss, az come from tensorflow-io.

tensorflow-io is imported here alone, and only for a path that needs it: it takes seconds, and its libraries
load with TensorFlow 2.16 only.
"""

import importlib
import warnings

import tensorflow as tf

from kdcn_tf import files
from kdcn_tf.errors import UnavailableError


def require(*paths: str | None) -> None:
    """Makes TensorFlow able to open the paths; those that are None or local need nothing.

    Raises:
        UnavailableError: no file system is registered for a path's scheme, with or without tensorflow-io.
    """
    for path in paths:
        if path and files.is_remote(path) and not _known(path):
            _load(path)


def _known(path: str) -> bool:
    return path.split("://")[0] in tf.io.gfile.get_registered_schemes()


def _load(path: str) -> None:
    scheme = path.split("://")[0]
    try:
        with warnings.catch_warnings():
            # What fails to load is a warning there; the schemes that are registered afterwards tell.
            warnings.simplefilter("ignore")
            importlib.import_module("tensorflow_io")
    except (ImportError, OSError, NotImplementedError) as error:  # the last is its own, for a library that won't open
        raise UnavailableError(f"{path}: tensorflow-io, which opens {scheme}://, can't be loaded: {error}") from None
    if not _known(path):
        known = ", ".join(sorted(name for name in tf.io.gfile.get_registered_schemes() if name))
        raise UnavailableError(
            f"{path}: TensorFlow has no file system for {scheme}://, with tensorflow-io only: {known}"
        )
