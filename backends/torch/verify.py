"""The check of a torch session's layers: their values are compared with the reference's.

A step of torch is a layer of the file, so tensors are matched by name: the inputs and outputs of
a call must have the values of the same tensors in unoptimised onnxruntime.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from numpy.typing import NDArray

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.values import to_numpy
from onnxprof.backends.torch.program.program import UNWANTED, Call
from onnxprof.backends.torch.settings import applied
from onnxprof.errors import BackendError
from onnxprof.model.graph.read import read_prepared
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Bounds, Workload
from onnxprof.provenance.onnx_graph import read_graph
from onnxprof.provenance.topology import Graph
from onnxprof.provenance.verify.outcomes import all_unchecked, judged
from onnxprof.provenance.verify.verdicts import (
    Claim,
    Evidence,
    Observed,
    Outcome,
    Verdict,
    check,
    tolerance_of,
)
from onnxprof.records.step import Step

Arrays = dict[str, NDArray[Any]]
Feeds = Mapping[str, NDArray[Any]]
_NO_REFERENCE = "onnxruntime, which gives the values to compare with, is not installed"


@dataclass(slots=True)
class TorchProof:
    """A workload that is run once more, with every value kept, to check the steps."""

    workload: Workload
    device: Any

    def check(
        self, steps: Sequence[Step], feeds: Sequence[Feeds], bounds: Bounds
    ) -> tuple[Step, ...]:
        """The steps with verdicts, as `Proof.check` says."""
        try:
            return self._checked(steps, feeds, bounds)
        except ImportError:
            return all_unchecked(steps, _NO_REFERENCE)
        except (BackendError, MemoryError) as error:
            return all_unchecked(steps, getattr(error, "what", "out of memory"))

    def close(self) -> None:
        """Do nothing, since no files were kept."""

    def _checked(
        self, steps: Sequence[Step], feeds: Sequence[Feeds], bounds: Bounds
    ) -> tuple[Step, ...]:
        deadline = time.monotonic() + bounds.seconds
        model = read_prepared(self.workload.model)
        graph = read_graph(model.graph)
        if (held := _bytes(self.workload, len(feeds))) > bounds.memory_bytes:
            return all_unchecked(steps, f"its tensors take {held / 2**30:.1f} GiB")
        expected = registry.reference().tensor_values(self.workload, model, feeds)
        with torch.inference_mode(), applied(self.workload.setup):
            actual = [self._values(inputs) for inputs in feeds]
        runs = [Observed(*pair) for pair in zip(expected, actual, strict=True)]
        evidence = Evidence(graph, graph, runs, tolerance_of(runs, (graph,)))
        verdicts = check(evidence, _claims(steps, graph), deadline)
        return judged(steps, [_of_construction(verdict) for verdict in verdicts])

    def _values(self, inputs: Feeds) -> Arrays:
        """The outputs of every layer, by their names in the file."""
        from onnxprof.backends.torch.session import prepare

        tensors = dict(inputs)

        def keep(call: Call, values: Sequence[Any]) -> None:
            for name, slot in zip(call.output_names, call.outputs, strict=True):
                if slot != UNWANTED and isinstance(values[slot], torch.Tensor):
                    tensors[name] = to_numpy(values[slot])

        program = prepare(replace(self.workload, inputs=inputs), self.device).program
        program.run_marked(program.template.copy(), lambda: None, keep)
        return tensors


def _of_construction(verdict: Verdict) -> Verdict:
    """The verdict, with `unchecked` for `refuted`: the layer ran, even if the values are wrong."""
    if verdict.outcome is not Outcome.REFUTED:
        return verdict
    reason = f"{verdict.tensor} is not what the reference has"
    return replace(verdict, outcome=Outcome.UNCHECKED, reason=reason)


def _claims(steps: Sequence[Step], graph: Graph) -> list[Claim]:
    places = {node.name: i for i, node in enumerate(graph.nodes)}
    return [
        Claim(i, tuple(places[name] for name in step.layers if name in places), step.layers)
        for i, step in enumerate(steps)
        if step.layers
    ]


def _bytes(workload: Workload, runs: int) -> int:
    """Approximate bytes of the tensors of both programs."""
    shapes = [t.shape or () for layer in workload.table.nodes for t in layer.outputs]
    return 2 * runs * sum(4 * prod(d for d in shape if isinstance(d, int)) for shape in shapes)
