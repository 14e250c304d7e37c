"""Hypothesis strategies for records, shared by the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from onnxprof.records.device import Device
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.layer import Layer, LayerKind, LayerTable, ModelFacts, Tensor
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Request, Run
from onnxprof.records.step import Confidence, Granularity, Step, Timer
from onnxprof.records.telemetry import Absence, Energy, Quantity, Series, Telemetry
from onnxprof.records.timings import Timings
from onnxprof.records.warning import RunWarning, WarningKind

text = st.text(max_size=12)
counts = st.integers(0, 2**60)
#: Sizes come as NumPy integers as often as not.
sizes = st.integers(-1, 2**40) | st.integers(0, 2**40).map(np.int64)
shapes = st.none() | st.lists(sizes | text | st.none(), max_size=4).map(tuple)
pairs = st.lists(st.tuples(text, text), max_size=3).map(tuple)
dims = st.lists(st.tuples(text, st.integers(0, 2**40)), max_size=3).map(tuple)
opsets = st.lists(st.tuples(text, st.integers(1, 30)), max_size=3).map(tuple)
tensors = st.builds(
    Tensor,
    text,
    st.sampled_from(["float32", "", "sequence(float32)"]),
    shapes,
    st.none() | st.lists(st.integers(-(2**62), 2**62), max_size=4).map(tuple),
    st.booleans(),
)
few_tensors = st.lists(tensors, max_size=3).map(tuple)
requests = st.builds(
    Request,
    model_name=text,
    model_sha256=text,
    backend=text,
    provider=text,
    device_id=text,
    batch=st.integers(1, 10**9),
    dims=dims,
    threads=st.integers(0, 512),
    granularity=st.sampled_from(Granularity),
    timer=text,
    seed=counts,
    inputs_sha256=text,
    processes=st.integers(1, 9),
    optimization_level=text,
    session_options=pairs,
    provider_options=pairs,
)
reals = st.floats(allow_nan=False)
outputs = st.builds(
    OutputParity, text, reals, reals, counts, reals, st.none() | st.booleans(), text
)
parities = st.builds(Parity, text, st.lists(outputs, max_size=2).map(tuple), text)
warnings = st.builds(RunWarning, st.sampled_from(WarningKind), st.floats(allow_nan=False), text)
models = st.builds(ModelFacts, text, text, text, counts, counts, opsets, text, text, counts)
devices = st.builds(
    Device,
    *(text, text, text, counts, counts, counts, st.lists(text, max_size=3).map(tuple)),
    *(text, counts, counts, counts),
)
finite = st.floats(allow_nan=False, allow_infinity=False)
many_reals = st.lists(reals, min_size=1, max_size=3).map(tuple)
telemetries = st.builds(
    Telemetry,
    *(reals, counts, reals),
    st.lists(
        st.builds(
            Series, st.sampled_from(Quantity), text, many_reals, many_reals, st.none() | finite
        ),
        max_size=2,
    ).map(tuple),
    st.lists(st.builds(Energy, text, reals, st.none() | finite), max_size=2).map(tuple),
    *(reals, counts, counts, st.none() | counts),
    st.lists(st.builds(Absence, text, text), max_size=2).map(tuple),
)


@st.composite
def layers(draw: st.DrawFn, name: str) -> Layer:
    kind = draw(st.sampled_from(LayerKind))
    return Layer(
        name,
        kind,
        draw(st.sampled_from(["Conv", "Relu", "Gemm", "Input"])),
        draw(st.sampled_from(["Conv", "Constant", ""])),
        draw(text),
        draw(st.integers(0, 30)),
        draw(few_tensors),
        draw(few_tensors),
        draw(pairs),
        draw(text),
        draw(text),
    )


@st.composite
def tables(draw: st.DrawFn) -> LayerTable:
    names = draw(st.lists(text, max_size=5))  # repeated ones, too
    rows = tuple(draw(layers(name)) for name in names)
    return LayerTable(rows, draw(st.integers(1, 10**9)), draw(dims), draw(text))


@st.composite
def steps(draw: st.DrawFn, names: list[str]) -> Step:
    known = st.sampled_from(names) | text if names else text
    return Step(
        draw(text),
        draw(text),
        draw(text),
        draw(st.lists(known, max_size=3).map(tuple)),
        draw(st.sampled_from(Confidence)),
        draw(text),
        draw(few_tensors),
    )


def samples(shape: int | tuple[int, int], low: int = 0) -> st.SearchStrategy[Any]:
    return npst.arrays(np.int64, shape, elements=st.integers(low, 10**13))


def processes(number: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 2), min_size=number, max_size=number)


@st.composite
def timings(draw: st.DrawFn, steps: int, least: int = 0) -> Timings:
    number = draw(st.integers(least, 6))
    traced = draw(st.integers(0, 4))
    prefixes = draw(st.integers(0, 3))
    rounds = draw(st.integers(0, 3))
    repeats = draw(st.lists(st.integers(0, 3), min_size=steps, max_size=steps))
    again = (sum(n > 0 for n in repeats), draw(st.integers(0, 3)))
    hosted = (steps, traced) if draw(st.booleans()) else (0, 0)
    timers = [Timer.TRACE, *([Timer.PREFIX] if prefixes and rounds else [])]
    timers += [Timer.CUPTI] if hosted == (steps, traced) else []
    return Timings(
        timer=draw(st.sampled_from(timers)),
        load_ns=draw(counts),
        first_ns=draw(counts),
        warmup_ns=draw(samples(draw(st.integers(0, 3)), 0)),
        latency_ns=draw(samples(number, 0)),
        latency_block=draw(npst.arrays(np.int32, number, elements=st.integers(0, 99))),
        traced_ns=draw(samples(traced, 0)),
        step_ns=draw(samples((steps, traced))),
        traced_block=draw(npst.arrays(np.int32, traced, elements=st.integers(0, 99))),
        prefix_ns=draw(samples((prefixes, rounds))),
        prefix_steps=tuple(draw(st.lists(counts, min_size=prefixes, max_size=prefixes))),
        empty_ns=draw(samples(draw(st.integers(0, 3)), 0)),
        block_process=tuple(draw(st.just([]) | processes(100))),
        round_process=tuple(draw(st.just([]) | processes(rounds))),
        host_ns=draw(samples(hosted)),
        repeats=tuple(repeats),
        repeat_ns=draw(samples(again)),
        repeat_process=tuple(draw(st.just([]) | processes(again[1]))),
    )


@st.composite
def runs(draw: st.DrawFn, failures: bool = True, least: int = 0) -> Run:
    table = draw(tables())
    names = [layer.name for layer in table]
    done = tuple(draw(st.lists(steps(names), max_size=4)))
    failed = failures and draw(st.booleans())
    return Run(
        request=draw(requests),
        model=draw(models),
        device=draw(devices),
        environment=draw(pairs),
        created=draw(st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901Z"])),
        command=draw(text),
        table=table,
        steps=done,
        folded=draw(st.lists(text, max_size=3).map(tuple)),
        timings=None if failed else draw(timings(len(done), least)),
        warnings=tuple(draw(st.lists(warnings, max_size=3))),
        failure="it broke" if failed else draw(text),
        parity=draw(st.none() | parities),
        telemetry=draw(st.none() | telemetries),
        kernels=draw(st.lists(st.builds(KernelRow, text, *[counts] * 4), max_size=3).map(tuple)),
        api_calls=draw(st.lists(st.builds(ApiRow, text, *[counts] * 4), max_size=3).map(tuple)),
    )
