"""Work of an operator as a sum of operations by kind, over sizes that may be expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from onnxprof.cost.base.call import Call
from onnxprof.cost.base.expression import Size


@dataclass(frozen=True, slots=True)
class Work:
    """Operations by kind, as in `onnxprof.records.cost.Operations`."""

    macs: Size = 0
    adds: Size = 0
    multiplies: Size = 0
    divisions: Size = 0
    exponentials: Size = 0
    comparisons: Size = 0

    def kinds(self) -> tuple[Size, ...]:
        """All kinds in order."""
        front = (self.macs, self.adds, self.multiplies)
        return (*front, self.divisions, self.exponentials, self.comparisons)

    @property
    def flops(self) -> Size:
        """All of them, a multiply-accumulate as two."""
        return 2 * self.macs + sum(self.kinds()[1:])

    def __add__(self, other: Work) -> Work:
        return Work(*(a + b for a, b in zip(self.kinds(), other.kinds(), strict=True)))

    def __mul__(self, times: Size) -> Work:
        return Work(*(kind * times for kind in self.kinds()))


@dataclass(frozen=True, slots=True)
class Estimate:
    """Work of an operator, and how the bytes that it moves differ from all of its tensors."""

    work: Work = Work()
    reads: Mapping[int, Size] = field(default_factory=dict)
    """Elements read, by input position; an input that is not named is read whole."""
    writes: Mapping[int, Size] = field(default_factory=dict)
    """Elements written, by output position; an output that is not named is written whole."""
    view: bool = False
    """Whether the output is the input's memory under another shape: no byte moves."""
    bound: str = ""
    """Why this is the most that it can be; empty where it is exact."""


#: The work of an operator; raises `Unknown` where a shape or an attribute is missing.
Formula = Callable[[Call], Work | Estimate]
Table = Mapping[str, Formula]
