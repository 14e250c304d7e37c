"""`onnxprof zoo check`: materialise and run networks of the zoo, and check every activation.

Each network has a process of its own with a bound on its memory. At each batch size every output
must have the batch on axis 0 and be finite and in range. At the first batch size all activations
of the main graph are made outputs, in sessions of at most `SHARE_BYTES` of them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.checks.activations import fault_of, masked_tensors
from onnxprof.errors import OnnxprofError
from onnxprof.plugins import registry
from onnxprof.processes.confined import confined
from onnxprof.processes.limits import Limits
from onnxprof.zoo import cache
from onnxprof.zoo.catalogue import entry

if TYPE_CHECKING:
    from onnxprof.model.feeds import Arrays
    from onnxprof.model.file import ModelFile
    from onnxprof.plugins.verbs import FileSession
    from onnxprof.records.layer import LayerTable

#: Bytes of activations that one session has as outputs.
SHARE_BYTES = 768 << 20
#: Bounds on the magnitude of an output's elements.
SMALLEST, LARGEST = 1e-6, 1e6
#: The part of an output's elements that chance may put below SMALLEST: of standard normal
#: values one in a million lies there, and outputs spread less than those have more.
_CHANCE = 2e-5


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of checking one network."""

    name: str
    faults: tuple[str, ...] = ()
    """What is wrong; empty for a good network."""
    made_seconds: float = 0.0
    """Seconds that materialising took."""
    batch_ms: tuple[tuple[int, float], ...] = ()
    """Milliseconds of the second inference at each batch size."""
    smallest: float = 0.0
    """The smallest magnitude of an output's element that is not 0."""
    largest: float = 0.0
    activations: int = 0
    """Tensors between the layers that were looked at."""
    seconds: float = 0.0
    memory_bytes: int = 0
    """Peak resident memory of the process that did the check."""


@dataclass(slots=True)
class _Findings:
    faults: list[str] = field(default_factory=list)
    smallest: float = float("inf")
    largest: float = 0.0
    activations: int = 0


def check(
    name: str,
    batches: Sequence[int] = (1, 2),
    dims: Mapping[str, int] | None = None,
    *,
    keep: bool = False,
    activations: bool = True,
) -> Checked:
    """Check one network in this process. Raises UsageError for an unknown name."""
    with _scratch() as scratch:
        return _checked(name, batches, dims or {}, keep, activations, scratch)


def _checked(
    name: str,
    batches: Sequence[int],
    dims: Mapping[str, int],
    keep: bool,
    activations: bool,
    scratch: Path,
) -> Checked:
    began = time.perf_counter()
    findings = _Findings()
    path, made = _file(name, keep, scratch)
    times = tuple(_outputs(path, batches, dims, findings))
    if activations:
        _activations(path, batches[0], dims, findings)
    return Checked(
        name,
        tuple(findings.faults),
        made,
        times,
        findings.smallest if np.isfinite(findings.smallest) else 0.0,
        findings.largest,
        findings.activations,
        time.perf_counter() - began,
        _peak(),
    )


def _peak() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _scratch() -> Iterator[Path]:
    """A temporary folder beside the cache, on a disk that has room for networks."""
    root = cache.folder().parent
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="check-", dir=root) as folder:
        yield Path(folder)


def _file(name: str, keep: bool, scratch: Path) -> tuple[Path, float]:
    """(a file of the network that may be changed, seconds that materialising took).

    With `keep` the file is a copy of the one that stays in the cache.
    """
    from onnxprof.zoo.materialisation import copy_out, materialise

    began = time.perf_counter()
    path = materialise(name, cache=None if keep else scratch)
    made = time.perf_counter() - began
    return (copy_out(entry(name), path, scratch / path.name) if keep else path), made


def _opened(
    path: Path, batch: int, dims: Mapping[str, int]
) -> tuple[ModelFile, LayerTable, Arrays]:
    from onnxprof.model.feeds import generate
    from onnxprof.model.file import declared_fills, missing_dims, open_model, with_defaults
    from onnxprof.model.layers import inspect

    model = open_model(str(path))
    known = {free.name for free in missing_dims(model, {})}
    sizes = with_defaults(model, {name: n for name, n in dims.items() if name in known})
    table = inspect(model, batch, sizes)
    return model, table, generate(table, batch, declared_fills(model))


def _outputs(
    path: Path, batches: Sequence[int], dims: Mapping[str, int], findings: _Findings
) -> Iterator[tuple[int, float]]:
    """Check the outputs at each batch, which has the milliseconds of its second inference."""
    session = None
    for batch in batches:
        _, table, inputs = _opened(path, batch, dims)
        if table.obstacle:
            findings.faults.append(f"batch {batch}: {table.obstacle}")
            yield batch, 0.0
            continue
        session = session or registry.reference().file_session(path, lean=True)
        yield batch, _second(session, inputs, batch, findings)


def _second(session: FileSession, inputs: Arrays, batch: int, findings: _Findings) -> float:
    """Check the outputs of a second inference; returns its milliseconds."""
    session.run(inputs)
    began = time.perf_counter_ns()
    values = session.run(inputs)
    elapsed = (time.perf_counter_ns() - began) / 1e6
    for name, value in zip(session.outputs, values, strict=True):
        where = f"batch {batch}: output {name}"
        if not isinstance(value, np.ndarray):
            continue
        if value.ndim == 0 or value.shape[0] != batch:
            findings.faults.append(f"{where} is {list(value.shape)}, without the batch")
        _in_range(where, value, findings)
    return elapsed


def _in_range(where: str, value: NDArray[Any], findings: _Findings) -> None:
    if value.dtype.kind != "f" or not value.size:
        return
    sizes = np.abs(value.astype(np.float64, copy=False))
    there = sizes[sizes > 0]
    if not np.isfinite(sizes).all() or not there.size:
        findings.faults.append(f"{where} is {'all 0' if not sizes.any() else 'not finite'}")
        return
    low, high = float(there.min()), float(there.max())
    findings.smallest, findings.largest = min(findings.smallest, low), max(findings.largest, high)
    small = int((there < SMALLEST).sum())
    if high > LARGEST or high < SMALLEST or small > max(1, _CHANCE * sizes.size):
        findings.faults.append(f"{where} reaches from {low:.2g} to {high:.2g}, {small} too small")


def _activations(path: Path, batch: int, dims: Mapping[str, int], findings: _Findings) -> None:
    model, table, inputs = _opened(path, batch, dims)
    if table.obstacle:
        return
    graph = model.structure.graph
    known = {output.name for output in graph.output}
    names = [name for node in graph.node for name in node.output if name and name not in known]
    sizes = {t.name: _bytes(t.shape) for layer in table.nodes for t in layer.outputs}
    masked = masked_tensors(graph)
    whole = path.stat().st_size
    for share in _shares(names, sizes):
        _append_outputs(path, share)
        session = registry.reference().file_session(path, lean=True)
        for name, value in session.tensors(inputs, share):
            _check_activation(name, value, name in masked, findings)
        del session
        os.truncate(path, whole)


def _bytes(shape: Any) -> int:
    """Bytes of a float32 tensor; an axis of unknown size counts as 64."""
    count = 4
    for size in shape or (1 << 16,):
        count *= size if isinstance(size, int) else 64
    return count


def _shares(names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """The names in order, in groups of at most `SHARE_BYTES`."""
    share: list[str] = []
    held = 0
    for name in names:
        size = sizes.get(name, 0)
        if share and held + size > SHARE_BYTES:
            yield share
            share, held = [], 0
        share.append(name)
        held += size
    if share:
        yield share


def _append_outputs(path: Path, names: Sequence[str]) -> None:
    """Make tensors outputs by appending to the file: protobuf merges a repeated message."""
    from onnx import GraphProto, ValueInfoProto

    from onnxprof.zoo.making.wire import header

    more = GraphProto(output=[ValueInfoProto(name=name) for name in names])
    payload = more.SerializeToString()
    with path.open("ab") as file:
        file.write(header(7, len(payload)) + payload)


def _check_activation(name: str, value: NDArray[Any], masked: bool, findings: _Findings) -> None:
    findings.activations += 1
    if value.dtype not in (np.float32, np.float64):
        if value.dtype == np.float16 and not np.isfinite(value).all():
            findings.faults.append(f"{name} is not finite")
        return
    if fault := fault_of(value, masked):
        findings.faults.append(f"{name} {fault}")


def check_apart(
    name: str,
    batches: Sequence[int],
    dims: Mapping[str, int],
    *,
    keep: bool,
    activations: bool,
    memory_bytes: int,
    seconds: float,
) -> Checked:
    """Check one network in a process of its own; if that process ends early, that is a fault."""
    entry(name)
    options = (tuple(batches), dict(dims), keep, activations)
    with _scratch() as scratch:  # here, so that a process which is killed leaves nothing behind
        return _apart(name, options, scratch, memory_bytes, seconds)


def _apart(
    name: str,
    options: tuple[tuple[int, ...], dict[str, int], bool, bool],
    scratch: Path,
    memory_bytes: int,
    seconds: float,
) -> Checked:
    work = partial(_checked, name, *options, scratch)
    limits = Limits(seconds, memory_bytes)
    places = (scratch, cache.folder())
    try:
        return confined(work, limits, f"checking {name}", writes=places)
    except OnnxprofError as error:
        return Checked(name, (str(error),))
    except Exception as error:  # the networks are ours, and whatever a runtime raises is a finding
        return Checked(name, (f"{type(error).__name__}: {str(error)[:300]}",))
