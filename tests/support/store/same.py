"""Two runs that are to be the same, samples and their types included."""

from __future__ import annotations

import dataclasses

import numpy as np

from onnxprof.records.run import Run
from onnxprof.records.timings import Timings


def assert_same(left: Run, right: Run) -> None:
    assert dataclasses.replace(left, timings=None) == dataclasses.replace(right, timings=None)
    assert (left.timings is None) == (right.timings is None)
    for f in dataclasses.fields(Timings) if left.timings else ():
        a, b = getattr(left.timings, f.name), getattr(right.timings, f.name)
        assert np.array_equal(a, b)
        assert np.asarray(a).dtype == np.asarray(b).dtype, f.name
