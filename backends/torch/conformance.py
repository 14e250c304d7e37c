"""How many of the ONNX package's node tests the torch backend passes.

A node test is a small model with inputs and expected outputs, made by the installed `onnx`
package, whose own backend tests compare in the same way (`onnx/backend/test/runner`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.values import to_numpy, to_torch
from onnxprof.backends.torch.program.loader import load
from onnxprof.plugins.verbs import SelfTest, Verdict, Yardstick
from onnxprof.records.layer import PreparedModel

#: The result of onnx2pytorch, which runs ONNX graphs on torch as well.
YARDSTICK = Yardstick("onnx2pytorch", 588, 776)


def torch_conformance() -> SelfTest:
    """Run all node tests on the CPU, in about half a minute."""
    return SelfTest(
        runtime=f"torch {torch.__version__}",
        suite=f"node tests of onnx {version('onnx')}",
        verdicts=tuple(judge(case) for case in cases()),
        yardstick=YARDSTICK,
    )


def cases() -> Sequence[Any]:
    """The node tests, without those that only expand the function of another test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they overflow and divide by zero on purpose
        from onnx.backend.test.case.node import collect_testcases

        collected: Sequence[Any] = collect_testcases(None)
    return collected


def judge(case: Any) -> Verdict:
    """Run one test; an exception is a failure."""
    try:
        return Verdict(case.name, _difference(case))
    except Exception as error:  # any exception is a failed test
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Verdict(case.name, lines[0][:200])


def _difference(case: Any) -> str:
    prepared = PreparedModel(case.model.SerializeToString(), Path())
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        loaded = load(prepared, fold=False)
        for inputs, expected in case.data_sets:
            program = loaded.program
            values = program.template.copy()
            for slot, value in zip(program.formals, inputs, strict=False):
                values[slot] = _given(value)
            program.run(values)
            outputs = [values[slot] for slot in program.outputs]
            kinds = loaded.output_types
            for want, got, kind in zip(expected, outputs, kinds, strict=True):
                if problem := _unlike(want, got, kind, case.rtol, case.atol):
                    return problem
    return ""


def _given(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_given(item) for item in value]
    return None if value is None else to_torch(_array(value))


def _array(value: Any) -> Any:
    """An expected value as an array; types that NumPy lacks are given as stored."""
    import onnx

    proto = isinstance(value, onnx.TensorProto)
    return onnx.numpy_helper.to_array(value) if proto else np.asarray(value)


def _unlike(want: Any, got: Any, kind: int, rtol: float, atol: float) -> str:
    if isinstance(want, list):
        if not isinstance(got, list) or len(want) != len(got):
            return "another number of items"
        pairs = zip(want, got, strict=True)
        return next(filter(None, (_unlike(w, g, kind, rtol, atol) for w, g in pairs)), "")
    return _apart(_array(want), to_numpy(got, kind), rtol, atol)


def _apart(want: Any, got: Any, rtol: float, atol: float) -> str:
    if want.shape != got.shape:
        return f"shape {list(got.shape)} where {list(want.shape)} is expected"
    if want.dtype != got.dtype:
        return f"{got.dtype} where {want.dtype} is expected"
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    exact = want.dtype.kind in "iub"
    if exact and np.array_equal(want, got):
        return ""
    with np.errstate(invalid="ignore"):
        near = np.isclose(got.astype(wide), want.astype(wide), rtol, atol, equal_nan=True)
    return "" if near.all() else f"{int((~near).sum())} of {want.size} elements differ"
