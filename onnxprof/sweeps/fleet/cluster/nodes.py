"""The machines of a Ray cluster, what they are called, and the devices that they announce."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Before a device's id in the names of Ray's resources.
RESOURCE = "onnxprof:"
#: Of a Ray that is started here: it sends nothing to its makers, and where memory runs out it ends
#: no relay, which takes next to none. Each measurement has its own limit.
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0"}
#: Ray's switch for tokens, and where it looks for one (older ones have none).
_MODE, _TOKENS = "RAY_AUTH_MODE", ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def token_file() -> Path:
    """Where Ray keeps the token of this user."""
    return Path.home() / ".ray" / "auth_token"


def settings() -> dict[str, str]:
    """Variables for Ray, to be set before it is imported.

    Where there is a token it is shown to the cluster: Ray's client does so only if told.
    """
    has_token = any(map(os.environ.get, _TOKENS)) or token_file().is_file()
    mode = {_MODE: "token"} if has_token else {}
    return {name: os.environ.get(name, value) for name, value in (SETTINGS | mode).items()}


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
