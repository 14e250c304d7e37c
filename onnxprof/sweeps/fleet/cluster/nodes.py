"""The machines of a Ray cluster, what they are called, and the devices that they announce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Before a device's id in the names of Ray's resources.
RESOURCE = "onnxprof:"
#: Of a Ray that is started here: it sends nothing to its makers, and where memory runs out it ends
#: no relay, which takes next to none. Each measurement has its own limit.
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0"}


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster that is there."""

    id: str
    name: str
    devices: Mapping[str, int]
    """How often Ray has each device there, by id."""
    is_head_alone: bool = False
    """It runs the cluster and no work."""


def nodes() -> tuple[Node, ...]:
    """The machines that are there, with the devices that they announce."""
    import ray

    named = names()
    return tuple(
        Node(node["NodeID"], named[node["NodeID"]], _announced(node["Resources"]), _is_head(node))
        for node in sorted(ray.nodes(), key=lambda node: named[node["NodeID"]])
        if node["Alive"]
    )


def names() -> dict[str, str]:
    """What each node is called, by its id; two machines never have one name."""
    import ray

    called: dict[str, str] = {}
    for node in sorted(ray.nodes(), key=lambda node: (not node["Alive"], node["NodeID"])):
        plain = node["NodeName"] if node["NodeName"] != node["NodeManagerAddress"] else ""
        name = plain or node["NodeManagerHostname"] or node["NodeManagerAddress"]
        is_taken = node["Alive"] and name in called.values()
        called[node["NodeID"]] = f"{name}-{node['NodeID'][:6]}" if is_taken else name
    return called


def _announced(resources: Mapping[str, float]) -> dict[str, int]:
    return {
        name.removeprefix(RESOURCE): int(count)
        for name, count in sorted(resources.items())
        if name.startswith(RESOURCE)
    }


def _is_head(node: Mapping[str, Mapping[str, float]]) -> bool:
    return "node:__internal_head__" in node["Resources"] and not node["Resources"].get("CPU")
