"""Output directories of work that an interruption doesn't lose: the same command goes on in them."""

import itertools
import re
from collections.abc import Mapping, Sequence

from kdcn_tf import files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError

CHECKPOINTS, BEST, TENSORBOARD = "checkpoints", "best", "tensorboard"
"""Folders of a training run: to resume from, the weights of the best epoch so far, and scalars to look at."""

_PART = re.compile(r"^# settings of (\S+): (\S+)$", re.MULTILINE)


def require_plain(directory: str) -> None:
    """Refuses a name in which TensorFlow, looking for checkpoint files, would see a pattern.

    Raises:
        ConfigError: the name has one of * ? [ ].
    """
    if set(directory) & set("*?[]"):
        raise ConfigError(f"{directory}: a model's directory can't have * ? [ ] in its name")


def open_run(
    directory: str,
    kind: str,
    config: Config,
    inputs: Mapping[str, str],
    overwrite: bool,
    leftovers: Sequence[str] = (CHECKPOINTS, BEST, TENSORBOARD),
    extend: bool = False,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Makes a run's output directory, or finds the unfinished run that it holds, and takes it for this process.

    A run that ended before it saved anything doesn't count: its directory is cleared for one of other options.

    Args:
        directory: of the run.
        kind: of the dataset that the run will leave.
        config: resolved configuration.
        inputs: what else makes the run what it is: kind -> fingerprint of the datasets that it reads, options.
        overwrite: replace a finished dataset of this kind.
        leftovers: folders of a run of this kind that its manifest doesn't name.
        extend: find a finished run of this kind, too, unless `overwrite`; more can be added to it.
        settings: name of a part -> fingerprint of its settings. A run may get further parts, but none may change.

    Raises:
        ConfigError: the directory holds a finished run, a run of other options or inputs, or other files.
        TryAgainError: another process writes to it.
    """
    require_plain(directory)
    path = files.join(directory, manifest.CONFIG_FILE)
    body = options.to_yaml(config)
    files.make_dirs(directory)
    files.claim(directory)
    finished = files.exists(files.join(directory, manifest.MANIFEST))
    goes_on = not finished or (extend and not overwrite and manifest.kind_of(directory) == kind)
    if not (files.exists(path) and goes_on):
        manifest.prepare_output(directory, kind, overwrite, leftovers=leftovers)
        files.write_atomic(path, _text(inputs, settings or {}, body).encode())
        return
    old = files.read_bytes(path).decode(errors="replace")
    known = dict(_PART.findall(old))
    wanted = {**known, **(settings or {})}
    wrong = _difference(old, _text(inputs, {name: wanted[name] for name in known}, body))
    if wrong and not finished and not _holds_work(directory):
        manifest.clear(directory)
        files.write_atomic(path, _text(inputs, settings or {}, body).encode())
        return
    if wrong:
        state = "a" if finished else "an unfinished"
        raise ConfigError(f"{directory}: holds {state} run of another configuration or input ({wrong})")
    if wanted.keys() > known.keys():
        files.write_atomic(path, _text(inputs, wanted, body).encode())


def _holds_work(directory: str) -> bool:
    """Whether anything would be lost with the directory: not if the run failed before it saved anything."""
    names = [name for name in files.names_below(directory) if name != manifest.CONFIG_FILE]
    return any(name.split("/")[0] != TENSORBOARD for name in names)


def _text(inputs: Mapping[str, str], settings: Mapping[str, str], body: str) -> str:
    marks = {**inputs, **{f"settings of {name}": mark for name, mark in settings.items()}}
    return "".join(f"# {name}: {mark}\n" for name, mark in marks.items()) + body


def _difference(old: str, new: str) -> str:
    """The first line in which two configurations differ, with its section; "" where none does."""
    section = ""
    for before, now in itertools.zip_longest(old.splitlines(), new.splitlines(), fillvalue=""):
        if now[:1] not in (" ", "#", ""):
            section = f"{now} "
        if before != now:
            return f"{section}{before.strip(' #')!r} there, {now.strip(' #')!r} now"
    return ""
