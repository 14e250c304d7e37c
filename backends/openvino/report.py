"""benchmark_app's report of performance counters, as CSV or JSON (`-report_type *_counters`).

The C++ and the Python tool write the same: one table of nodes for each infer request
(`detailed_counters`), or their mean (`average_counters`), in milliseconds with three places.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onnxprof.backends.openvino.graphs.steps import runs
from onnxprof.backends.openvino.recorded import Listed, kind, layers_of
from onnxprof.errors import BackendError
from onnxprof.plugins.readers import milliseconds
from onnxprof.provenance.names import Evidence, Names

_HEADER = "layerName;execStatus;layerType;execType;realTime (ms)"
#: Nodes that the runtime lists and that do nothing.
_TAKEN_IN = "undef"
#: A name that OpenVINO made up: `Multiply_9950`, of no layer of the model.
_MADE_UP = re.compile(r"^[A-Z]\w*_\d+$")
_IDLE = frozenset({"Parameter", "Const", "Constant", "Result", "Input", "Output"})
#: ONNX operators that a node without a known name may compute.
_OPERATORS = {
    "Convolution": ("Conv",),
    "GroupConvolution": ("Conv",),
    "FullyConnected": ("Gemm", "MatMul"),
    "MatMul": ("MatMul", "Gemm"),
    "LSTMSequence": ("LSTM",),
    "GRUSequence": ("GRU",),
    "RNNSequence": ("RNN",),
    "Softmax": ("Softmax",),
    "LogSoftmax": ("LogSoftmax",),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """One node's time in one infer request."""

    name: str
    kind: str
    ms: float
    ran: bool
    primitive: str = ""
    """The implementation: `brgconv_avx2_f32`; `undef` for a node fused into another."""


def looks_like_csv(text: str) -> bool:
    """Whether a text is the CSV form of the report."""
    return text.lstrip("\ufeff").startswith(_HEADER)


def parse_csv(text: str) -> list[list[Counted]]:
    """A list a request. Raises BackendError for another file."""
    if not looks_like_csv(text):
        raise BackendError("not a counters report of benchmark_app: the first line differs")
    requests: list[list[Counted]] = []
    for row in csv.reader(text.lstrip("\ufeff").splitlines(), delimiter=";"):
        if row[:1] == ["layerName"]:
            requests.append([])
        elif row and row[0] != "Total":
            requests[-1].append(_of_row(row))
    return _checked(requests)


def _of_row(row: list[str]) -> Counted:
    if len(row) < 6:
        raise BackendError(f"not a counters report of benchmark_app: a row has {len(row)} columns")
    # a name may hold the separator: the columns are counted from the end
    name, (status, kind, primitive, ms) = ";".join(row[:-5]), row[-5:-1]
    return Counted(name, kind, _number(ms, name), _ran(status), primitive)


def parse_json(data: Any) -> list[list[Counted]]:
    """A list a request. Raises BackendError for another file."""
    tables = data.get("detailed_performance") if isinstance(data, dict) else None
    if tables is None and isinstance(data, dict):
        tables = [data.get("avg_performance")]
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BackendError(
            "not a counters report of benchmark_app: there is no `detailed_performance`"
        )
    return _checked([list(_of_table(table)) for table in tables])


def _of_table(table: dict[str, Any]) -> Iterator[Counted]:
    nodes = table.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if not isinstance(node, dict) or not isinstance(node.get("name"), str):
            raise BackendError("not a counters report of benchmark_app: a node has no name")
        ms = _number(node.get("real_time"), node["name"])
        kind, primitive = (str(node.get(key, "")) for key in ("node_type", "exec_type"))
        yield Counted(node["name"], kind, ms, _ran(node.get("status")), primitive)


def _number(value: Any, where: str) -> float:
    try:
        return milliseconds(float(value), where)
    except (TypeError, ValueError):
        raise BackendError(f"not a time in milliseconds: {str(value)[:40]}", where=where) from None


def _ran(status: Any) -> bool:
    return str(status).rpartition(".")[2].upper() in ("EXECUTED", "2")


def _checked(requests: list[list[Counted]]) -> list[list[Counted]]:
    """The requests. Raises BackendError if they are empty or list different nodes."""
    if any(len(request) == 1 for request in requests):
        raise BackendError(
            "the report has one node: benchmark_app in Python writes only one to JSON averages",
            remedy="Use -report_type detailed_counters, or leave -json_stats out",
        )
    full = [request for request in requests if any(node.ran for node in request)]
    if not full:
        raise BackendError("no node in the report was executed")
    names = [node.name for node in full[0]]
    if any([node.name for node in request] != names for request in full):
        raise BackendError("the requests of the report list different nodes")
    return full


def listed(requests: Sequence[Sequence[Counted]]) -> list[Listed]:
    """Every node, with the nodes that are fused into it.

    The CPU plugin lists fused nodes right behind the node that computes them.
    """
    nodes: list[Listed] = []
    units = 0
    for place, node in enumerate(requests[0]):
        works = any(_is_work(request[place]) for request in requests)
        if not works and node.primitive == _TAKEN_IN and nodes:
            nodes[-1] = replace(nodes[-1], taken=(*nodes[-1].taken, node.name))
            continue
        unit = units if works else -1
        units += works
        nodes.append(Listed(node.name, node.kind, node.primitive, unit, place))
    return nodes


def _is_work(node: Counted) -> bool:
    """Whether a node does work: it took time, or has an implementation.

    The status is not used: a node that took less than a microsecond is listed as not run.
    """
    if node.kind in _IDLE or node.primitive == _TAKEN_IN:
        return False
    return node.ran or runs(kind(node.kind), node.primitive, round(1000 * node.ms))


def evidence(node: Listed, names: Names) -> Evidence:
    """The layers of a node, which OpenVINO names after a layer or an output tensor."""
    if node.operation == "Reorder":
        return Evidence("inserted copy")
    own, inner = _layers((node.name,), names), _layers(node.taken, names)
    inner_source = "names of nodes that it took in" if inner else "operator and place"
    return Evidence(
        "node's name" if own else inner_source,
        tuple(dict.fromkeys((*own, *inner))),
        tuple(_read((node.name, *node.taken), names)),
        exact=False,
        operators=() if own else _OPERATORS.get(node.operation, ()),
    )


def _read(given: Iterable[str], names: Names) -> Iterator[str]:
    """Names of layers in the model, and unknown names that OpenVINO did not make up."""
    for name in given:
        if layers := _layers((name,), names):
            yield layers[0]
        elif not _MADE_UP.search(name):
            yield name


def _layers(given: Iterable[str], names: Names) -> tuple[str, ...]:
    matches = (layers_of(name, names) for name in given)
    return tuple(dict.fromkeys(layer for layers in matches for layer in layers))
