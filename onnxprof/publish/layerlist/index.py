"""The parts of all models as one file a batch size: columns, every word once."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from onnxprof.publish.layerlist.part import WITHOUT
from onnxprof.publish.pages.embed import Pool, embedded

FUSED = -1 - [status.name for status in WITHOUT].index("FUSED")


@dataclass(frozen=True, slots=True)
class Total:
    """What an operator takes over the runs of one system at a batch size."""

    operator: str
    layers: int
    """Layers of that operator."""
    timed: int
    """Times of steps whose main operator it is."""
    ns: int
    share: float
    """Of the sum of all latencies."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The index at one batch size."""

    batch: int
    text: str
    """A script that hands the index to the page."""
    rows: int
    """Layers times systems."""
    models: int
    runs: int
    system: str
    """The system that the page shows before the reader chooses another; empty for none."""
    totals: tuple[Total, ...]
    """Of that system, by time, the longest first; published bounds are not in them."""


def batches(parts: Iterable[bytes]) -> tuple[Batch, ...]:
    """The index of each batch size, the smallest first."""
    models: dict[int, list[tuple[Any, list[Any]]]] = defaultdict(list)
    of_site = Counter[str]()
    for data in parts:
        model = json.loads(data)
        runs: dict[int, list[Any]] = defaultdict(list)
        for run in model["runs"]:
            runs[run["batch"]].append(run)
            of_site[run["system"]] += not run["bound"]
        for batch, found in runs.items():
            models[batch].append((model, found))
    return tuple(_batch(batch, models[batch], of_site) for batch in sorted(models))


def first(found: Sequence[Batch]) -> Batch | None:
    """What the page shows before the reader chooses: the batch size of the most runs."""
    return max(found, key=lambda one: (one.runs, -one.batch), default=None)


@dataclass(slots=True)
class _Columns:
    """What is gathered for one file; `words` are those of operators, shapes, types, systems."""

    ops: Pool = field(default_factory=Pool)
    shapes: Pool = field(default_factory=Pool)
    types: Pool = field(default_factory=Pool)
    systems: Pool = field(default_factory=Pool)
    models: list[tuple[str, str]] = field(default_factory=list)
    sets: list[tuple[int, int]] = field(default_factory=list)
    """Model, number of layers."""
    layers: list[tuple[str, int, int, int]] = field(default_factory=list)
    """Name, operator, shape, type."""
    runs: list[tuple[int, int, str, int, int]] = field(default_factory=list)
    """Set, system, the system's key in its model, total, whether it is a published bound."""
    cells: list[int] = field(default_factory=list)
    mains: list[tuple[int, int]] = field(default_factory=list)

    def add(self, model: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> None:
        """A model's runs at the batch size."""
        places: dict[int, int] = {}
        number = len(self.models)
        self.models.append((model["slug"], model["name"]))
        for run in runs:
            layers = model["sets"][run["set"]]
            if run["set"] not in places:
                places[run["set"]] = len(self.sets)
                self.sets.append((number, len(layers)))
                self.layers += [
                    (name, self.ops.place(op), self.shapes.place(shape), self.types.place(dtype))
                    for name, op, shape, dtype in layers
                ]
            start = len(self.cells)
            system = self.systems.place(run["system"])
            head = (places[run["set"]], system, run["key"], run["total"], run["bound"])
            self.runs.append(head)
            self.cells += run["ns"]
            self.mains += [(start + place, self.ops.place(op)) for place, op in run["main"]]

    def data(self) -> dict[str, Any]:
        """The columns as the page's script takes them."""
        layer, run = zip(*self.layers, strict=True), zip(*self.runs, strict=True)
        names, ops, shapes, types = map(list, layer) if self.layers else ([], [], [], [])
        of_set, of_system, keys, totals, bounds = map(list, run)
        return {
            "models": self.models,
            "words": {
                "op": list(self.ops.places),
                "shape": list(self.shapes.places),
                "dtype": list(self.types.places),
                "system": list(self.systems.places),
                "without": [status.value for status in WITHOUT],
            },
            "sets": self.sets,
            "layers": {"name": names, "op": ops, "shape": shapes, "dtype": types},
            "runs": {
                "set": of_set,
                "system": of_system,
                "key": keys,
                "total": totals,
                "bound": bounds,
            },
            "ns": self.cells,
            "main": self.mains,
        }


def _batch(batch: int, models: Sequence[tuple[Any, list[Any]]], of_site: Counter[str]) -> Batch:
    """The system of most runs of the whole site, among those with most models at the batch."""
    columns = _Columns()
    for model, runs in models:
        columns.add(model, runs)
    here = Counter(run["system"] for _, runs in models for run in runs if not run["bound"])
    system = min(here, key=lambda name: (-of_site[name], -here[name], name), default="")
    text = f"onnxprof.layerIndex({batch},{embedded(columns.data())});\n"
    count = (len(columns.cells), len(models), len(columns.runs))
    return Batch(batch, text, *count, system, tuple(_totals(columns, system)))


def _totals(columns: _Columns, system: str) -> list[Total]:
    """What each operator takes of the measured runs of a system."""
    wanted = columns.systems.places.get(system, -1)
    starts = [0, *accumulate(count for _, count in columns.sets)]
    mains = dict(columns.mains)
    words = list(columns.ops.places)
    timed, spent, layers = Counter[int](), Counter[int](), Counter[int]()
    seen: set[int] = set()
    place = whole = 0
    for of_set, of_system, _, total, bound in columns.runs:
        count, start = columns.sets[of_set][1], starts[of_set]
        cells = enumerate(columns.cells[place : place + count])
        ops = [entry[1] for entry in columns.layers[start : start + count]]
        if of_system == wanted and not bound:
            whole += total
            if of_set not in seen:
                seen.add(of_set)
                layers.update(ops)
            for row, ns in cells:
                if ns >= 0:
                    op = mains.get(place + row, ops[row])
                    timed[op] += 1
                    spent[op] += ns
        place += count
    return [
        Total(words[op], layers[op], timed[op], spent[op], spent[op] / whole if whole else 0.0)
        for op in sorted(layers | timed, key=lambda op: (-spent[op], words[op]))
    ]
