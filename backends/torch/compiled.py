"""torch.compile over the whole program: one step that covers every layer.

Fused layers cannot be timed separately, and times of the layers run one by one would not add up
to the compiled latency. So the compiled model is measured as one step.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.program.program import is_memory_error
from onnxprof.backends.torch.session import TorchSession, prepare
from onnxprof.backends.torch.settings import mode_of
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Trace, Workload
from onnxprof.plugins.memory import SMALLER
from onnxprof.plugins.source_places import without_places
from onnxprof.records.step import Confidence, Step

#: This logger reports every graph break; the step's evidence has the number of parts.
_LOG = "torch._dynamo"


class CompiledSession(TorchSession):
    """Compiles while loading, so that an inference is one call of the compiled function."""

    def __init__(self, workload: Workload, device: Any) -> None:
        super().__init__(prepare(workload, device), device)
        self._times: list[int] = []
        self._parts = 0
        program = self._program

        def forward(*given: Any) -> list[Any]:
            return program((), given)

        self._given = [program.template[slot] for slot in program.formals]
        self._forward = torch.compile(forward, dynamic=False, mode=mode_of(workload.setup))
        self._compile()

    def _compile(self) -> None:
        from torch._dynamo.utils import counters
        from torch._inductor import config

        logging.getLogger(_LOG).setLevel(logging.ERROR)
        counters.clear()
        try:
            with config.patch(compile_threads=1):  # no helper processes beside the measurement
                self._forward(*self._given)
            self._wait()
            self._parts = int(counters["stats"]["unique_graphs"])
        except Exception as error:  # the stages of compilation have errors of their own
            if is_memory_error(error):
                raise BackendError("out of memory", remedy=f"Use {SMALLER}") from error
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            stated = [
                line for line in lines if not line.endswith("raised:")
            ]  # names the stage, not the reason
            reason = without_places(stated[0])[:300] if stated else type(error).__name__
            raise BackendError(
                f"torch.compile cannot compile the model: {reason}",
                where="torch",
                remedy="It needs a C++ compiler on the CPU; or use --provider eager",
            ) from error

    def infer(self) -> None:
        """Run the compiled function once."""
        began = time.perf_counter_ns()
        self._values = self._forward(*self._given)
        self._wait()
        self._times.append(time.perf_counter_ns() - began)

    def trace(self) -> Trace:
        """A trace with one step, which takes the whole inference."""
        step = Step(
            name="torch.compile",
            op_type="torch.compile",
            provider=self.device.type,
            layers=tuple(call.name for call, _, _ in self.loaded.layers),
            confidence=Confidence.EXACT,
            evidence=f"the whole graph, compiled in parts: {self._parts}",
        )
        times = np.array([self._times], np.int64)
        return Trace((step,), times, tuple(self.loaded.folded), provider=self.device.type)
