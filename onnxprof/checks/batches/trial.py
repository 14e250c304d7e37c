"""The steps of a proof, from cheap to expensive.

1. Two runs at the file's own batch against one run of both together: are the values the same?
2. The run of both with one item replaced: do the other items stay exactly the same?
3. A run at the requested batch against the first and the last run at the file's own batch.

If there is no time for 3, steps 1 and 2 decide, since the edits of the graph are the same for
every batch. If 2 shows that items mix, the first layer that mixes them is named. If only 1
differs, the difference is compared with the effect of rounding, which may be as large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from onnxprof.checks import parity
from onnxprof.checks.batches import blame
from onnxprof.checks.batches.lab import Lab, Values
from onnxprof.checks.batches.layouts import part, placements
from onnxprof.checks.batches.verdict import Kind, Verdict
from onnxprof.model.file import batch_axes
from onnxprof.model.rebatch.trace import dependent
from onnxprof.records.parity import OutputParity

#: Outputs may differ by this many times what a change in rounding makes of them.
_ROUNDING_FACTOR = 30.0
_WIDE = ("float32", "float64")


@dataclass
class Trial:
    """Proves a model at one batch after the other; steps 1 and 2 are done once for all."""

    lab: Lab
    spare: int
    """Index of an item of the pool that is in none of the batches, to replace others."""
    _singles: dict[int, Values] = field(default_factory=dict)
    _common: Verdict | None = None

    def prove(self, batch: int) -> Verdict:
        """The verdict on a batch size. Raises OutOfTime and BackendError."""
        if self._common is None:
            self._common = self._pair()
        if self._common.kind is not Kind.HOLDS or batch == 2 * self.lab.own:
            return self._common
        return self._whole(batch)

    def _single(self, first: int) -> Values:
        """The run at the file's own batch that starts at item `first`."""
        if first not in self._singles:
            items = range(first, first + self.lab.own)
            self._singles[first] = self.lab.run(list(items), self._watched)
        return self._singles[first]

    def _pair(self) -> Verdict:
        lab, own = self.lab, self.lab.own
        pair = list(range(2 * own))
        both = lab.run(pair, self._watched)
        for item in (0, 2 * own - 1):
            other = lab.run([self.spare if i == item else i for i in pair], self._watched)
            runs = (self._single(0), both, other)
            if met := blame.touched(lab, runs, item, list(both)):
                return self._meeting(met, item)
        if lab.is_random:
            return Verdict(Kind.HOLDS)
        return self._values(both, 2 * own, (0, own))

    def _whole(self, batch: int) -> Verdict:
        if self.lab.is_random or not self.lab.has_time_for(batch):
            return Verdict(Kind.HOLDS)
        last = (batch - 1) // self.lab.own * self.lab.own  # stored rows repeat with the own batch
        return self._values(
            self.lab.run(list(range(batch)), self._watched), batch, sorted({0, last})
        )

    def _values(self, many: Values, batch: int, starts: Sequence[int]) -> Verdict:
        """Compare parts of a batch with runs at the file's own batch that start at these items."""
        gaps: list[OutputParity] = []
        scattered: list[str] = []
        known = 0
        for name in many:
            gaps_here = [self._gap(name, many[name], batch, start) for start in starts]
            comparable = [gap for gap in gaps_here if gap is not None]
            known += bool(comparable)
            gaps += [gap for gap, _ in comparable if not gap.passed]
            scattered += [name for gap, first in comparable if gap.passed and not first][:1]
        if gaps:
            return self._apart(gaps, batch)
        if scattered and (node := blame.first_interleaved(self.lab, scattered, self._differs)):
            what = "repeats the batch as a whole, so that the parts of an item lie apart"
            return Verdict(Kind.MIXES, blame.text(node, what))
        if not known:
            return Verdict(Kind.UNPROVEN, "the sizes of its outputs depend on the data")
        return Verdict(Kind.HOLDS)

    def _gap(
        self, name: str, many: NDArray[Any], batch: int, start: int
    ) -> tuple[OutputParity, bool] | None:
        """(error of the items' part against their own run, whether the items are contiguous).

        None for a tensor whose size depends on the data.
        """
        one = self._single(start).get(name)
        if one is None:
            return None
        nearest = self._nearest(name, one, many, batch, start)
        tensor = self.lab.tensors.get(name)
        certain = nearest[0].passed or (tensor is not None and tensor.is_static)
        return nearest if certain else None

    def _nearest(
        self, name: str, one: NDArray[Any], many: NDArray[Any], batch: int, start: int
    ) -> tuple[OutputParity, bool]:
        own = self.lab.own
        count = min(own, batch - start)
        if one.shape == many.shape:
            return self._compared(name, one, many), True
        fits = placements(one.shape, own, many.shape, batch)
        if not fits:
            shapes = f"{list(many.shape)} at batch {batch}, {list(one.shape)} at {own}"
            return OutputParity(name, np.inf, np.inf, passed=False, note=shapes), True
        gaps = [
            self._compared(name, part(one, at, own, 0, count), part(many, at, batch, start, count))
            for at in fits
        ]
        good = next((i for i, gap in enumerate(gaps) if gap.passed), 0)
        return gaps[good], not good

    def _compared(self, name: str, one: NDArray[Any], many: NDArray[Any]) -> OutputParity:
        table = self.lab.table(self.lab.own)
        of_one = parity.parts_of_one(table, name)
        flat = one.reshape(-1), many.reshape(-1)
        return parity.compare(name, *flat, parity.slack(table), of_one=of_one)

    def _differs(self, one: NDArray[Any], many: NDArray[Any], name: str) -> bool:
        return not self._compared(name, one, many).passed

    def _meeting(self, names: Sequence[str], item: int) -> Verdict:
        """The verdict where items mix: the first layer that mixes them, or dynamic quantisation."""
        node = blame.first_touched(self.lab, names, item, self.spare)
        if node is None:
            return Verdict(Kind.MIXES, f"items mix in output {names[0]!r}")
        if node.op_type not in blame.DYNAMIC:
            return Verdict(Kind.MIXES, blame.text(node, "mixes items of the batch"))
        return self._quantised(node)

    def _quantised(self, node: NodeProto) -> Verdict:
        """The verdict for a dynamic quantisation: do items mix with fixed scales, too?"""
        lab, own = self.lab, self.lab.own
        plain = [n for n in lab.nodes if n.op_type == blame.DYNAMIC[0]]
        scales = [name for n in plain for name in n.output if name]
        pair = list(range(2 * own))
        still = lab.changed_by(blame.fixed_quantisation(lab.run(pair, scales), plain))
        one, both = still.run(list(range(own))), still.run(pair)
        for item in (0, 2 * own - 1):
            other = still.run([self.spare if i == item else i for i in pair])
            met = blame.touched(still, (one, both, other), item, list(one))
            again = blame.first_touched(still, met, item, self.spare) if met else None
            if again is not None and again.op_type not in blame.DYNAMIC:
                return Verdict(Kind.MIXES, blame.text(again, "mixes items of the batch"))
        return Verdict(Kind.QUANTISED, blame.text(node, "takes one range of the whole batch"))

    def _apart(self, gaps: Sequence[OutputParity], batch: int) -> Verdict:
        """The verdict where values differ though no item changes another: rounding, or a layer."""
        worst = max(gaps, key=lambda gap: gap.max_rel)
        if np.isfinite(worst.max_rel) and worst.max_rel <= _ROUNDING_FACTOR * self._shaken(gaps):
            return Verdict(Kind.ROUNDING, worst.name, worst.max_rel)
        names = [gap.name for gap in gaps]
        node = blame.first_unlike(self.lab, names, batch, self._differs)
        if node is None:
            return Verdict(Kind.MIXES, f"output {worst.name!r} has other values", worst.max_rel)
        what = f"gives an item other values at batch {batch} than alone"
        return Verdict(Kind.MIXES, blame.text(node, what), worst.max_rel)

    def _shaken(self, gaps: Sequence[OutputParity]) -> float:
        """The largest error that rounding makes: inputs moved a little, or other kernels."""
        first = self._single(0)
        items = list(range(self.lab.own))
        moved = self.lab.fed_with(self.lab.pool.shaken()).run(items, self._watched)
        other = self.lab.run(items, optimised=True)
        return max(
            self._compared(gap.name, first[gap.name], run[gap.name]).max_rel
            for gap in gaps
            for run in (moved, other)
            if gap.name in run and run[gap.name].shape == first[gap.name].shape
        )

    @cached_property
    def _watched(self) -> list[str]:
        """Tensors to compare in place of outputs whose sizes depend on the data."""
        lab = self.lab
        moving = dependent(lab.model.nodes, batch_axes(lab.model, lab.dims))
        open_ends = [n.name for n in lab.model.structure.graph.output]
        open_ends = [n for n in open_ends if n in lab.tensors and not lab.tensors[n].is_static]
        if not open_ends:
            return []
        names = [n for node in lab.behind(open_ends) if self._is_open(node) for n in node.input]
        return [
            name
            for name in dict.fromkeys(names)
            if name in moving and name in lab.tensors and lab.tensors[name].is_static
            if lab.tensors[name].dtype in _WIDE
        ]

    def _is_open(self, node: NodeProto) -> bool:
        known = (self.lab.tensors.get(name) for name in node.output if name)
        return any(tensor is not None and not tensor.is_static for tensor in known)
