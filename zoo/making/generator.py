"""Random weights that are the same bytes on every machine and NumPy version.

Each value is the sum of the four 16-bit lanes of one raw output of the counter-based
generator Philox4x64-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3"):
an Irwin–Hall distribution of order four, bell-shaped and bounded at ±3.46 standard
deviations. Logarithms and cosines differ in the last bit from one build of NumPy to the
next; here integers are added, exactly, and then scaled by single IEEE operations. NumPy
keeps the raw stream of a bit generator stable (NEP 19); nothing else of it is used.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LANE = 1 << 16
_MEAN = 2 * (_LANE - 1)
_SIGMA = math.sqrt((_LANE**2 - 1) / 3)
#: The farthest from the mean that a value lies, in standard deviations.
BOUND = _MEAN / _SIGMA
#: Values per step, so that the intermediates stay in a core's cache.
_STRIDE = 1 << 15


def key(seed: str) -> int:
    """The 128-bit Philox key that a seed name stands for: the head of its SHA-256."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:16], "big")


def normals(seed: str, start: int, count: int, mean: float, std: float) -> NDArray[np.float32]:
    """Values `start` to `start + count` of a seed's stream, shape [count].

    Every value depends on the seed and its own position alone, so the stream may be cut
    anywhere and made by several threads. Raises ValueError unless `start` is a multiple of
    four, the generator's block.
    """
    if start % 4:
        raise ValueError(f"a stream is cut at multiples of four, not at {start}")
    source = np.random.Philox(key=key(seed), counter=start // 4)
    out = np.empty(count, np.float32)
    for at in range(0, count, _STRIDE):
        part = out[at : at + _STRIDE]
        _sums(source, part)
        part -= np.float32(_MEAN)
        part *= np.float32(std / _SIGMA)
        if mean:
            part += np.float32(mean)
    return out


def _sums(source: np.random.Philox, out: NDArray[np.float32]) -> None:
    """Fill `out` with lane sums, which float32 holds exactly (18 bits)."""
    raw: NDArray[Any] = source.random_raw(out.size)
    # Either byte order gives the same sums, since the lanes are alike.
    halves = raw.view(np.uint32)
    pairs = halves & np.uint32(_LANE - 1)
    halves >>= np.uint32(16)
    pairs += halves
    np.add(pairs[0::2], pairs[1::2], out=out, casting="unsafe")
