"""Output directories of work that an interruption doesn't lose: the same command goes on in them."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kdcn_tf import files, manifest, options
from kdcn_tf.config import Config
from kdcn_tf.errors import ConfigError

CHECKPOINTS, BEST, TENSORBOARD = "checkpoints", "best", "tensorboard"
"""Folders of a training run: to resume from, the weights of the best epoch so far, and scalars to look at."""

_MARK = re.compile(r"^# (.+): (\S+)$", re.MULTILINE)
_SETTINGS = "settings of "


@dataclass(frozen=True)
class Parts:
    """What a run is made of that may get further parts later, none of which may change.

    Attributes:
        settings: name of a part -> fingerprint of all that it reads of the configuration.
        shared: what else makes those parts that need it what they are, as inputs do; {} where none of them needs it.
    """

    settings: Mapping[str, str]
    shared: Mapping[str, str] = field(default_factory=dict)

    def marks(self) -> dict[str, str]:
        return {**self.shared, **{f"{_SETTINGS}{name}": mark for name, mark in self.settings.items()}}

    def differences(self, known: Mapping[str, str]) -> Iterator[str]:
        """In what of the marks of a run, without its inputs', it has other parts than these of the same name."""
        settings = {name: mark for name, mark in known.items() if name.startswith(_SETTINGS)}
        shared = {name: mark for name, mark in known.items() if name not in settings}
        if not settings:
            yield "no parts there"
        if shared and self.shared:
            yield from _unequal(shared, self.shared)
        for name, mark in self.settings.items():
            key = f"{_SETTINGS}{name}"
            yield from _unequal({key: settings.get(key, mark)}, {key: mark})


def _unequal(there: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*there, *now)):
        if there.get(name) != now.get(name):
            told = (f"{name}: {marks[name]}" if name in marks else "" for marks in (there, now))
            yield "{!r} there, {!r} now".format(*told)


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
    parts: Parts | None = None,
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
        parts: of a run that may get further ones. What none of them reads of the configuration doesn't count.

    Raises:
        ConfigError: the directory holds a finished run, a run of other options or inputs, or other files.
        TryAgainError: another process writes to it.
    """
    require_plain(directory)
    path = files.join(directory, manifest.CONFIG_FILE)
    body = options.to_yaml(config)
    own = _text({**inputs, **(parts.marks() if parts else {})}, body)
    files.make_dirs(directory)
    files.claim(directory)
    finished = files.exists(files.join(directory, manifest.MANIFEST))
    goes_on = not finished or (extend and not overwrite and manifest.kind_of(directory) == kind)
    if not (files.exists(path) and goes_on):
        manifest.prepare_output(directory, kind, overwrite, leftovers=leftovers)
        files.write_atomic(path, own.encode())
        return
    old = files.read_bytes(path).decode(errors="replace")
    marks = dict(_MARK.findall(old))
    wrong = _difference_of_parts(marks, inputs, parts) if parts else _difference(old, _text(inputs, body))
    if wrong and not finished and not _holds_work(directory):
        manifest.clear(directory)
        files.write_atomic(path, own.encode())
        return
    if wrong:
        state = "a" if finished else "an unfinished"
        raise ConfigError(f"{directory}: holds {state} run of another configuration or input ({wrong})")
    if parts and not parts.marks().keys() <= marks.keys():
        files.write_atomic(path, _text({**marks, **parts.marks()}, body).encode())


def _holds_work(directory: str) -> bool:
    """Whether anything would be lost with the directory: not if the run failed before it saved anything."""
    names = [name for name in files.names_below(directory) if name != manifest.CONFIG_FILE]
    return any(name.split("/")[0] != TENSORBOARD for name in names)


def _text(marks: Mapping[str, str], body: str) -> str:
    return "".join(f"# {name}: {mark}\n" for name, mark in marks.items()) + body


def _difference_of_parts(marks: Mapping[str, str], inputs: Mapping[str, str], parts: Parts) -> str:
    """The first mark in which two runs of parts differ; "" where none does."""
    own = {name: mark for name, mark in marks.items() if name not in inputs}
    there = {name: mark for name, mark in marks.items() if name in inputs}
    return next(itertools.chain(_unequal(there, inputs), parts.differences(own)), "")


def _difference(old: str, new: str) -> str:
    """The first line in which two configurations differ, with its section; "" where none does."""
    section = ""
    for before, now in itertools.zip_longest(old.splitlines(), new.splitlines(), fillvalue=""):
        if now[:1] not in (" ", "#", ""):
            section = f"{now} "
        if before != now:
            return f"{section}{before.strip(' #')!r} there, {now.strip(' #')!r} now"
    return ""
