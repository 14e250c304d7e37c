"""How far the numbers of a sample lie apart, whatever a few of them are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The error of an element beyond so many times the typical size is relative to the element itself
#: (masks of -1e9).
OUTLIER = 100.0
#: A number beyond this may be a mask, and is left out of the typical size.
_MASK = 1e3
#: If more than this part of a tensor is no mask, that part gives the typical size.
_FEW = 0.1


def level(sample: Floats) -> tuple[float, float]:
    """Root mean square around the median, and largest size, without outliers."""
    known = np.isfinite(sample)
    finite = sample if known.all() else sample[known]
    if not finite.size:
        return 1.0, 0.0
    sizes = np.abs(finite)
    plain = sizes <= _MASK
    masks = not plain.all()
    common = finite[plain] if masks and plain.mean() > _FEW else finite
    middle = _median(common)
    gaps = np.abs(finite - middle)
    usual = gaps if common is finite else np.abs(common - middle)
    moved = usual > 0
    typical = _median(usual if moved.all() else usual[moved]) if moved.any() else 0.0
    kept = gaps <= OUTLIER * typical
    near = gaps if kept.all() else gaps[kept]
    spread = float(np.sqrt(np.mean(np.square(near)))) if near.size else 0.0
    largest = sizes if not masks else sizes[kept | plain]
    return spread, float(np.max(largest, initial=0.0))


def _median(values: Floats) -> float:
    """As NumPy's, of finite numbers; it looks for NaNs as well."""
    half = values.size // 2
    places = (half,) if values.size % 2 else (half - 1, half)
    return float(np.partition(values, places)[[*places]].mean())
