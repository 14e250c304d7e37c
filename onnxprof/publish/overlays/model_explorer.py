"""A run as node data for Model Explorer (google-ai-edge/model-explorer), over its ONNX graph.

The format is its custom node data, as `node_data_builder.py` of ai-edge-model-explorer 0.1.34
writes it: by graph id, `results` by node id, and a `gradient`. A file holds one set of results;
the viewer calls it by the file's name. Ids are those of the ONNX adapter, model-explorer-onnx
0.4.2: a graph's id is its name (`<main>` without one), a node's is its name after onnx_ir's
`NameFixPass` made names unique (`node`, `node_1`, … and `name_1`, …); the body of a Loop and each
branch of an If is a graph of its own: `LOOP/body`, `IF/then_branch`. Subgraphs of subgraphs are
not drawn by the adapter, so that their layers are left out.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from onnxprof.analysis.reconcile import reconcile
from onnxprof.records.layer import Layer
from onnxprof.records.run import Run
from onnxprof.store.names import path_part

#: From cheap to expensive, in one hue, for readers who cannot tell red from green.
GRADIENT = (
    {"stop": 0, "bgColor": "#fff7ec", "textColor": "#1f1f1f"},
    {"stop": 0.5, "bgColor": "#fc8d59", "textColor": "#1f1f1f"},
    {"stop": 1, "bgColor": "#7f0000", "textColor": "#ffffff"},
)
_NAMELESS = "<main>"

#: (graph id, node id).
Place = tuple[str, str]


def node_data(run: Run) -> str:
    """The median of each layer that has a time, in milliseconds, on the layer's node.

    As in the CSV, a fused step is assigned to its first layer alone, so that groups add up. Raises
    StoreError for a failed run.
    """
    places = node_places(run)
    graphs: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in reconcile(run).rows:
        if row.median_ns is not None and row.layer is not None and row.layer.name in places:
            graph, node = places[row.layer.name]
            graphs[graph][node] = {"value": row.median_ns / 1e6}
    whole = {name: {"results": results, "gradient": GRADIENT} for name, results in graphs.items()}
    return json.dumps(whole, indent=1) + "\n"


def files(runs: Iterable[Run]) -> dict[str, str]:
    """For each run a file's name, which the viewer shows, and its node data."""
    made: dict[str, str] = {}
    for run in runs:
        stem, count = _stem(run), 1
        while (name := f"{stem}{'' if count == 1 else f'-{count}'}.json") in made:
            count += 1
        made[name] = node_data(run)
    return made


def _stem(run: Run) -> str:
    asked = run.request
    words = (asked.model_name, asked.backend, asked.device_id, f"b{asked.batch}")
    return path_part("-".join((*words, f"t{asked.threads}", run.created)))


def node_places(run: Run) -> dict[str, Place]:
    """Graph and node ids of the adapter by layer name, for the layers that it draws."""
    main = run.model.graph_name or _NAMELESS
    naming = _Naming()
    places: dict[str, Place] = {}
    for layer in run.table.nodes:
        home = places.get(layer.parent, ("", ""))
        if layer.parent and (home[0] != main or not layer.subgraph):
            continue
        graph = f"{home[1]}/{layer.subgraph}" if layer.parent else main
        places[layer.name] = (graph, naming.claim(graph, layer))
    return places


class _Naming:
    """Unique names as NameFixPass makes them: unique in a graph, counted over all graphs."""

    def __init__(self) -> None:
        self._used: dict[str, set[str]] = defaultdict(set)
        self._counts: Counter[str] = Counter()

    def claim(self, graph: str, layer: Layer) -> str:
        wanted = name = layer.given_name or "node"
        while name in self._used[graph]:
            self._counts[wanted] += 1
            name = f"{wanted}_{self._counts[wanted]}"
        self._used[graph].add(name)
        return name
