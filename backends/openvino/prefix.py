"""Growing prefixes of a model as OpenVINO runs it, each a compiled model of its own.

OpenVINO does not accept the graph that it executes as a model. So the original is cut, at the
tensors that pass from the executed steps before the cut to those behind it, where no fusion is
torn apart. Compiling a prefix may still give other nodes than the whole model: the two are
compared node by node, and a cut that changes any node is refused.

An output in the layout of convolutions would be reordered as a whole, which does not happen in
the whole model. So a tensor that crosses a cut ends in a *sink*, which reads a few elements and
costs no more than an output. The empty prefix has a sink, too. Every further output costs a call
one to three microseconds: so the sinks of several tensors are joined, and the longest prefix, the
unchanged model, has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.openvino.graphs.clues import RuntimeNode
from onnxprof.backends.openvino.graphs.marks import anonymous
from onnxprof.backends.openvino.graphs.steps import executed, runs
from onnxprof.backends.openvino.runtime import runtime, runtime_errors
from onnxprof.backends.openvino.session import BoundSession, Loaded
from onnxprof.backends.openvino.settings import properties
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.provenance.ties import TiedStep
from onnxprof.provenance.topology import Graph

_PROBE = "onnxprof_empty"
_SINK = "onnxprof_sink"
_RESULT = "Result"
#: Operations that change no element, or its type alone.
_NAMES_GO_ON = frozenset({"Convert", "Reshape", "Squeeze", "Unsqueeze"})
#: The type of tensors whose sinks are joined; other types are rare.
_JOINED = "f32"

#: A node without the name: kind, implementation, operations, layout, type, shape.
Signature = tuple[str, ...]


@dataclass  # without slots, which leave no place for what is worked out once
class Prefixes:
    """The cuts of one loaded model with known steps."""

    workload: Workload
    core: Any
    target: str
    loaded: Loaded
    graph: Graph
    """The topology of the original, with executed branches in place of their If."""
    steps: Sequence[TiedStep]
    nodes: Sequence[RuntimeNode]
    """The nodes of the whole model, in execution order."""
    made: dict[int, BoundSession | None] = field(default_factory=dict)
    """By the number of steps; None where a cut was refused."""

    @cached_property
    def barred(self) -> frozenset[int]:
        """Impossible cuts: no tensor crosses, or one that no operation of the model yields.

        A step without layers works for the step behind it, so no cut separates the two. Of a step
        of several nodes the first may be what another step reads before the last one runs.
        """
        ports = _ports(self.loaded.model)
        needed = self._needed()
        return frozenset(
            count
            for count in range(1, len(self.steps))
            if not self.steps[count - 1].layers
            or needed[count - 1] >= count
            or not (names := self.crossing(count))
            or not ports.keys() >= set(names)
        )

    def _needed(self) -> list[int]:
        """For each step the last one of which it, or one before it, needs a node."""
        owner = {node: number for number, step in enumerate(self.steps) for node in step.members}
        reached: list[int] = []
        for place, node in enumerate(self.nodes):
            before = (reached[source] for source in node.inputs if source < place)
            reached.append(max(before, default=-1))
            if _runs(node):
                reached[place] = max(reached[place], owner.get(place, -1))
        own = (max((reached[node] for node in step.members), default=-1) for step in self.steps)
        return list(accumulate(own, max))

    def crossing(self, count: int) -> list[str]:
        """The tensors that steps before a cut yield and layers behind it need."""
        before = self._before(count)
        yielded = [t for node in self.graph.nodes if node.name in before for t in node.outputs]
        behind = (n for n in self.graph.nodes if n.name in self._live and n.name not in before)
        wanted = {t for n in behind for t in n.inputs} | set(self.graph.outputs)
        return [tensor for tensor in yielded if tensor in wanted]

    @cached_property
    def _live(self) -> set[str]:
        """The layers that an output depends on; a runtime drops the others."""
        wanted = set(self.graph.outputs)
        live = set()
        for node in reversed(self.graph.nodes):
            if not wanted.isdisjoint(node.outputs):
                live.add(node.name)
                wanted.update(node.inputs)
        return live

    def _before(self, count: int) -> set[str]:
        """The layers of the first steps, and unexecuted layers whose results these read."""
        before = {name for step in self.steps[:count] for name in step.layers}
        run = {name for step in self.steps for name in step.layers}
        wanted = {t for n in self.graph.nodes if n.name in before for t in n.inputs}
        for node in reversed(self.graph.nodes):
            if node.name not in run and not wanted.isdisjoint(node.outputs):
                before.add(node.name)
                wanted.update(node.inputs)
        return before

    def checked(self, counts: Sequence[int]) -> list[int]:
        """The cuts, or near ones, that leave the steps before them unchanged."""
        return sorted({cut for count in counts if (cut := self._near(count)) is not None})

    def sessions(self, counts: Sequence[int]) -> list[BoundSession]:
        """A session for each cut. Raises BackendError for a cut that changes the executed nodes."""
        opened = [self._session(count) for count in counts]
        for count, session in zip(counts, opened, strict=True):
            if session is None:
                raise BackendError(
                    f"cut after {count} steps, OpenVINO runs other nodes than in the whole model"
                )
        return [session for session in opened if session is not None]

    def _near(self, count: int) -> int | None:
        tried = (count, count + 1, count - 1, count + 2, count - 2)
        ends = (0, len(self.steps))
        if count in ends:
            return count
        inside = [at for at in tried if 0 < at < len(self.steps) and at not in self.barred]
        return next((at for at in inside if self._session(at) is not None), None)

    def _session(self, count: int) -> BoundSession | None:
        if count not in self.made:
            with runtime_errors("cannot load a part of the model"):
                self.made[count] = self._opened(count)
        return self.made[count]

    def _opened(self, count: int) -> BoundSession | None:
        """The session of a prefix, with joined sinks unless these change a node."""
        names = self._ends(count)
        alone, joined = [[name] for name in names], _joined(self.loaded.model, names)
        ways = [joined, alone] if joined != alone else [alone]
        tried = (self._compiled(count, groups) for groups in ways)
        return next((session for session in tried if session is not None), None)

    def _compiled(self, count: int, groups: Sequence[Sequence[str]]) -> BoundSession | None:
        """A prefix with an output for each group of tensors.

        None if its nodes differ, or if the runtime does not compile what the cut leaves.
        """
        whole = count == len(self.steps)
        model = _cut(self.loaded.model, groups, whole=whole)
        settings = properties(self.workload, self.core, self.target, count=False)
        try:
            compiled = self.core.compile_model(model, self.target, settings)
        except RuntimeError:
            if whole or not count:
                raise
            return None
        if count and not self._is_same(compiled, count):
            return None
        names = tuple("+".join(group) for group in groups) or (_PROBE,)
        loaded = Loaded(compiled, names, self.loaded.marks, model)
        return BoundSession(loaded, self._inputs())

    def _ends(self, count: int) -> list[str]:
        if count in (0, len(self.steps)):
            return []
        names = self.crossing(count)
        if count in self.barred:
            raise BackendError(f"the first {count} steps have no result to stop at")
        return names

    def _inputs(self) -> dict[str, NDArray[Any]]:
        return {**self.workload.inputs, _PROBE: np.zeros(1, np.float32)}

    def _is_same(self, compiled: Any, count: int) -> bool:
        """Whether the nodes of a prefix equal those of the whole model before the cut."""
        part = executed(compiled.get_runtime_model(), {})
        return Counter(_work(part, self._stands)) == Counter(self._expected(count))

    @cached_property
    def _stands(self) -> dict[str, str]:
        """For operations that only convert or reshape, the mark of what they read.

        Where one is left out its name goes to a neighbour, and a cut may decide which.
        """
        stands: dict[str, str] = {}
        for operation in self.loaded.model.get_ordered_ops():
            if (port := _gone_on(operation)) is not None:
                source = port.get_node().get_friendly_name()
                stands[operation.get_friendly_name()] = stands.get(source, source)
        return stands

    def _expected(self, count: int) -> Iterator[Signature]:
        waiting = [place for step in self.steps[:count] for place in step.members]
        seen: set[int] = set()
        while waiting:
            place = waiting.pop()
            if place not in seen:
                seen.add(place)
                waiting += self.nodes[place].inputs
        run = (self.nodes[at] for at in sorted(seen) if _runs(self.nodes[at]))
        return (_signature(node, self._stands) for node in run)


def _runs(node: RuntimeNode) -> bool:
    return bool(node.implementation) and runs(node.kind, node.implementation, 0)


def _signature(node: RuntimeNode, stands: Mapping[str, str]) -> Signature:
    marks = {stands.get(mark, mark) for mark in anonymous(node.originals).split(",")}
    return (node.kind, node.implementation, ",".join(sorted(marks)), *node.yields)


def _gone_on(operation: Any) -> Any | None:
    """What an operation yields again, if it only converts, reshapes or adds nothing to it."""
    kind = operation.get_type_name()
    if kind in _NAMES_GO_ON:
        return operation.input_value(0)
    ports = [] if kind != "Concat" else list(operation.input_values())
    full = [port for port in ports if "0" not in map(str, port.get_partial_shape())]
    return full[0] if len(full) == 1 else None


def _work(
    nodes: Sequence[RuntimeNode], stands: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Signature]:
    """Signatures of the nodes, without sinks and the nodes behind them."""
    sunk: set[int] = set()
    for place, node in enumerate(nodes):
        if node.originals.startswith(_SINK) or not sunk.isdisjoint(node.inputs):
            sunk.add(place)
        elif _runs(node):
            yield _signature(node, stands)


def _ports(model: Any) -> dict[str, Any]:
    """Every tensor of a model by the names that the ONNX file gives it.

    A result has an output with the names of what it takes, which cannot be read on from.
    """
    return {
        str(name): output
        for operation in model.get_ops()
        if operation.get_type_name() != _RESULT
        for output in operation.outputs()
        for name in output.get_names()
    }


def _joined(model: Any, names: Sequence[str]) -> list[list[str]]:
    """The tensors of each output: those of the usual type together, the others alone."""
    ports = _ports(model)
    usual = [n for n in names if ports[n].get_element_type().get_type_name() == _JOINED]
    others = [[name] for name in names if name not in usual]
    return [usual, *others] if usual else others


def _cut(model: Any, groups: Sequence[Sequence[str]], *, whole: bool) -> Any:
    """The part of a model before these tensors, each group of which ends in sinks, joined.

    The whole model is unchanged; the empty part has a sink for an input of its own.
    """
    openvino = runtime()
    from openvino import opset8

    given = list(model.get_parameters())
    if whole:
        return openvino.Model(list(model.get_results()), given, "prefix")
    ports = _ports(model)
    ends = [_join([ports[name] for name in group], number) for number, group in enumerate(groups)]
    if not groups:
        probe = opset8.parameter([1], np.float32, name=_PROBE)
        probe.output(0).get_tensor().set_names({_PROBE})
        given.append(probe)
        ends.append(_sink(probe.output(0), "0"))
    return openvino.Model([opset8.result(end) for end in ends], given, "prefix")


def _join(ports: Sequence[Any], number: int) -> Any:
    """One sink for several tensors, which concatenates the elements read of each."""
    from openvino import opset8

    if len(ports) == 1:
        return _sink(ports[0], str(number))
    flat = []
    for place, port in enumerate(ports):
        name = f"{number}_{place}"
        flat.append(opset8.reshape(_sink(port, name), opset8.constant(np.array([-1])), False))
        flat[-1].set_friendly_name(f"{_SINK}{name}_flat")
    made = opset8.concat(flat, 0)
    made.set_friendly_name(f"{_SINK}{number}")
    return made


def _sink(port: Any, name: str) -> Any:
    """An operation that reads few elements of a tensor in any layout.

    Tensors of more than two axes keep batch and channels whole, since layouts depend on these.
    """
    from openvino import opset8

    shape = list(port.get_partial_shape())
    first = max(0, min(2, len(shape) - 1))
    long = [axis for axis in range(first, len(shape)) if shape[axis] != 1]
    if not long:
        return port
    axes = np.array(long, np.int64)
    zeros, ones = np.zeros_like(axes), np.ones_like(axes)
    made = opset8.slice(port, *map(opset8.constant, (zeros, ones, ones, axes)))
    made.set_friendly_name(f"{_SINK}{name}")
    return made
