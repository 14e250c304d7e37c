"""What reading models has shown, kept beside the store so that a plan need not read them again.

It is worth no more than the models are and may be deleted at any time. An entry counts only as long
as the model's files look as they did; a network of the zoo counts by its digest in the catalogue.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.job import Job, asked_of
from onnxprof.jobs.sweep import InspectedModel
from onnxprof.machine.kernel import usable_cores
from onnxprof.model.dims import grammar
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.run import Request
from onnxprof.store.encoding import from_json, to_json
from onnxprof.sweeps.tasks import Task
from onnxprof.zoo import catalogue

NAME = ".onnxprof-models"
#: Grows with each change that an earlier entry does not answer.
_FORMAT = 1
_MOST_BYTES = 1 << 28
_ZOO = "zoo:"

#: A file, its size in bytes, and when it was last written, in nanoseconds.
Stamp = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model without opening it."""

    name: str
    sha256: str
    dims: tuple[tuple[str, int], ...] = ()
    """Of all symbolic axes but the batch."""
    batches: tuple[tuple[int, int], ...] = ()
    """The batch that was asked for, and the one that is measured."""
    inputs_sha256: str = ""
    macs: int = 0
    """Multiply-accumulates of an item; 0 where they are not known."""
    file_bytes: int = 0
    stamps: tuple[Stamp, ...] = ()
    memory: tuple[tuple[str, int, int], ...] = ()
    """Backend and provider, the batch asked for, and the bytes that it takes."""
    refused: tuple[tuple[int, str], ...] = ()
    """Batches that the model cannot have, such as those of too large inputs, and why."""
    lacks_phase: bool = False
    """They are refused because the model has no phase of the kind, and need not."""

    def memory_bytes(self, task: Task, batch: int) -> int | None:
        """What a job will take; None where nobody has told."""
        runtime = _runtime(task)
        found = (size for name, asked, size in self.memory if (name, asked) == (runtime, batch))
        return next(found, None)


def request_of(task: Task, known: Known, batch: int) -> Request:
    """The request of a job, as its run will have it."""
    settled = task.asking(dims=known.dims, threads=task.options.threads or _cores())
    return asked_of(
        settled.options,
        model_name=known.name,
        model_sha256=known.sha256,
        provider=_provider(task),
        device_id=task.device_id,
        batch=dict(known.batches).get(batch, batch),
        inputs_sha256=known.inputs_sha256,
    )


@cache
def _cores() -> int:
    return usable_cores()


def _provider(task: Task) -> str:
    return task.options.provider or task.device_kind


def _runtime(task: Task) -> str:
    return f"{task.options.backend}/{_provider(task)}"


@dataclass(slots=True)
class Remembered:
    """The models that a store's sweeps have read; safe to lose."""

    root: Path
    _known: dict[str, Known] = field(default_factory=dict)
    _fresh: dict[str, bool] = field(default_factory=dict)
    """Whether an entry's files still look as they did: looked at once."""

    @classmethod
    def of(cls, root: Path) -> Remembered:
        """What is remembered beside a store; nothing where that cannot be read."""
        entries: dict[str, Known] = {}
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            with (root / NAME).open("rb") as file:
                data = json.loads(file.read(_MOST_BYTES))
            if data["format"] == _FORMAT:
                entries = {key: from_json(Known, each) for key, each in data["models"].items()}
        return cls(root, entries)

    def known(self, task: Task) -> Known | None:
        """What is known of a task's model at its sizes; None where it is to be opened."""
        key = _key(task)
        if key in self._known and self._is_fresh(key, task):
            return self._known[key]
        return _of_zoo(task) if task.model.startswith(_ZOO) else None

    def learn(self, task: Task, jobs: Mapping[int, Job], memory_bytes: Mapping[int, int]) -> None:
        """Remember what a task's model came to, by the batch that was asked for."""
        if not jobs:
            return
        one = next(iter(jobs.values()))
        is_zoo = task.model.startswith(_ZOO)
        known = Known(
            name=one.facts.name,
            sha256=_digest(one.facts.name) if is_zoo else one.facts.sha256,
            dims=tuple(dim for dim in one.table.dims if dim in one.options.dims),
            batches=tuple((asked, job.batch) for asked, job in sorted(jobs.items())),
            inputs_sha256=one.inputs_sha256,
            file_bytes=one.facts.file_bytes,
            stamps=(*(() if is_zoo else one.model.stamps), *_inputs(task)),
            memory=tuple((_runtime(task), *each) for each in sorted(memory_bytes.items())),
        )
        before = self._known.get(_key(task))
        if before is not None and before.sha256 == known.sha256:
            known = replace(
                known,
                batches=tuple(sorted((dict(before.batches) | dict(known.batches)).items())),
                memory=tuple(sorted({*before.memory, *known.memory})),
                macs=before.macs,
                refused=before.refused,
            )
        self._keep(task, replace(known, macs=known.macs or macs_of(one.table)))

    def learn_refused(self, task: Task, refused: Mapping[int, str], found: InspectedModel) -> None:
        """Remember batches that a task's model cannot have, or that it lacks the phase."""
        before = self._known.get(_key(task))
        if before is None and found.lacks_phase:
            before = _of_zoo(task) if task.model.startswith(_ZOO) else _of_file(task, found)
        if before is not None and refused:
            every = tuple(sorted((dict(before.refused) | dict(refused)).items()))
            self._keep(task, replace(before, refused=every, lacks_phase=found.lacks_phase))

    def learn_unreadable(self, task: Task, facts: ModelFacts, path: Path) -> None:
        """Remember a model that cannot be opened, by its file."""
        stamps = (*_stamps([path]), *_inputs(task))
        dims = tuple(grammar.numbers(task.options.dims).items())
        self._keep(task, Known(facts.name, facts.sha256, dims, stamps=stamps))

    def _keep(self, task: Task, known: Known) -> None:
        key = _key(task)
        stamps = tuple((os.path.abspath(path), *rest) for path, *rest in known.stamps)
        known = replace(known, stamps=stamps)  # type: ignore[arg-type]
        self._fresh[key] = True
        if self._known.get(key) != known:
            self._known[key] = known
            self._write()

    def _is_fresh(self, key: str, task: Task) -> bool:
        if key not in self._fresh:
            known = self._known[key]
            self._fresh[key] = _stamps(Path(path) for path, *_ in known.stamps) == known.stamps
            if task.model.startswith(_ZOO):
                self._fresh[key] &= _digest(task.model.removeprefix(_ZOO)) == known.sha256
        return self._fresh[key]

    def _write(self) -> None:
        """Replace the file, whole or not at all; where it cannot be written there is none.

        Nor before the store is there: planning alone makes no folder.
        """
        if not self.root.is_dir():
            return
        data = {"format": _FORMAT, "models": {k: to_json(v) for k, v in self._known.items()}}
        temporary = self.root / f".{secrets.token_hex(8)}.tmp"
        with suppress(OSError):
            try:
                temporary.write_text(json.dumps(data), "utf-8")
                temporary.replace(self.root / NAME)
            finally:
                temporary.unlink(missing_ok=True)


def macs_of(table: LayerTable) -> int:
    """Multiply-accumulates of one item of a batch, those that are known."""
    from onnxprof.cost.count import costs, total

    return total(costs(table)).operations.macs // max(1, table.batch)


def _key(task: Task) -> str:
    asked = task.options
    is_file = not task.model.partition(":")[1] or os.path.exists(task.model)
    model = os.path.abspath(task.model) if is_file else task.model
    facts = [model, sorted(asked.dims), task.optional_dims, asked.inputs, asked.seed]
    facts += [asked.phase] if asked.phase else []
    facts += ["optional phase"] if task.optional_phase else []
    if grammar.ties(asked.dims):  # they may be tied to the batch
        facts.append(asked.batches)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _inputs(task: Task) -> tuple[Stamp, ...]:
    return _stamps([Path(task.options.inputs)]) if task.options.inputs else ()


def _stamps(files: Iterable[Path]) -> tuple[Stamp, ...]:
    """Stamps of files; one of impossible figures where a file cannot be read."""
    found: list[Stamp] = []
    for file in files:
        try:
            seen = file.stat()
        except (OSError, ValueError):
            return ((str(file), -1, -1),)
        found.append((str(file), seen.st_size, seen.st_mtime_ns))
    return tuple(found)


def _digest(name: str) -> str:
    return next((entry.sha256 for entry in catalogue.entries() if entry.name == name), "")


def _of_file(task: Task, found: InspectedModel) -> Known:
    """A model of which no table was made: its file alone."""
    facts, stamps = found.model.facts, (*found.model.stamps, *_inputs(task))
    dims = tuple(grammar.numbers(task.options.dims).items())
    return Known(facts.name, facts.sha256, dims, file_bytes=facts.file_bytes, stamps=stamps)


def _of_zoo(task: Task) -> Known | None:
    """What the catalogue says; no network of the zoo fixes its batch."""
    name = task.model.removeprefix(_ZOO)
    if task.options.inputs or name not in catalogue.names():
        return None
    entry = catalogue.entry(name)
    axes = {axis for given in entry.inputs for axis in given.shape if isinstance(axis, str)}
    lacking = set(task.optional_dims) - axes
    asked = tuple((axis, size) for axis, size in task.options.dims if axis not in lacking)
    dims = dict(entry.dims) | grammar.numbers(asked)
    if open_ := grammar.ties(asked):
        try:
            dims |= grammar.settled(open_, dims)
        except OnnxprofError:
            return None
    if not dims.keys() >= open_.keys():  # tied to the batch
        return None
    return Known(name, entry.sha256, tuple(dims.items()), macs=entry.macs, file_bytes=entry.bytes)
