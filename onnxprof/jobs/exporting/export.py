"""From a target to a checked ONNX file, whichever framework it is of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from onnxprof.checks.exported import Agreement, check
from onnxprof.errors import BackendError, ExportError, OnnxprofError, StoreError, UsageError
from onnxprof.jobs.exporting import child
from onnxprof.machine.memory import usable_bytes
from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.graph.parameters import parameters
from onnxprof.model.graph.read import read_file
from onnxprof.plugins.exporter import Exporter, ExportRequest, InputSpec, Sample
from onnxprof.plugins.registry import exporter, exporters
from onnxprof.writing import refuse_unwritable, unwritable

#: Batch sizes at which a file is held against the framework.
BATCHES = (1, 4)
BATCH = "batch"
_INPUT = re.compile(r"(?P<name>[^:\[\]]+):(?P<dtype>\w+)\[(?P<shape>[^\[\]]*)\]")
_OPSETS = (13, 23)
_FORMS = (
    "A target is package.module:factory (torch), a .keras or .h5 file, the folder of a "
    "SavedModel, or a network of the zoo"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asks for."""

    target: str
    output: Path
    inputs: tuple[InputSpec, ...] = ()
    dynamic_batch: bool = True
    opset: int = 20
    exporter: str = ""
    """Empty for the one that accepts the target."""
    dims: tuple[tuple[str, int], ...] = ()
    keep: bool = False
    """Leave the file where its check fails, too."""
    seconds: float = 1800.0
    """Time that the framework may take."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file, and what is known of it."""

    path: Path
    written: bool
    """Whether it was left there; a file with wrong numbers is not, unless asked for."""
    framework: str
    nodes: int
    parameters: int
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    agreements: tuple[Agreement, ...]

    @property
    def passed(self) -> bool:
        """Whether its outputs are the framework's."""
        return all(agreement.passed for agreement in self.agreements)


def parse_input(text: str) -> InputSpec:
    """`x:float32[batch,3,224,224]`; a word in the shape is a free axis. Raises UsageError."""
    found = _INPUT.fullmatch(text.replace(" ", ""))
    if found is None:
        raise _bad_input(text, "is not NAME:dtype[shape]")
    sizes = [size for size in found["shape"].split(",") if size]
    return InputSpec(found["name"], found["dtype"], tuple(_size(size, text) for size in sizes))


def _size(size: str, text: str) -> int | str:
    if size.isdecimal() and len(size) < 10 and int(size) > 0:
        return int(size)
    if size.isidentifier():
        return size
    raise _bad_input(text, f"has {size!r} for a size")


def _bad_input(text: str, what: str) -> UsageError:
    return UsageError(f"--input {text!r} {what}", remedy="Write --input x:float32[batch,3,224,224]")


def export(order: Order) -> Exported:
    """Export, check, and write atomically.

    Raises UsageError for an order that makes no sense, BackendError where the framework is
    missing, ExportError where it fails or the file is unusable, StoreError where it cannot
    be written. A file that computes something else than the framework is reported, not kept.
    """
    _check_order(order)
    chosen = choose(order)
    facts = chosen.availability()
    if not facts.usable:
        raise BackendError(facts.detail, where=f"exporter {chosen.name}", remedy=facts.remedy)
    request = _request(order)
    with _scratch(order.output) as folder:
        held = replace(request, path=str(folder / order.output.name))
        samples = _isolated(folder, chosen.name, held, order.seconds)
        try:
            agreements = _checked(held, samples, dict(order.dims))
        except ExportError:
            _move(Path(held.path), order) if order.keep else None
            raise
        made = described(Path(held.path), order, facts.detail, agreements)
        if made.written:
            _move(Path(held.path), order)
    return made


def _check_order(order: Order) -> None:
    low, high = _OPSETS
    if not low <= order.opset <= high:
        remedy = f"Choose from {low} to {high}"
        raise UsageError(f"opset {order.opset} is not supported", remedy=remedy)
    refuse_unwritable(order.output)
    names = [item.name for item in order.inputs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"--input {twice} is given twice", remedy="Give it once")


def choose(order: Order) -> Exporter:
    """The exporter asked for, or the one that accepts the target. Raises UsageError."""
    if order.exporter:
        return exporter(order.exporter)
    loaded = exporters()
    for plugin in loaded.values():
        if plugin.value is not None and plugin.value.accepts(order.target):
            return plugin.value
    broken = [f"{name} ({plugin.error})" for name, plugin in loaded.items() if plugin.error]
    note = f". Not loaded: {', '.join(broken)}" if broken else ""
    raise UsageError(f"no exporter knows what it is{note}", where=order.target, remedy=_FORMS)


def _request(order: Order) -> ExportRequest:
    batch = _symbol(order.inputs) if order.dynamic_batch else ""
    inputs = tuple(_with_batch(item, batch) for item in order.inputs)
    batches = BATCHES if batch else (_fixed(order.inputs),)
    return ExportRequest(order.target, "", order.opset, inputs, batch, batches, order.dims)


def _symbol(inputs: Sequence[InputSpec]) -> str:
    """What the user calls the batch: the first axis of the first input that has a name there."""
    firsts = (item.shape[0] for item in inputs if item.shape)
    return next((first for first in firsts if isinstance(first, str)), BATCH)


def _fixed(inputs: Sequence[InputSpec]) -> int:
    """The batch that the first input has where it is not to be free."""
    firsts = (item.shape[0] for item in inputs if item.shape)
    return next((first for first in firsts if isinstance(first, int)), 1)


def _with_batch(item: InputSpec, batch: str) -> InputSpec:
    """Axis 0 as the batch; where that is fixed, at the size that it has, or 1."""
    if not item.shape:
        return item
    first = item.shape[0]
    fixed = first if isinstance(first, int) else 1
    return replace(item, shape=(batch or fixed, *item.shape[1:]))


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A folder beside the output, so that the file can be moved there at once."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".onnxprof-", dir=output.parent))
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unwritable(output: Path, error: OSError) -> OnnxprofError:
    return unwritable(output, error, StoreError)


def _move(path: Path, order: Order) -> None:
    """Weights beside the file first: then whoever sees the file sees them too."""
    beside = path.with_name(f"{path.name}.data")
    try:
        if beside.exists():
            os.replace(beside, order.output.with_name(beside.name))
        os.replace(path, order.output)
    except OSError as error:
        raise _unwritable(order.output, error) from error


def _isolated(folder: Path, name: str, request: ExportRequest, seconds: float) -> list[Sample]:
    """Run the exporter in a process of its own; its noise stays in a file unless it fails."""
    child.ask(folder, name, request, usable_bytes())
    noise = folder / "noise.txt"
    command = [sys.executable, "-P", "-m", "onnxprof.jobs.exporting.child", str(folder)]
    with noise.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise ExportError(
                f"took longer than {seconds:g} s", where=request.target, remedy="Raise --timeout"
            ) from error
        finally:
            process.kill()
            process.wait()
    if os.environ.get("ONNXPROF_DEBUG"):
        sys.stderr.write(noise.read_text("utf-8", "replace"))
    return _answered(folder, code, noise, request.target)


def _answered(folder: Path, code: int, noise: Path, target: str) -> list[Sample]:
    try:
        return child.answer(folder)
    except FileNotFoundError as error:
        lines = [line for line in noise.read_text("utf-8", "replace").splitlines() if line.strip()]
        last = f": {lines[-1].strip()[:200]}" if lines else ""
        ended = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise ExportError(
            f"the framework's process ended with {ended}{last}",
            where=target,
            remedy="It may have run out of memory; --debug shows all that it said",
        ) from error


def _checked(
    request: ExportRequest, samples: Sequence[Sample], dims: Mapping[str, int]
) -> tuple[Agreement, ...]:
    path = Path(request.path)
    return check(path, samples, request.batches, request.batch, request.target, dims)


def described(
    path: Path, order: Order, framework: str, agreements: tuple[Agreement, ...]
) -> Exported:
    """What is known of the file that was made for an order."""
    model = read_file(path)
    versions = [entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS]
    made = Exported(
        order.output,
        True,
        framework,
        len(model.graph.node),
        parameters(model),
        max(versions, default=0),
        tuple(map(_value, model.graph.input)),
        tuple(map(_value, model.graph.output)),
        agreements,
    )
    return made if made.passed or order.keep else replace(made, written=False)


def _value(value: onnx.ValueInfoProto) -> str:
    held = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(held.elem_type).name
    sizes = [dim.dim_param or str(dim.dim_value) for dim in held.shape.dim]
    return f"{value.name}: {dtype}[{', '.join(sizes)}]"
