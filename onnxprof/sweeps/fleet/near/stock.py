"""The models and inputs of a sweep as they lie here, each read for its digest once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from onnxprof.errors import OnnxprofError
from onnxprof.model.sources.policy import Resolved
from onnxprof.model.sources.resolve import resolve
from onnxprof.processes.confined import Limits, confined
from onnxprof.sweeps.fleet.wire.bundles import Packed, packed, packed_model
from onnxprof.sweeps.tasks import Task

#: References that every machine makes for itself.
_MADE_THERE = "zoo:"


@dataclass(frozen=True, slots=True)
class Item:
    """A model and the files that are sent for it."""

    named: Resolved
    packed: Packed


@dataclass(slots=True)
class Stock:
    """What may be sent, by reference; safe for threads."""

    limits: Limits = field(default_factory=Limits)
    _items: dict[str, Item | OnnxprofError] = field(default_factory=dict)
    _inputs: dict[str, Packed] = field(default_factory=dict)
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def model(self, task: Task) -> Item | None:
        """The model of a task; None for one that is made where it is measured.

        Raises what reading it raised, each time that it is asked for.
        """
        if task.model.startswith(_MADE_THERE) and not Path(task.model).is_file():
            return None
        with self._reading:
            if task.model not in self._items:
                self._items[task.model] = self._read(task.model)
            item = self._items[task.model]
        if isinstance(item, OnnxprofError):
            raise item
        return item

    def inputs(self, task: Task) -> Packed | None:
        """The file of a task's inputs; None where they are generated. Raises FleetError."""
        path = task.options.inputs
        if not path:
            return None
        with self._reading:
            if path not in self._inputs:
                self._inputs[path] = packed(Path(path))
            return self._inputs[path]

    def _read(self, reference: str) -> Item | OnnxprofError:
        """A model is to be trusted in a process of its own alone."""
        try:
            named = resolve(reference)
            return Item(named, confined(partial(_packed, named), self.limits, "reading", reference))
        except OnnxprofError as error:
            return error


def _packed(named: Resolved) -> Packed:
    from onnxprof.model.file import open_found

    model = open_found(named)
    return packed_model(named.path, model.files(), model.facts().sha256)
