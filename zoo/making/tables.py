"""Values that are no noise of floats: packed weights of four bits, and tables of rotations.

Both are the same bytes everywhere: integers, decimals of a set precision, and products and
sums of doubles, of which IEEE 754 says every bit. No library's sine or power is used.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from onnxprof.zoo.making.generator import key

#: The number that packed weights of four bits lie around, and their standard deviation.
NIBBLE_MEAN, NIBBLE_STD = 8, math.sqrt(2 * (8**2 - 1) / 12)

_BYTES = np.uint64(0x0101_0101_0101_0101)
_THREE_BITS = np.uint64(7) * _BYTES
_EVEN = np.uint64(0x00FF_00FF_00FF_00FF)
_THREE, _FOUR = np.uint64(3), np.uint64(4)

#: Positions that are multiplied out from one angle.
_STEP = 256
#: Digits of the decimals; a float64 has 17.
_DIGITS = 50
#: Halvings of an angle before its sine is a short series.
_HALVINGS = 12


@dataclass(frozen=True, slots=True)
class Nibbles:
    """Two weights of four bits a byte, each 1 + two uniform numbers below 8: a triangle around 8.

    Eight is what com.microsoft's quantised operators subtract where no zero point is given.
    """

    seed: str
    KIND: ClassVar[str] = "nibbles"

    def to_json(self) -> str:
        """One line of JSON with sorted keys."""
        return json.dumps({"kind": self.KIND, "seed": self.seed})

    @classmethod
    def from_json(cls, text: str) -> Nibbles:
        """Read back what `to_json` wrote."""
        return cls(str(json.loads(text)["seed"]))

    def values(self, dtype: str, start: int, count: int) -> NDArray[Any]:
        """Bytes `start` to `start + count`. Raises ValueError where `start` divides a block."""
        if start % 16:
            raise ValueError(f"a stream of bytes is cut at multiples of 16, not at {start}")
        source = np.random.Philox(key=key(self.seed), counter=start // 16)
        raw: NDArray[Any] = source.random_raw(-(-count // 4))
        ones = (raw & _THREE_BITS) + (raw >> _THREE & _THREE_BITS) + _BYTES
        pairs = (ones | ones >> _FOUR) & _EVEN
        return pairs.astype("<u8").view("<u2").astype(dtype)[:count]


@dataclass(frozen=True, slots=True)
class Waves:
    """Cosines or sines of positions times rates: the tables of rotary embeddings.

    Row p, column c holds the function at p · base^(-c / columns). Su et al. 2021, "RoFormer",
    equation 15.
    """

    kind: str
    """`cosines` or `sines`."""
    base: float
    columns: int
    KINDS: ClassVar[tuple[str, ...]] = ("cosines", "sines")

    def to_json(self) -> str:
        """One line of JSON with sorted keys."""
        facts = {"kind": self.kind, "base": self.base, "columns": self.columns}
        return json.dumps(facts, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Waves:
        """Read back what `to_json` wrote."""
        facts = json.loads(text)
        return cls(str(facts["kind"]), float(facts["base"]), int(facts["columns"]))

    def values(self, dtype: str, start: int, count: int) -> NDArray[Any]:
        """Elements `start` to `start + count` of the table, flat, in little-endian `dtype`."""
        first, last = start // self.columns, -(-(start + count) // self.columns)
        rows = self._rows(np.arange(first, last)).astype(dtype)
        return rows.ravel()[start - first * self.columns :][:count]

    def _rows(self, positions: NDArray[Any]) -> NDArray[Any]:
        blocks = positions // _STEP
        wide = _turns(self.base, self.columns, _STEP, int(blocks[-1]) + 1)
        cos, sin = (part[blocks] for part in wide)
        fine = _turns(self.base, self.columns, 1, _STEP)
        small_cos, small_sin = (part[positions % _STEP] for part in fine)
        turned: NDArray[Any] = (
            cos * small_cos - sin * small_sin
            if self.kind == "cosines"
            else sin * small_cos + cos * small_sin
        )
        return turned


@lru_cache(maxsize=8)
def _turns(base: float, columns: int, step: int, count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cosines and sines [count, columns] of 0, 1, … steps, right to the last bit of a double."""
    cos, sin = np.empty((count, columns)), np.empty((count, columns))
    with localcontext() as context:
        context.prec = _DIGITS
        for column in range(columns):
            rate = Decimal(base) ** (Decimal(-column) / columns)
            one = _point(rate * step)
            at = (Decimal(1), Decimal(0))
            for row in range(count):
                cos[row, column], sin[row, column] = map(float, at)
                at = _turned(at, one)
    return cos, sin


_Point = tuple[Decimal, Decimal]


def _turned(at: _Point, by: _Point) -> _Point:
    """A point of the circle, turned by the angle of another."""
    return at[0] * by[0] - at[1] * by[1], at[1] * by[0] + at[0] * by[1]


def _point(angle: Decimal) -> _Point:
    """Cosine and sine: the series at a small part of the angle, then doubled."""
    small = angle / 2**_HALVINGS
    cos = sin = Decimal(0)
    term = Decimal(1)
    for power in range(40):
        if power % 2:
            sin += term if power % 4 == 1 else -term
        else:
            cos += term if power % 4 == 0 else -term
        term = term * small / (power + 1)
    point = (cos, sin)
    for _ in range(_HALVINGS):
        point = _turned(point, point)
    return point
