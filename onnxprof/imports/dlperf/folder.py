"""The files of a clone of rai-project/dlperf, found without leaving its folder."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from onnxprof.errors import UsageError

#: Largest file that is read; the largest published one has 0.9 MB.
MAX_BYTES = 16 << 20
#: The most files of a clone; 1,470 were published.
MAX_FILES = 50_000
LAYERS, TIMES = ("assets", "layer_stats"), ("assets", "serial_latency")
_BATCH = re.compile(r"batchsize_([1-9][0-9]{0,5})")
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\]{1,200}")


class Damaged(Exception):
    """Why one file of the clone cannot be used."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A timing table: one model on one device at one batch size."""

    path: Path
    model: str
    device: str
    """As it is called: `Tesla K80`."""
    batch: int


@dataclass(frozen=True, slots=True)
class Clone:
    """The files of a clone by what they hold."""

    layers: dict[str, Path]
    """Layer tables by model."""
    sheets: tuple[Sheet, ...]
    """By model, batch size and device."""
    problems: tuple[str, ...]
    """What is no such file, a line each."""


def find(folder: Path) -> Clone:
    """The layer tables and timing tables below a folder. Raises UsageError if there are none.

    Links are not followed, below the folder itself; they and other strange files are listed.
    """
    problems: list[str] = []
    layers = {
        _stem(entry): Path(entry.path)
        for entry in _files(folder.joinpath(*LAYERS), ".json", problems)
    }
    sheets = sorted(_sheets(folder.joinpath(*TIMES), problems), key=_order)
    if not layers or not sheets:
        missing = "/".join(TIMES if layers else LAYERS)
        raise UsageError(
            f"there are no tables in {missing}",
            where=str(folder),
            remedy="--dlperf takes the folder of a clone of github.com/rai-project/dlperf",
        )
    return Clone(layers, tuple(sheets), tuple(problems))


def read(path: Path) -> tuple[bytes, str]:
    """A file's bytes and their SHA-256. Raises Damaged."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Damaged(f"cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise Damaged(f"has more than {MAX_BYTES >> 20} MiB")
    return data, hashlib.sha256(data).hexdigest()


def _order(sheet: Sheet) -> tuple[str, int, str]:
    return sheet.model, sheet.batch, sheet.device


def _sheets(root: Path, problems: list[str]) -> Iterator[Sheet]:
    count = 0
    for of_batch in _folders(root, problems):
        batch = _BATCH.fullmatch(of_batch.name)
        if batch is None:
            problems.append(f"{of_batch.path}: its name is not batchsize_N")
            continue
        for of_device in _folders(Path(of_batch.path), problems):
            device = " ".join(of_device.name.split("_")).strip()
            for entry in _files(Path(of_device.path), ".csv", problems):
                yield Sheet(Path(entry.path), _stem(entry), device, int(batch[1]))
                count += 1
                if count > MAX_FILES:
                    raise UsageError(f"it has more than {MAX_FILES:,} tables", where=str(root))


def _stem(entry: os.DirEntry[str]) -> str:
    return entry.name.rpartition(".")[0]


def _folders(root: Path, problems: list[str]) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(root, problems):
        if entry.is_dir(follow_symlinks=False):
            yield entry
        elif not entry.name.startswith("."):
            problems.append(f"{entry.path}: is no folder")


def _files(root: Path, suffix: str, problems: list[str]) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(root, problems):
        if entry.is_file(follow_symlinks=False) and entry.name.endswith(suffix):
            yield entry
        elif not entry.name.startswith("."):
            problems.append(f"{entry.path}: is no {suffix} file")


def _entries(root: Path, problems: list[str]) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, by name; none of it is a link, nor has a name to be careful with."""
    try:
        if root.is_symlink():
            raise OSError("is a link")
        with os.scandir(root) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    except OSError as error:
        problems.append(f"{root}: {error.strerror or error}")
        return
    for entry in entries:
        if entry.is_symlink():
            problems.append(f"{entry.path}: is a link, which is not followed")
        elif _NAME.fullmatch(entry.name) is None or not _is_text(entry.name):
            problems.append(f"{entry.path!r}: has a name that cannot be used")
        else:
            yield entry


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode("utf-8"))
    except UnicodeEncodeError:
        return False
