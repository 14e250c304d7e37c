"""onnxruntime's profile: Chrome trace events, whole microseconds, read into times of steps."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnxprof.errors import BackendError
from onnxprof.records.elements.table import ELEMENTS

_KERNEL = "_kernel_time"
#: From the profile's name of an element type to NumPy's.
_DTYPES = {element.onnx.lower(): element.name for element in ELEMENTS} | {"string": "str"}

#: Operators that run a graph of their own, whose nodes the profile times, too.
_CONTROL_FLOW = frozenset(
    {"If", "Loop", "Scan", "SequenceMap"}
    | {"BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"}
)

#: A node's name and operator; nodes that share both are told apart by the node's index.
Key = tuple[str, str, str]


@dataclass(slots=True)
class Profile:
    """The times and outputs in the profile of one session."""

    steps: dict[Key, dict[int, int]] = field(default_factory=dict)
    """For each executed node, nanoseconds by inference, without those of inner nodes."""
    providers: dict[Key, str] = field(default_factory=dict)
    shapes: dict[Key, tuple[tuple[str, tuple[int, ...]], ...]] = field(default_factory=dict)
    """Dtypes and shapes of outputs, by node."""
    inferences: int = 0


def read_profile(path: Path, control_flow: Collection[str]) -> Profile:
    """Read a profile file. A control-flow node's time is less its subgraph's nodes.

    Of a profile that the runtime truncated (at a million events) only complete inferences are
    read. Raises BackendError if there is none.
    """
    with path.open("rb") as file:
        events = json.load(file)
    profile = collect(events, control_flow)
    if not profile.inferences and any(e.get("name") == "profile_truncated" for e in events):
        raise BackendError("one inference has more events than the runtime's profile can hold")
    return profile


def collect(events: Iterable[dict[str, Any]], control_flow: Collection[str]) -> Profile:
    """Sum up node events, inference by inference; events come in the order of their ends."""
    profile, open_events = Profile(), list[tuple[int, int, Key]]()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            _take(event, open_events, profile, control_flow)
        elif event.get("name") == "model_run":
            _close(open_events, profile)
    return profile


def _take(
    event: dict[str, Any],
    open_events: list[tuple[int, int, Key]],
    profile: Profile,
    control_flow: Collection[str],
) -> None:
    key = event_key(event)
    start, own = int(event["ts"]), int(event["dur"])
    if key[1] in _CONTROL_FLOW or key[0] in control_flow:
        own -= _inside(start, open_events)
    open_events.append((start, max(own, 0), key))
    if key not in profile.providers:
        profile.providers[key] = event["args"].get("provider", "")
        profile.shapes[key] = tuple(_shapes(event["args"].get("output_type_shape", ())))


def _inside(start: int, open_events: list[tuple[int, int, Key]]) -> int:
    """Time of the events since `start`, which ran in a control-flow node's subgraph."""
    total = 0
    for began, own, _ in reversed(open_events):
        if began < start:
            break
        total += own
    return total


def _close(open_events: list[tuple[int, int, Key]], profile: Profile) -> None:
    for _, own, key in open_events:
        times = profile.steps.setdefault(key, defaultdict(int))
        times[profile.inferences] += own * 1000
    open_events.clear()
    profile.inferences += 1


def keys_by_node(
    keys: Iterable[Key], nodes: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], list[Key]]:
    """The keys of nodes by name and operator, in order; `nodes` are those of the graph.

    The profile calls a node without a name after its operator and index, and a file may have a
    node of just that name (`Equal_0`).
    """
    keys = list(keys)
    named = Counter(nodes)
    named.subtract(key[:2] for key in keys if not _may_be_unnamed(key))
    by_node: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in keys:
        name, operator, _ = key
        if _may_be_unnamed(key):
            if named[name, operator] <= 0:
                name = ""
            named[key[:2]] -= 1
        by_node[name, operator].append(key)
    return by_node


def _may_be_unnamed(key: Key) -> bool:
    name, operator, index = key
    return name == f"{operator}_{index}"


def event_key(event: Mapping[str, Any]) -> Key:
    """The key of an event's node, which is unique in a session."""
    args = event["args"]
    return event["name"].removesuffix(_KERNEL), args.get("op_name", ""), args.get("node_index", "")


def _shapes(entries: Iterable[dict[str, list[int]]]) -> Iterable[tuple[str, tuple[int, ...]]]:
    for entry in entries:
        for dtype, shape in entry.items():
            yield _DTYPES.get(dtype, dtype), tuple(shape)
