"""Reading the files that a user gives, by the reader of the backend that knows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from onnxprof.errors import UsageError
from onnxprof.plugins import registry, verbs
from onnxprof.plugins.readers import FileOption, FileReader, Recording, Source

#: Largest file that is read; onnxruntime stops writing a profile at about this size.
MAX_BYTES = 256 << 20
_OPTION = re.compile(r"--[a-z][a-z0-9]*(-[a-z0-9]+)*")


def readers() -> tuple[FileReader, ...]:
    """The readers of every backend, the built-in ones' first; an option belongs to one of them.

    A reader is left out if one of its options is already taken or not spelt like an option.
    """
    plugins = registry.backends().values()
    every = (
        reader
        for plugin in sorted(plugins, key=lambda p: (p.is_built_in, p.name), reverse=True)
        if plugin.value is not None
        for reader in verbs.readers(plugin.value)
    )
    kept: dict[str, FileReader] = {}
    for reader in every:
        names = [option.name for option in reader.options]
        if names and all(_OPTION.fullmatch(name) and name not in kept for name in names):
            kept.update(dict.fromkeys(names, reader))
    return tuple(dict.fromkeys(kept.values()))


def options(known: Sequence[FileReader]) -> Iterator[FileOption]:
    """Every option that takes a file."""
    for reader in known:
        yield from reader.options


def read(path: Path, known: Sequence[FileReader] = ()) -> Source:
    """A file to import from. Raises UsageError if it is missing, empty or over MAX_BYTES."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            limit = f"{size >> 20} MiB, more than {MAX_BYTES >> 20} MiB"
            raise UsageError(limit, where=str(path), remedy="Profile fewer inferences")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if not data.strip() or len(data) > MAX_BYTES:
        raise UsageError("is empty" if len(data) <= MAX_BYTES else "is too big", where=str(path))
    return Source(path, data, tuple(options(known)))


def chosen(files: Mapping[str, str]) -> Recording:
    """The recording that the files, by option, make up. Raises UsageError."""
    known = readers()
    given = {option: read(Path(file), known) for option, file in files.items() if file}
    profiles = {reader.options[0].name: reader for reader in known}
    one_of = [option for option in given if option in profiles]
    if len(one_of) != 1:
        raise UsageError(
            f"{' and '.join(one_of) or 'no profile'}: one profile makes a run",
            remedy=f"Give {_listed(known)}",
        )
    reader = profiles[one_of[0]]
    for other in known:
        own = {option.name for option in other.options}
        if other is not reader and (stray := own.intersection(given)):
            raise UsageError(f"{' and '.join(sorted(stray))}: only {other.program} writes that")
    return reader.read(given)


def _listed(known: Sequence[FileReader]) -> str:
    """`--profile (trtexec), --ort-profile (onnxruntime) or …`."""
    profiles = [f"{reader.options[0].name} ({reader.program})" for reader in known]
    return " or ".join(filter(None, (", ".join(profiles[:-1]), *profiles[-1:])))
