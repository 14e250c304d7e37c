"""A run as the rules see it: its graph, the times of its steps, its roofs, and other runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onnxprof.analysis.distributions import student_quantile
from onnxprof.analysis.reconcile import Reconciliation, reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.compare.ratios import FLOOR_DF, group, relative_errors
from onnxprof.compare.replicates import Replicates, step_replicates
from onnxprof.compare.systems import is_bare
from onnxprof.compare.verdict import Side
from onnxprof.reasons.advice.base.finding import Figure, Gain, Unit
from onnxprof.reasons.roofline import Roof, Roofline, roofline, step_rows
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.layer import Layer, LayerKind
from onnxprof.records.run import Run

#: Half the relative width of the interval of a step whose samples do not tell: averages, few.
UNKNOWN_SPREAD = 0.2
#: The parts of the time of a step that vanishes that are gained: the range of 21 of 22 measurements
#: of eleven networks on torch without their BatchNormalization; median 0.98 (docs/advise.md).
REMOVED = (0.65, 1.95)
_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial")
_NEVER_CONSTANT = frozenset((*_RANDOM, "Bernoulli", "Dropout"))


@dataclass(frozen=True)
class Case:
    """One run, looked at once, with the runs that it may be compared with."""

    run: Run
    ceilings: Ceilings | None = None
    others: Sequence[Run] = ()
    """Other runs with latencies, of any model and system; not the run itself."""
    known: Roofline | None = None
    """The run's roofline at these ceilings, from a caller that has it already."""

    @cached_property
    def sums(self) -> Reconciliation:
        """The run's table. Raises StoreError for a run without times."""
        return self.known.sums if self.known else reconcile(self.run)

    @property
    def total_ns(self) -> int:
        """The latency, or the sum of the steps where it is not known."""
        return self.sums.total_ns

    @cached_property
    def step_ns(self) -> tuple[int, ...]:
        """The time of each step in the tables; empty where steps have none."""
        timings = self.run.timings
        if timings is None or not timings.step_ns.size:
            return ()
        return tuple(int(ns) for ns in divided(self.run).whole_ns)

    @cached_property
    def layers(self) -> Mapping[str, Layer]:
        """The layers that are nodes, by name."""
        return {layer.name: layer for layer in self.run.table.nodes}

    @cached_property
    def makers(self) -> Mapping[str, Layer]:
        """From a tensor to the layer that yields it."""
        return {t.name: layer for layer in self.run.table.nodes for t in layer.outputs}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Layer, ...]]:
        """From a tensor to the layers that read it."""
        found: dict[str, list[Layer]] = defaultdict(list)
        for layer in self.run.table.nodes:
            for tensor in layer.inputs:
                found[tensor.name].append(layer)
        return {name: tuple(layers) for name, layers in found.items()}

    @cached_property
    def constants(self) -> frozenset[str]:
        """Tensors that no input of the model changes."""
        fixed = {
            t.name
            for layer in self.run.table
            if layer.kind in (LayerKind.INITIALIZER, LayerKind.SHAPE_OPERAND)
            for t in layer.outputs
        }
        for layer in self.run.table.nodes:
            if self._follows(layer, fixed):
                fixed |= {t.name for t in layer.outputs}
        return frozenset(fixed)

    def _follows(self, layer: Layer, fixed: set[str]) -> bool:
        if layer.parent or layer.op_type in _NEVER_CONSTANT:
            return False
        if any(value.startswith("graph(") for _, value in layer.attributes):
            return False  # a body may read anything
        return all(t.name in fixed for t in layer.inputs)

    @cached_property
    def roofs(self) -> Roofline:
        """Each step against its ceilings; without ceilings what it attains."""
        return self.known or roofline(self.run, self.ceilings, self.sums)

    def roof_steps(self) -> list[tuple[Roof, tuple[int, ...]]]:
        """Each roof with the numbers of its steps."""
        rows = step_rows(self.sums)
        return [
            (roof, self._numbers(row.step.name if row.step else ""))
            for roof, row in zip(self.roofs.roofs, rows, strict=True)
        ]

    def _numbers(self, name: str) -> tuple[int, ...]:
        """The steps of a row, which has the names of several joined."""
        if name in self._step_numbers:
            return (self._step_numbers[name],)
        found = (self._step_numbers.get(part) for part in name.split(" + "))
        return tuple(number for number in found if number is not None)

    @cached_property
    def _step_numbers(self) -> Mapping[str, int]:
        return {step.name: number for number, step in enumerate(self.run.steps)}

    def operators(self, number: int) -> tuple[str, ...]:
        """The operators of a step's layers, each once."""
        names = self.run.steps[number].layers
        return tuple(
            dict.fromkeys(self.layers[name].op_type for name in names if name in self.layers)
        )

    def sole(self, number: int) -> Layer | None:
        """The layer of a step that covers just one."""
        names = self.run.steps[number].layers
        return self.layers.get(names[0]) if len(names) == 1 else None

    def time_ns(self, steps: Sequence[int]) -> int:
        """What these steps take together."""
        return sum(self.step_ns[number] for number in steps)

    @cached_property
    def _replicates(self) -> Replicates | None:
        averaged = self.run.origin is not None and self.run.origin.averaged
        few = Side.of([self.run], 1).few_layer_samples
        return None if averaged or few or is_bare(self.run) else step_replicates(self.run)

    def spread(self, steps: Sequence[int]) -> float:
        """Half the 95 % interval of these steps' time, relative to it."""
        if self._replicates is None:
            return UNKNOWN_SPREAD
        summed = self._replicates.summed([tuple(steps)])
        [error] = relative_errors(group(summed.times_ns, summed.process))
        reach = float(error) * float(np.asarray(student_quantile(FLOOR_DF, 0.975)))
        return min(reach, 1.0) if np.isfinite(reach) else UNKNOWN_SPREAD

    def gain(self, steps: Sequence[int], low: float, high: float) -> Gain:
        """A gain between two parts of the steps' time, widened by the interval of that time."""
        ns, spread = self.time_ns(steps), self.spread(steps)
        return Gain(max(0.0, ns * low * (1 - spread)), ns * high * (1 + spread))

    def gain_of_removal(self, steps: Sequence[int]) -> Gain:
        """What steps that vanish take with them: 0.65 to 1.95 of their time.

        What reads their input finds it in a nearer cache, and so does what follows. The high end
        has their part of what the runtime spends between steps, too.
        """
        gain = self.gain(steps, *REMOVED)
        between = max(0, self.sums.overhead_ns - (self.sums.empty_ns or 0))
        more = between * len(steps) / len(self.step_ns) if self.sums.is_whole else 0.0
        return Gain(gain.low_ns, gain.high_ns + more)

    def times(self, steps: Sequence[int], what: str = "steps") -> tuple[Figure, ...]:
        """The evidence that any finding on steps has: how many, and what they take."""
        ns = self.time_ns(steps)
        return (
            Figure(what, len(steps), Unit.COUNT),
            Figure("their time", ns, Unit.NS),
            Figure("of the latency", ns / self.total_ns if self.total_ns else 0.0, Unit.FRACTION),
        )

    def layers_of(self, steps: Sequence[int]) -> tuple[str, ...]:
        """The layers that the steps cover."""
        return tuple(dict.fromkeys(n for s in steps for n in self.run.steps[s].layers))
