"""What a layer costs by its shapes: operations by kind, bytes by role and dtype, parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Limit(StrEnum):
    """What kind of figure a sum is, by its mark."""

    EXACT = ""
    AT_LEAST = "≥"
    """Something in it is unknown."""
    AT_MOST = "≤"
    """Something in it is the most that it can be."""
    NEITHER = "~"
    """Both: what is unknown adds to it, and what is a bound may be less."""


def limit(unknown: bool, bounded: bool) -> Limit:
    """The kind of a figure of which parts are unknown, and parts the most that they can be."""
    if unknown:
        return Limit.NEITHER if bounded else Limit.AT_LEAST
    return Limit.AT_MOST if bounded else Limit.EXACT


class Role(StrEnum):
    """What a tensor is to the layer that reads or writes it."""

    WEIGHTS = "weights"
    """Stored in the file: initializers and Constant nodes."""
    ACTIVATIONS = "activations"
    STATE = "state"
    """Carried to the next step or inference: hidden states, keys and values of the past."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Arithmetic by kind; operations on integers count as those on floating-point numbers do."""

    macs: int = 0
    """Multiply-accumulates of convolutions, matrix products, attention and recurrence."""
    adds: int = 0
    """Additions and subtractions outside of multiply-accumulates."""
    multiplies: int = 0
    divisions: int = 0
    exponentials: int = 0
    """exp, log, pow, square root, erf, tanh, sine and their like, each as one."""
    comparisons: int = 0
    """Comparisons, minima and maxima, selections, logic and bit operations, roundings."""

    @property
    def flops(self) -> int:
        """All of them, a multiply-accumulate as two."""
        rest = self.adds + self.multiplies + self.divisions + self.exponentials + self.comparisons
        return 2 * self.macs + rest

    def __mul__(self, times: int) -> Operations:
        return Operations(*(value * times for value in _values(self)))


def added(operations: Iterable[Operations]) -> Operations:
    """The sum, kind by kind."""
    return Operations(*map(sum, zip(*map(_values, operations), strict=True)))


def _values(operations: Operations) -> tuple[int, ...]:
    front = (operations.macs, operations.adds, operations.multiplies, operations.divisions)
    return (*front, operations.exponentials, operations.comparisons)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that a layer must move, for tensors of one role and dtype."""

    role: Role
    dtype: str
    """NumPy's name; `uint4` and its like are packed, two or four elements a byte."""
    read_bytes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LayerCost:
    """The cost of one layer in one inference, all its runs in a loop together."""

    layer: str
    op_type: str
    operations: Operations | None
    """None where the operator is not modelled or a shape is unknown: never zero for it."""
    traffic: tuple[Traffic, ...] = ()
    """By role and dtype; of the tensors whose size is known."""
    parameters: int = 0
    """Of the weights that this layer is the first to read."""
    unknown: str = ""
    """Why operations or bytes are missing; empty where nothing is."""
    bound: str = ""
    """Why the figures are the most that it can be (data decide); empty where they are exact."""
    times: int | None = 1
    """How often it runs in an inference; None if unknown: then the figures are of one run."""
    left_out: str = ""
    """Why totals leave it out: the branch of an If that costs less; empty if they count it."""

    @property
    def modelled(self) -> bool:
        """Whether its operations are known."""
        return self.operations is not None

    @property
    def at_least(self) -> bool:
        """Whether the true figures may be larger than those given."""
        return bool(self.unknown) or self.times is None

    @property
    def read_bytes(self) -> int:
        """Bytes read, over all roles and dtypes."""
        return sum(part.read_bytes for part in self.traffic)

    @property
    def written_bytes(self) -> int:
        """Bytes written, over all roles and dtypes."""
        return sum(part.written_bytes for part in self.traffic)

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.read_bytes + self.written_bytes

    @property
    def intensity(self) -> float | None:
        """FLOPs a byte moved; None where operations or bytes are unknown, or no byte moves."""
        if self.operations is None or self.unknown or not self.bytes:
            return None
        return self.operations.flops / self.bytes


@dataclass(frozen=True, slots=True)
class CostTotal:
    """The sum over layers."""

    operations: Operations
    traffic: tuple[Traffic, ...]
    parameters: int
    layers: int
    at_least: bool
    """Whether a layer in it has unknown parts, so that the sum is a lower limit."""
    operations_at_least: bool
    """Whether operations are among the unknown parts; else bytes alone are."""
    unknown: tuple[tuple[str, str], ...] = ()
    """(layer, reason) of those."""
    bounds: tuple[tuple[str, str], ...] = ()
    """(layer, reason) of layers of which the most that they can cost is in the sum."""
    bounded: Operations = Operations()
    """Operations of those layers, which are in the sum."""
    bounded_bytes: int = 0
    """Bytes of those layers, which are in the sum."""

    @property
    def read_bytes(self) -> int:
        """Bytes read, over all roles and dtypes."""
        return sum(part.read_bytes for part in self.traffic)

    @property
    def written_bytes(self) -> int:
        """Bytes written, over all roles and dtypes."""
        return sum(part.written_bytes for part in self.traffic)

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.read_bytes + self.written_bytes

    @property
    def operations_limit(self) -> Limit:
        """What kind of limit the sum of all operations is."""
        return limit(self.operations_at_least, bool(self.bounded.flops))

    @property
    def bytes_limit(self) -> Limit:
        """What kind of limit the sum of bytes is."""
        return limit(self.at_least, bool(self.bounded_bytes))

    @property
    def intensity(self) -> float | None:
        """FLOPs a byte moved; None where no byte moves or a part is unknown."""
        return None if self.at_least or not self.bytes else self.operations.flops / self.bytes
