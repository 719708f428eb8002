"""Export of a trained K-DCN as a versioned SavedModel for TF Serving."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

from kdcn_tf import ckg, files, manifest, options
from kdcn_tf.config import from_dict
from kdcn_tf.data.ctr import batches_of, require_same_features
from kdcn_tf.errors import ConfigError, DataError
from kdcn_tf.export import card, card_facts, golden, warmup
from kdcn_tf.export.signatures import Server
from kdcn_tf.export.vocabulary import load_vocabulary, write_vocabulary
from kdcn_tf.manifest import Manifest
from kdcn_tf.models.click_model import ClickModel
from kdcn_tf.runs import require_plain

log = logging.getLogger(__name__)

MODEL_NAME = "kdcn"
GOLDEN_ROWS = 32
_STRING_TYPES = (ckg.USER, ckg.ITEM, ckg.KEYWORD, ckg.CATEGORY)


def versions(directory: str) -> list[int]:
    """Version numbers in a serving directory, ascending."""
    if not tf.io.gfile.isdir(directory):
        return []
    names = (name.rstrip("/") for name in tf.io.gfile.listdir(directory))
    return sorted(int(name) for name in names if name.isdecimal())


def latest(directory: str) -> str:
    """Directory of the newest version; `directory` itself if it is a version.

    Raises:
        DataError: there is none.
    """
    if files.exists(files.join(directory, "saved_model.pb")):
        return directory
    found = versions(directory)
    if not found:
        raise DataError(f"{directory}: holds no version of a served model")
    return files.join(directory, str(found[-1]))


def export(
    *,
    model: ClickModel,
    trained: Manifest,
    ctr_directory: str,
    ctr: Manifest,
    ckg_directory: str,
    graph: Manifest,
    directory: str,
    version: int | None = None,
    evaluation: str | None = None,
) -> str:
    """Writes `directory`/<version>/, proves it on held-out requests, and only then gives it its number.

    TF Serving ignores names that aren't numbers, so it never sees an unfinished version.

    Args:
        model: trained, with plain variables.
        trained: its manifest.
        ctr_directory: where golden requests come from.
        ctr: manifest of that dataset.
        ckg_directory: whose entity keys the vocabularies hold.
        graph: manifest of that dataset.
        directory: of all versions.
        version: number of this one; the next free one by default.
        evaluation: directory of `kdcn evaluate` whose figures go into the model card.

    Returns:
        Path of the new version.

    Raises:
        ConfigError: the version exists, or the directory can't be written to.
        TryAgainError: another process writes to it.
        DataError: ids or features don't match, the evaluation judged other models, or the SavedModel scores
            differently from the model.
    """
    for other in (ctr, graph):
        manifest.require_same_ids(trained, other)
    require_same_features(ctr_directory, ctr, model.spec)
    manifest.require_entities(ckg_directory, graph)
    require_plain(directory)
    files.make_dirs(directory)
    files.claim(directory)
    number = version if version is not None else max(versions(directory), default=0) + 1
    final = files.join(directory, str(number))
    if files.exists(final):
        raise ConfigError(f"{final}: this version exists")
    facts = card_facts.facts(
        model=model, trained=trained, ctr_directory=ctr_directory, ctr=ctr, graph=graph, version=number,
        evaluation=evaluation,
    )  # fmt: skip
    with _unfinished(directory, number) as path:
        difference = _write(path, model, trained, ctr_directory, ctr, ckg_directory, graph)
        _write_card(path, facts)
        _describe(path, trained)
        tf.io.gfile.rename(path, final)
    log.info("%s: all signatures score held-out requests as in training (to %.1g)", final, difference)
    return final


@contextlib.contextmanager
def _unfinished(directory: str, number: int) -> Iterator[str]:
    """A directory that is removed if the work in it fails."""
    path = files.join(directory, f"unfinished-{number}")
    if tf.io.gfile.exists(path):
        tf.io.gfile.rmtree(path)
    tf.io.gfile.makedirs(path)
    try:
        yield path
    except BaseException:
        tf.io.gfile.rmtree(path)
        raise


def _write(path, model, trained, ctr_directory, ctr, ckg_directory, graph) -> float:
    staging = f"{path}-vocabulary"
    tf.io.gfile.makedirs(staging)
    try:
        vocabularies = {
            name: load_vocabulary(file, write_vocabulary(ckg_directory, graph, name, file))
            for name in _STRING_TYPES
            if f"entities/{name}" in graph.files and (file := files.join(staging, f"{name}.txt"))
        }
        server = Server(model, vocabularies)
        save_options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(server, path, signatures=server.signatures_by_name, options=save_options)
    finally:
        tf.io.gfile.rmtree(staging)
    batch = _golden_batch(ctr_directory, ctr)
    names = golden.keys_of(ckg_directory, graph, golden.wanted_ids(batch, model.spec))
    request = golden.to_request(batch, model.spec, names)
    difference = golden.check(path, model, batch, request)
    if not warmup.write_warmup(path, MODEL_NAME, request, model.spec):
        log.warning("no warm-up requests: package tensorflow-serving-api isn't installed")
    return difference


def _write_card(path: str, facts: Mapping[str, Any]) -> None:
    folder = files.join(path, warmup.FOLDER)
    tf.io.gfile.makedirs(folder)
    body = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    files.write_atomic(files.join(folder, card.JSON_FILE), body.encode("utf-8", "replace"))
    files.write_atomic(files.join(folder, card.MARKDOWN_FILE), card.markdown(facts))


def _golden_batch(ctr_directory: str, ctr: Manifest) -> dict[str, Any]:
    """The first held-out examples: of the test period, else of an earlier one."""
    for split in ("test", "valid", "train"):
        if sum(file.count for file in ctr.files.get(split, ())):
            batch = next(iter(batches_of(ctr_directory, ctr, split, GOLDEN_ROWS)))
            return {key: value.numpy() for key, value in batch.items()}
    raise DataError(f"{ctr_directory}: has no examples")


def _describe(path: str, trained: Manifest) -> None:
    files.write_atomic(files.join(path, manifest.CONFIG_FILE), options.to_yaml(from_dict(trained.config)).encode())
    names = []
    for folder, _, found in tf.io.gfile.walk(path):
        relative = folder[len(path) :].strip("/")
        names += [f"{relative}/{name}".lstrip("/") for name in found]
    manifest.write(
        path,
        Manifest(
            kind=manifest.SERVING,
            files={"saved_model": tuple(manifest.describe_file(path, name) for name in sorted(names))},
            id_map=trained.id_map,
            config=trained.config,
            inputs={manifest.KDCN_MODEL: trained.fingerprint()},
            info={k: v for k, v in trained.info.items() if k != "history"},
        ),
    )
