"""Published tables as runs: lower bounds, layer by layer, without a latency."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from onnxprof import __version__
from onnxprof.imports.dlperf import folder, sheets, tables
from onnxprof.imports.dlperf.folder import Clone, Damaged, Sheet
from onnxprof.imports.dlperf.sheets import Times
from onnxprof.imports.dlperf.tables import Published
from onnxprof.machine.cpu import slug
from onnxprof.records.device import Device
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.run import PUBLISHED, RUNTIME, Origin, Request, Run
from onnxprof.records.step import Confidence, Step
from onnxprof.records.timings import Timings
from onnxprof.records.warning import RunWarning, WarningKind

PROGRAM, TIMER = "dlperf", "cuDNN primitives one by one"
BACKEND, KIND = "cudnn", "cuda"
#: The step that has what the published sum has and no row.
MISSING = "(in the published total, in no row)"
#: Layers that a warning names.
_NAMED = 3
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Made:
    """A table and the run that it makes."""

    sheet: Sheet
    run: Run


@dataclass(slots=True)
class Reading:
    """Reads a clone model by model; what could not be read is in `problems`."""

    clone: Clone
    command: str
    created: str
    problems: list[str] = field(default_factory=list)

    def runs(self) -> Iterator[Made]:
        """The runs, by model and batch size. A damaged file costs what depends on it alone."""
        self.problems += self.clone.problems
        for model, of_model in groupby(self.clone.sheets, key=lambda sheet: sheet.model):
            listed = list(of_model)
            path = self.clone.layers.get(model)
            if path is None:
                self.problems.append(f"{listed[0].path}: there is no layer table of {model!r}")
                continue
            try:
                data, digest = folder.read(path)
                published = tables.parse(data)
            except Damaged as error:
                self.problems.append(f"{path}: {error}")
                continue
            yield from self._of_model(_Model(model, path, digest, published), listed)

    def _of_model(self, model: _Model, listed: Sequence[Sheet]) -> Iterator[Made]:
        known = {sheet: read for sheet in listed if (read := self._times(sheet, model))}
        once = {sheet.device: read[0] for sheet, read in known.items() if sheet.batch == 1}
        made: dict[object, LayerTable] = {}
        for sheet, (times, digest) in known.items():
            base = once.get(sheet.device)
            kept = _stuck(model.published, base, times) if sheet.batch > 1 else frozenset()
            algorithms = _algorithms(times)
            key = sheet.batch, kept, tuple(algorithms.items())
            if key not in made:
                made[key] = tables.table(model.published, sheet.batch, kept, algorithms)
            part = _Part(model, sheet, times, digest, kept, made[key])
            yield Made(sheet, part.run(self.command, self.created))

    def _times(self, sheet: Sheet, model: _Model) -> tuple[Times, str] | None:
        """The table and its digest; None, and a problem, if it cannot be used."""
        names = {node.name for node in model.published.layers()}
        try:
            data, digest = folder.read(sheet.path)
            times = sheets.parse(data)
            if strange := next((row.layer for row in times.rows if row.layer not in names), ""):
                raise Damaged(f"its layer {strange[:80]!r} is not in {model.path.name}")
        except Damaged as error:
            self.problems.append(f"{sheet.path}: {error}")
            return None
        return times, digest


@dataclass(frozen=True, slots=True)
class _Model:
    name: str
    path: Path
    digest: str
    published: Published


def _stuck(published: Published, base: Times | None, times: Times) -> frozenset[str]:
    return tables.stuck(published, _flops(base), _flops(times)) if base else frozenset()


def _flops(times: Times) -> dict[str, int]:
    return {row.layer: row.flops for row in times.rows}


def _algorithms(times: Times) -> dict[str, tuple[str, ...]]:
    """Modes of the pooling layers, which tell their operators; other rows do not matter here."""
    pools = [(row.layer, row.algorithm) for row in times.rows if row.layer_type == "Pooling"]
    found: dict[str, tuple[str, ...]] = {}
    for layer, algorithm in pools:
        kind = next((key for key in tables.POOLS if algorithm.startswith(key)), "")
        found[layer] = (kind,)
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """One table of a model, and what goes with it."""

    model: _Model
    sheet: Sheet
    times: Times
    digest: str
    kept: frozenset[str]
    table: LayerTable

    def run(self, command: str, created: str) -> Run:
        """The run that the table makes."""
        device = _device(self.sheet.device)
        files = (
            (self.model.path.name, self.model.digest),
            (self.sheet.path.name, self.digest),
        )
        steps = tuple(self._steps())
        missing = [self.times.missing_ns] if self.times.missing_ns else []
        step_ns = np.array([*(row.ns for row in self.times.rows), *missing], np.int64)
        return Run(
            request=Request(
                model_name=self.model.name,
                model_sha256=self.model.digest,
                backend=BACKEND,
                provider=KIND,
                device_id=device.id,
                batch=self.sheet.batch,
                threads=0,
                timer=PUBLISHED,
            ),
            model=self._facts(),
            device=device,
            environment=((RUNTIME, "cuDNN, version not published"), ("imported by", __version__)),
            created=created,
            command=command,
            table=self.table,
            steps=steps,
            timings=Timings(
                load_ns=0,
                first_ns=0,
                warmup_ns=_NONE,
                latency_ns=_NONE,
                latency_block=np.zeros(0, np.int32),
                traced_ns=np.array([self.times.total_ns], np.int64),
                step_ns=step_ns.reshape(len(steps), 1),
            ),
            warnings=(self._warning(),),
            origin=Origin(PROGRAM, TIMER, averaged=True, files=files),
        )

    def _facts(self) -> ModelFacts:
        return ModelFacts(
            name=self.model.name,
            reference=f"{PROGRAM}:{self.model.name}",
            sha256=self.model.digest,
            file_bytes=0,
            ir_version=0,
            opsets=(),
            producer=f"{PROGRAM}'s layer table; the ONNX file was not published with it",
            parameters=tables.parameters(self.table),
        )

    def _steps(self) -> Iterator[Step]:
        """A step a row; several of one layer are that layer's steps."""
        seen: Counter[str] = Counter()
        for position, row in enumerate(self.times.rows):
            plain = " ".join(filter(None, (f"{row.layer}: {row.primitive}", row.algorithm)))
            seen[plain] += 1
            again = f" #{seen[plain]}" if seen[plain] > 1 else ""
            yield Step(
                name=plain + again,
                op_type=row.primitive,
                provider=KIND,
                layers=(row.layer,),
                confidence=Confidence.EXACT,
                evidence="the published table names the layer",
                position=position,
                runtime_name=row.benchmark,
            )
        if self.times.missing_ns:
            yield Step(
                name=MISSING,
                op_type="",
                provider=KIND,
                layers=(),
                confidence=Confidence.NONE,
                evidence="its last row exceeds the sum of the others",
                position=len(self.times.rows),
            )

    def _warning(self) -> RunWarning:
        timed = {row.layer for row in self.times.rows}
        never: dict[str, list[str]] = defaultdict(list)
        for node in self.model.published.layers():
            if node.name not in timed:
                never[node.layer_type].append(node.name)
        stuck = len(self.kept & timed)
        notes = [
            f"never timed: {_counted(never)}" if never else "",
            f"{stuck} of {len(timed)} timed layers were timed at batch 1, by their published"
            " operations"
            if stuck
            else "",
            f"{self.times.missing_ns / 1e6:g} ms of its total are in no row"
            if self.times.missing_ns
            else "",
        ]
        count = sum(map(len, never.values()))
        return RunWarning(WarningKind.PUBLISHED_BOUND, float(count), "; ".join(filter(None, notes)))


def _counted(never: Mapping[str, Sequence[str]]) -> str:
    """`Conv (conv1, conv2, conv3 and 2 more), Reshape (flat)`, the most frequent types first."""
    listed = sorted(never.items(), key=lambda item: (-len(item[1]), item[0]))
    return ", ".join(f"{kind} ({_names(names)})" for kind, names in listed)


def _names(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    shown = ", ".join(names[: _NAMED if more > 0 else None])
    return f"{shown} and {more} more" if more > 0 else shown


def _device(name: str) -> Device:
    return Device(f"{KIND}:0:{slug(name) or 'unknown'}", KIND, name)
