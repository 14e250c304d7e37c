"""Which tensors of the original an executed node yields, by value: anchors for `assign`.

Example, with two runs on inputs of different seeds:

    runs = ort_observe.observed(workload, original, saved, feeds)
    evidence = Evidence(read_graph(original.graph), read_graph(executed.graph), runs,
                        tolerance_of(runs))
    for place, tensors in value_anchors(evidence).items():
        Anchor(place, tensors, Confidence.EXACT, "value of its output tensor")

`place` counts the nodes of the executed graph. Names are not used, so nodes whose names say
nothing are tied as well; where names contradict values, values are right.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

from onnxprof.provenance.topology import GraphNode
from onnxprof.provenance.verify.likeness import is_quantised
from onnxprof.provenance.verify.verdicts import Evidence

#: Tensors whose error is within this factor of the closest tensor's count as equal to it.
_ALIKE = 1.25


def value_anchors(
    evidence: Evidence, places: Iterable[int] | None = None, deadline: float = float("inf")
) -> dict[int, tuple[str, ...]]:
    """From places of executed nodes to the original tensors that they yield, in file order.

    `places` limits the nodes. A node that passes an input on in another layout yields the result
    of a layer that does the same (Transpose, Reshape), one layer a node; reorders that the
    runtime inserted yield nothing. Of duplicates that the runtime merged, the remaining node
    yields all. At `deadline`, a moment of `time.monotonic`, the result so far is returned.
    """
    wanted = None if places is None else set(places)
    classes = _Classes(evidence)
    anchors: dict[int, tuple[str, ...]] = {}
    for place, node in enumerate(evidence.executed.nodes):
        if time.monotonic() > deadline:
            break
        if wanted is not None and place not in wanted:
            continue
        tensors = [name for out in node.outputs for name in classes.yielded(node, out)]
        if tensors:
            anchors[place] = tuple(dict.fromkeys(tensors))
    return anchors


class _Classes:
    """The original's tensors in classes of equal values, whatever their layout."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._producers = evidence.original.producers()
        self._passing: dict[str, list[str]] = defaultdict(list)
        self._equal: dict[str, tuple[str, ...]] = {}

    def yielded(self, node: GraphNode, out: str) -> tuple[str, ...]:
        """The original tensors that output `out` of a node holds, less those of earlier nodes."""
        equal = self.equal(out)
        if not equal:
            return ()
        read = {name for given in node.inputs for name in self.equal(given)}
        if read.intersection(equal):
            return self._handed_on(node, equal)
        return tuple(n for n in equal if self._is_work(n, equal) or self._is_rounded(n, out))

    def _is_rounded(self, name: str, executed: str) -> bool:
        """Whether the executed tensor holds the very integers that a layer rounds to."""
        producer, run = self._producers.get(name), self._evidence.runs[0]
        rounds = producer is not None and producer.op_type == "QuantizeLinear"
        there = run.executed[executed]
        return rounds and is_quantised(there) and there.itemsize == run.original[name].itemsize

    def equal(self, executed: str) -> tuple[str, ...]:
        """Every varying tensor of the original with the value of an executed one."""
        if executed not in self._equal:
            self._equal[executed] = tuple(self._search(executed))
        return self._equal[executed]

    def _search(self, executed: str) -> Iterator[str]:
        """The tensors whose error is that of the closest one, up to rounding."""
        evidence = self._evidence
        if any(executed not in run.executed for run in evidence.runs):
            return
        near = [
            (evidence.error(name, executed), name)
            for name in evidence.candidates(executed)
            if evidence.varies(name)
        ]
        bound = min(
            max(_ALIKE * min(near, default=(0.0, ""))[0], evidence.tolerance / 20),
            evidence.tolerance,
        )
        yield from (name for error, name in near if error <= bound)

    def _is_work(self, name: str, equal: Iterable[str]) -> bool:
        """Whether the layer that yields a tensor computes it rather than passing it on."""
        producer = self._producers.get(name)
        return producer is not None and not set(producer.inputs).intersection(equal)

    def _handed_on(self, node: GraphNode, equal: tuple[str, ...]) -> tuple[str, ...]:
        """The result of a layer of the node's operator that no earlier node stands for."""
        taken = self._passing[node.op_type]
        for name in equal:
            producer = self._producers.get(name)
            alike = producer is not None and producer.op_type == node.op_type
            if alike and name not in taken and not self._is_work(name, equal):
                taken.append(name)
                return (name,)
        return ()
