"""benchmark_app's report of performance counters, as CSV or JSON (`-report_type *_counters`).

Both the C++ and the Python tool write the same: one table of nodes for each infer request
(`detailed_counters`), or their mean (`average_counters`), in milliseconds with three places.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from onnxprof.backends.named_steps import Evidence, Names
from onnxprof.backends.tensorrt_layers import milliseconds
from onnxprof.contracts import BackendError

_HEADER = "layerName;execStatus;layerType;execType;realTime (ms)"
#: Nodes that the runtime lists and that do nothing.
_IDLE = frozenset({"Parameter", "Const", "Constant", "Result", "Input", "Output"})
#: Node types that may hold activations, of which a report says nothing.
_HOLDING = frozenset({"Convolution", "GroupConvolution", "FullyConnected", "MatMul", "Eltwise"})
#: ONNX operators that a node whose name was lost may stand for.
_OPERATORS = {
    "Convolution": ("Conv",),
    "GroupConvolution": ("Conv",),
    "FullyConnected": ("Gemm", "MatMul"),
    "MatMul": ("MatMul", "Gemm"),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """One node's time in one infer request."""

    name: str
    kind: str
    ms: float
    ran: bool


def looks_like_csv(text: str) -> bool:
    """Whether this is the CSV form."""
    return text.lstrip("\ufeff").startswith(_HEADER)


def parse_csv(text: str) -> list[list[Counted]]:
    """A list a request. Raises BackendError for another file."""
    if not looks_like_csv(text):
        raise BackendError("no counters of benchmark_app: its first line is another")
    requests: list[list[Counted]] = []
    for row in csv.reader(text.lstrip("\ufeff").splitlines(), delimiter=";"):
        if row[:1] == ["layerName"]:
            requests.append([])
        elif row and row[0] != "Total":
            requests[-1].append(_of_row(row))
    return _checked(requests)


def _of_row(row: list[str]) -> Counted:
    if len(row) < 6:
        raise BackendError(f"no counters of benchmark_app: a row has {len(row)} columns")
    # a name may hold the separator: the columns are counted from the end
    name, status, kind = ";".join(row[:-5]), row[-5], row[-4]
    return Counted(name, kind, _number(row[-2], name), _ran(status))


def parse_json(data: Any) -> list[list[Counted]]:
    """A list a request. Raises BackendError for another file."""
    tables = data.get("detailed_performance") if isinstance(data, dict) else None
    if tables is None and isinstance(data, dict):
        tables = [data.get("avg_performance")]
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BackendError("no counters of benchmark_app: it has no `detailed_performance`")
    return _checked([list(_of_table(table)) for table in tables])


def _of_table(table: dict[str, Any]) -> Iterator[Counted]:
    nodes = table.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if not isinstance(node, dict) or not isinstance(node.get("name"), str):
            raise BackendError("no counters of benchmark_app: a node has no name")
        ms = _number(node.get("real_time"), node["name"])
        yield Counted(node["name"], str(node.get("node_type", "")), ms, _ran(node.get("status")))


def _number(value: Any, where: str) -> float:
    try:
        return milliseconds(float(value), where)
    except (TypeError, ValueError):
        raise BackendError(f"no time in milliseconds: {str(value)[:40]}", where=where) from None


def _ran(status: Any) -> bool:
    return str(status).rpartition(".")[2].upper() in ("EXECUTED", "2")


def _checked(requests: list[list[Counted]]) -> list[list[Counted]]:
    """Requests that list the same nodes. Raises BackendError if there is nothing in them."""
    if any(len(request) == 1 for request in requests):
        raise BackendError(
            "it holds one node: benchmark_app in Python writes no more into its average as JSON",
            remedy="Use -report_type detailed_counters, or leave -json_stats out",
        )
    full = [request for request in requests if any(node.ran for node in request)]
    if not full:
        raise BackendError("no node in it was executed")
    names = [node.name for node in full[0]]
    if any([node.name for node in request] != names for request in full):
        raise BackendError("its requests list different nodes")
    return full


def is_work(node: Counted) -> bool:
    """Whether a node is a step: it ran, or took time whatever its status says."""
    return (node.ran or node.ms > 0) and node.kind not in _IDLE


def evidence(node: Counted, names: Names) -> Evidence:
    """Which layers a node stands for: OpenVINO calls it after a layer or an output tensor."""
    if node.kind == "Reorder":
        return Evidence("inserted copy")
    found = names.resolved((node.name,)) or names.producer(node.name)
    return Evidence(
        "node's name" if found else "operator and place",
        found,
        found[:1] or (node.name,),
        exact=False,
        grows=node.kind in _HOLDING,
        operators=_OPERATORS.get(node.kind, ()),
    )
