"""Calls of a model's own functions, replaced by the nodes of their bodies.

A node of a body is called CALL/NODE, and so is each tensor inside, so that rows keep the call
as their scope. The nodes of an expansion are counted before anything is copied: a file of
a thousand bytes can ask for 2**60 nodes. Functions that the ONNX standard defines for its own
operators are left alone. Semantics: https://onnx.ai/onnx/repo-docs/IR.html, "Functions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

from onnxprof.errors import ModelError
from onnxprof.model.graph.operators import plain_domain
from onnxprof.model.graph.walk import graphs, subgraphs, walk

#: No network has more nodes; a runtime would take hours to load them.
MAX_NODES = 250_000
MAX_BYTES = (1 << 31) - 1
MAX_DEPTH = 64
_REMEDY = "Export the model again without local functions"

_Key = tuple[str, str, str]


def inline(model: ModelProto, path: Path) -> bool:
    """Replace every call in place; returns whether there was one.

    A function whose operators mean something else in the model's own opset stays as it is.
    Raises ModelError for functions that call themselves, calls with too many operands, names
    that are not UTF-8, and an expansion beyond MAX_NODES, MAX_BYTES or MAX_DEPTH.
    """
    functions = {_key_of(f): f for f in model.functions}
    if not functions:
        return False
    _check_text(model, path)
    known = {k: f for k, f in functions.items() if _means_the_same(f, model)}
    expanded = _Count(known, path).check(model.graph)
    if not expanded:
        return False
    _Inliner(known, model, path).replace(model.graph)
    _import_domains(model, known.values())
    # a function that stays may call one that was expanded elsewhere
    if not any(_called_key(node) in functions for node in walk(model.graph)):
        del model.functions[:]
    return True


def _key_of(function: FunctionProto) -> _Key:
    return function.domain, function.name, getattr(function, "overload", "")


def _called_key(node: NodeProto) -> _Key:
    return node.domain, node.op_type, getattr(node, "overload", "")


def body_nodes(function: FunctionProto) -> Iterator[NodeProto]:
    """The nodes of a body, those of its subgraphs included."""
    for node in function.node:
        yield node
        for _, graph in subgraphs(node):
            yield from walk(graph)


def _check_text(model: ModelProto, path: Path) -> None:
    """protobuf hands out bytes where a string is not UTF-8; names are put together here."""
    bodies = [(f.name, body_nodes(f)) for f in model.functions]
    for name, nodes in (*bodies, ("", walk(model.graph))):
        for node in nodes:
            words = (*node.input, *node.output, node.name, node.op_type, node.domain, name)
            if any(isinstance(word, bytes) for word in words):
                _refuse(path, f"a name in node {node.name!r} is not UTF-8")
    for function in model.functions:
        if any(isinstance(word, bytes) for word in (*function.input, *function.output)):
            _refuse(path, f"a name in function {function.name!r} is not UTF-8")


def _refuse(path: Path, what: str) -> None:
    raise ModelError(what, where=str(path), remedy=_REMEDY)


def _means_the_same(function: FunctionProto, model: ModelProto) -> bool:
    """Whether the body's operators are the same under the versions that the model imports."""
    mine = {plain_domain(o.domain): o.version for o in function.opset_import}
    theirs = {plain_domain(o.domain): o.version for o in model.opset_import}
    for node in body_nodes(function):
        domain = plain_domain(node.domain)
        own, other = mine.get(domain), theirs.get(domain)
        if own is None or other is None or own == other:
            continue
        if _since(node.op_type, domain, own) != _since(node.op_type, domain, other):
            return False
    return True


def _since(op_type: str, domain: str, version: int) -> int:
    """The version that last changed the operator; 0 for one that ONNX does not know."""
    try:
        return int(onnx.defs.get_schema(op_type, version, domain).since_version)
    except Exception:
        return 0


def _import_domains(model: ModelProto, functions: Iterable[FunctionProto]) -> None:
    there = {plain_domain(o.domain) for o in model.opset_import}
    for function in functions:
        for entry in function.opset_import:
            if plain_domain(entry.domain) not in there:
                there.add(plain_domain(entry.domain))
                model.opset_import.add(domain=entry.domain, version=entry.version)


class _Size(NamedTuple):
    """Nodes, bytes and call depth of a body once all calls in it are expanded."""

    nodes: int
    size: int
    depth: int


class _Count:
    """Counts nodes, bytes and depth of calls without expanding them."""

    def __init__(self, functions: Mapping[_Key, FunctionProto], path: Path) -> None:
        self._functions, self._path = functions, path
        self._calls = {key: self._called(body_nodes(f)) for key, f in functions.items()}
        self._known: dict[_Key, _Size] = {}

    def check(self, graph: GraphProto) -> int:
        """The number of calls in a graph. Raises ModelError where expansion exceeds the limits."""
        calls = self._called(walk(graph))
        for key in dict.fromkeys(calls):
            self._visit(key)
        nodes = sum(self._known[key].nodes for key in calls)
        size = sum(self._known[key].size for key in calls)
        for count, limit, unit in ((nodes, MAX_NODES, "nodes"), (size, MAX_BYTES, "bytes")):
            if count > limit:
                self._refuse(f"come to {_spoken(count)} {unit} once expanded, {limit:,} at most")
        if max((self._known[key].depth for key in calls), default=0) > MAX_DEPTH:
            self._refuse(f"call each other more than {MAX_DEPTH} deep")
        return len(calls)

    def _called(self, nodes: Iterator[NodeProto]) -> list[_Key]:
        return [key for node in nodes if (key := _called_key(node)) in self._functions]

    def _refuse(self, what: str) -> None:
        _refuse(self._path, f"its local functions {what}")

    def _visit(self, start: _Key) -> None:
        """Count callees before callers, without recursion: call chains may be of any length."""
        waiting, open_ = [start], set[_Key]()
        while waiting:
            key = waiting[-1]
            missing = [called for called in self._calls[key] if called not in self._known]
            if key in self._known or not missing:
                waiting.pop()
                open_.discard(key)
                self._known.setdefault(key, self._sum(key))
                continue
            if open_.intersection(missing) or key in missing:
                self._refuse(f"call themselves: {key[1]!r} is one of them")
            open_.add(key)
            waiting.extend(dict.fromkeys(missing))

    def _sum(self, key: _Key) -> _Size:
        function, called = self._functions[key], [self._known[size] for size in self._calls[key]]
        own = sum(1 for _ in body_nodes(function)) - len(called)
        return _Size(
            own + sum(size.nodes for size in called),
            function.ByteSize() + sum(size.size for size in called),
            1 + max((size.depth for size in called), default=0),
        )


def _spoken(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"more than 10^{len(str(count)) - 1}"


class _Inliner:
    """Replaces calls by bodies, whose nodes and tensors get unique names."""

    def __init__(
        self, functions: Mapping[_Key, FunctionProto], model: ModelProto, path: Path
    ) -> None:
        self._functions, self._path = functions, path
        self._taken = {name for graph in graphs(model.graph) for name in _names(graph)}
        self._counts: dict[str, int] = {}

    def replace(self, graph: GraphProto) -> None:
        """Expand a graph's calls and those of its subgraphs."""
        nodes = [expanded for node in graph.node for expanded in self._expanded(node)]
        copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)

    def _expanded(self, node: NodeProto) -> Iterator[NodeProto]:
        function = self._functions.get(_called_key(node))
        if function is None:
            for _, inner in subgraphs(node):
                self.replace(inner)
            yield node
            return
        for body_node in self._body(function, node):
            yield from self._expanded(body_node)

    def _body(self, function: FunctionProto, call: NodeProto) -> Iterator[NodeProto]:
        if len(call.input) > len(function.input) or len(call.output) > len(function.output):
            _refuse(
                self._path,
                f"node {call.name!r} gives function {function.name!r} more operands than it has",
            )
        prefix = self._prefix(function, call)
        given = [*call.input, *[""] * len(function.input)]
        renamed = dict(zip(function.input, given, strict=False))
        passed = list[tuple[str, str]]()
        for inner, outer in zip(function.output, call.output, strict=False):
            if not outer:
                continue
            if inner in renamed:
                passed.append((renamed[inner], outer))
            else:
                renamed[inner] = outer
        attributes = _attributes(function, call)
        for node in function.node:
            copy = NodeProto.FromString(node.SerializeToString())
            _rename(copy, prefix, renamed, attributes)
            yield copy
        for source, target in passed:  # an operand that the function gives back as it came
            name = f"{prefix}/{target}"
            yield onnx.helper.make_node("Identity", [source], [target], name=name)

    def _prefix(self, function: FunctionProto, call: NodeProto) -> str:
        """The call's name, with a number behind it where a name made from it would be taken."""
        wanted = call.name or next((o for o in call.output if o), call.op_type)
        inside = [
            name for node in body_nodes(function) for name in (node.name, *node.output) if name
        ]
        while True:
            count = self._counts[wanted] = self._counts.get(wanted, 0) + 1
            prefix = wanted if count == 1 else f"{wanted}#{count}"
            made = {f"{prefix}/{name}" for name in inside}
            if not made & self._taken:
                self._taken |= made
                return prefix


def _names(graph: GraphProto) -> Iterator[str]:
    yield from (value.name for value in (*graph.input, *graph.output))
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield node.name
        yield from node.output


def _attributes(function: FunctionProto, call: NodeProto) -> dict[str, AttributeProto]:
    """Attributes of a call by name; the function's defaults for those that it does not set."""
    defaults = {a.name: a for a in function.attribute_proto}
    return {**defaults, **{a.name: a for a in call.attribute}}


def _rename(
    node: NodeProto,
    prefix: str,
    renamed: Mapping[str, str],
    attributes: Mapping[str, AttributeProto],
) -> None:
    """Give a body's node the call's tensors and attributes; names inside get the prefix."""

    def new(name: str) -> str:
        return renamed.get(name, f"{prefix}/{name}") if name else ""

    own = node.name or next((o for o in node.output if o), node.op_type)
    node.name = f"{prefix}/{own}"
    for names in (node.input, node.output):
        changed = [new(name) for name in names]
        del names[:]
        names.extend(changed)
    for attribute in [a for a in node.attribute if a.ref_attr_name]:
        given = attributes.get(attribute.ref_attr_name)
        if given is None:
            node.attribute.remove(attribute)
        else:
            name = attribute.name
            attribute.CopyFrom(given)
            attribute.name = name
    for _, graph in subgraphs(node):
        for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            value.name = new(value.name)
        for sparse in graph.sparse_initializer:
            sparse.values.name = new(sparse.values.name)
        for inner in graph.node:
            _rename(inner, prefix, renamed, attributes)
