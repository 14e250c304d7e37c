"""The first layer that prevents another batch size, by shapes alone."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import NodeProto

from onnxprof.model.graph.operators import DEFAULT_DOMAINS, shape_operands
from onnxprof.model.graph.outline import Outline, Step
from onnxprof.model.graph.walk import captured, subgraphs
from onnxprof.model.rebatch.mixing import Mixing
from onnxprof.model.rebatch.trace import ABOUT, count, marks, scopes
from onnxprof.model.shapes.idle import idle
from onnxprof.model.shapes.rules.scope import Scope


@dataclass(frozen=True, slots=True)
class _Case:
    """A node of the graph that stands for all with equal forms and facts."""

    step: Step
    base: Scope
    marked: Scope
    is_needed: bool
    """Whether an output of the graph depends on it."""


class Obstacles:
    """Compares shapes at the file's own batch with those at a prime batch, layer by layer."""

    def __init__(
        self,
        graph: Outline,
        own: int,
        dependent: set[str],
        inferred: tuple[Scope, Scope],
        prime: int,
    ) -> None:
        self._graph, self._own, self._dependent, self._prime = graph, own, dependent, prime
        self._base, self._marked = inferred
        self._cases = self._differing()

    def _differing(self) -> list[_Case]:
        """The first node of each kind, by all that the rules here look at."""
        needed, dependent = _needed(self._graph), self._dependent
        pairs = scopes(self._graph, self._base), scopes(self._graph, self._marked)
        seen: set[object] = set()
        cases: list[_Case] = []
        unused = idle(self._graph, self._marked)
        for step, base, marked in zip(self._graph.walk(), *pairs, strict=True):
            if id(step) in unused:
                continue
            wanted = not needed.isdisjoint(step.outputs)
            if step.form is not None:
                before, after = base.finder(), marked.finder()
                key = (
                    step.form,
                    wanted,
                    dependent.isdisjoint(step.inputs),
                    *[name in dependent for name in step.outputs],
                    *map(after, step.inputs),
                    *map(before, step.outputs),
                    *map(after, step.outputs),
                )
                if key in seen:
                    continue
                seen.add(key)
            cases.append(_Case(step, base, marked, wanted))
        return cases

    def find(self) -> str:
        """The obstacle in words; empty where none can be proved."""
        for case in self._cases:
            node = case.step.node
            reason = self._contradiction(node, case.base, case.marked)
            if reason:
                return f"layer {node.name} ({node.op_type}): {reason}"
        for output in self._graph.graph.output:
            if self._keeps(output.name):
                return self._blame(output.name)
        return ""

    def mixing(self, opset: int) -> str:
        """The first layer that mixes items of the batch and that an output depends on, in words."""
        rules = Mixing(self._prime, opset, self._dependent)
        for case in self._cases:
            node = case.step.node
            if case.is_needed and (reason := rules.reason(node, case.marked)):
                return f"layer {node.name} ({node.op_type}): {reason}"
        return ""

    def _contradiction(self, node: NodeProto, base: Scope, marked: Scope) -> str:
        names = [n for n in node.input if n]
        before = [marked.shape(n) for n in names]
        scaled = any(marks(shape, self._prime) for shape in before)
        if not scaled or any(count(s) is None for s in before) or any(subgraphs(node)):
            return ""
        if not self._operands_known(node, marked):
            return ""
        if node.op_type == "Reshape" and node.domain in DEFAULT_DOMAINS and node.output:
            elements = count(marked.shape(node.output[0]))
            if elements is not None and elements != count(before[0]):
                return f"its target keeps batch {self._own}"
        lost = any(base.shape(n) is not None and marked.shape(n) is None for n in node.output if n)
        return f"its inputs fit together at batch {self._own} only" if lost else ""

    def _operands_known(self, node: NodeProto, marked: Scope) -> bool:
        positions = shape_operands(node.op_type, node.domain)
        if node.op_type == "Range":
            positions = (0, 1, 2)
        names = (node.input[i] for i in positions if i < len(node.input))
        values = (marked.value_of(name) for name in names if name)
        return all(v is not None and v.dtype != object for v in values)

    def _keeps(self, name: str) -> bool:
        before, after = self._base.tensor(name), self._marked.tensor(name)
        if name not in self._dependent or not before.is_static or not after.is_static:
            return False
        first = (before.shape or (None,))[0]
        carried = bool(marks(after.shape, self._prime))
        return isinstance(first, int) and first % self._own == 0 and not carried

    def _blame(self, output: str) -> str:
        wanted, guilty = {output}, None
        for node in reversed(self._graph.graph.node):
            if not wanted.intersection(node.output) or node.op_type in ABOUT:
                continue
            needs = {n for n in (*node.input, *captured(node)) if n}
            wanted |= needs
            scaled = any(marks(self._marked.shape(n), self._prime) for n in needs)
            kept = any(marks(self._marked.shape(n), self._prime) for n in node.output)
            if scaled and not kept:
                guilty = node
        if guilty is None:
            return f"output {output!r} keeps batch {self._own}"
        made = next((n for n in guilty.output if n), "")
        return f"layer {guilty.name} ({guilty.op_type}): output {made!r} keeps batch {self._own}"


def _needed(graph: Outline) -> set[str]:
    """Tensors that the graph's outputs depend on, with all tensors of subgraphs on the way."""
    wanted = {output.name for output in graph.graph.output}
    for step in reversed(graph.steps):
        if step.op_type in ABOUT or wanted.isdisjoint(step.outputs):
            continue
        wanted.update(name for name in step.inputs if name)
        if step.bodies:
            wanted |= captured(step.node)
        for _, body in step.bodies:
            wanted.update(name for inner in body.walk() for name in inner.outputs)
    return wanted
