"""The reader of reports by OpenVINO's benchmark_app."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from onnxprof.backends.openvino import recorded as in_file
from onnxprof.backends.openvino import report
from onnxprof.plugins.readers import (
    FileOption,
    FileReader,
    Recorded,
    Recording,
    Source,
    Unit,
    nanoseconds,
    parsed,
)
from onnxprof.provenance.names import Names
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Origin

REPORT = "--benchmark-app"


def _read(files: Mapping[str, Source]) -> Recording:
    """OpenVINO's performance counters, as benchmark_app reports them."""
    source = files[REPORT]

    def recorded(names: Names, _: LayerTable) -> Recorded:
        if report.looks_like_csv(source.text):
            requests = parsed(source, report.parse_csv, source.text)
        else:
            requests = parsed(source, report.parse_json)
        nodes = report.listed(requests)
        works = [node for node in nodes if node.unit >= 0]
        times = [nanoseconds([request[node.row].ms for node in works]) for request in requests]
        return Recorded(
            origin=Origin("benchmark_app", "performance counters", 0, True, (source.digest,)),
            backend="openvino",
            device_kind="cpu",
            units=tuple(_unit(node, names) for node in works),
            unit_ns=np.stack(times, axis=1),
            lacks=(
                "each node has one mean a request, over an unknown number of inferences",
                "there are no latencies",
            ),
            tie=partial(in_file.tie, nodes, names),
        )

    return recorded


def _unit(node: in_file.Listed, names: Names) -> Unit:
    return Unit(node.name, node.operation, report.evidence(node, names), "OpenVINO")


READERS = (
    FileReader(
        "benchmark_app",
        (
            FileOption(
                REPORT,
                "A counters report of OpenVINO's, CSV or JSON.",
                ("detailed_performance", "avg_performance"),
                report.looks_like_csv,
            ),
        ),
        _read,
    ),
)
