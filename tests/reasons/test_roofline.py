"""Steps against scripted ceilings: what binds, its fraction, the sums and what is unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.runs.ceilings import ceilings, point

from onnxprof.publish.text.roofs import alone_text, beaten_text, bound_text, why_text
from onnxprof.reasons.bounds import Bounds, bounds
from onnxprof.reasons.roofline import Binding, Roof, Roofline, roofline
from onnxprof.reasons.work import Work, counted, work_of, work_of_layer
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

#: Bytes of the tensors below: an activation of 1×64×32×32 float32, and weights of a 3×3 Conv.
A, W = 4 * 64 * 32 * 32, 4 * 64 * 64 * 9
CONV_FLOPS = 2 * 64 * 64 * 9 * 32 * 32


def tensor(name: str, dtype: str = "float32") -> Tensor:
    return Tensor(name, dtype, (1, 64, 32, 32))


def layer(
    name: str, op_type: str, reads: list[str], dtype: str = "float32", domain: str = ""
) -> Layer:
    inputs = [tensor(each, dtype) for each in reads]
    attributes: tuple[tuple[str, str], ...] = ()
    if op_type == "Conv":
        inputs.append(Tensor("w", dtype, (64, 64, 3, 3)))
        attributes = (("pads", "[1, 1, 1, 1]"), ("kernel_shape", "[3, 3]"))
    kind = LayerKind.NODE
    outputs = (tensor(f"{name}_out", dtype),)
    return Layer(name, kind, op_type, op_type, domain, 17, tuple(inputs), outputs, attributes)


def table(*layers: Layer) -> LayerTable:
    weight = Tensor("w", "float32", (64, 64, 3, 3))
    given = Layer("w", LayerKind.INITIALIZER, "Initializer", outputs=(weight,), inputs=(weight,))
    return LayerTable((given, *layers), 1)


def step(name: str, *layers: str, position: int = 0, **changes) -> Step:
    made = Step(name, "Op", "cpu", layers, Confidence.EXACT, position=position)
    return replace(made, **changes)


def run_of(layers: LayerTable, steps: list[Step], ns: list[int]) -> Run:
    """A run whose steps take these times in every inference."""
    base = sample_run()
    assert base.timings is not None
    samples = np.repeat(np.array(ns, np.int64)[:, None], 20, axis=1)
    whole = np.full(20, sum(ns) + 1_000, np.int64)
    timings = replace(
        base.timings,
        step_ns=samples,
        traced_ns=whole,
        latency_ns=whole,
        latency_block=np.zeros(20, np.int32),
    )
    return replace(base, table=layers, steps=tuple(steps), timings=timings, folded=())


CHAIN = table(
    layer("conv", "Conv", ["x"]),
    layer("relu", "Relu", ["conv_out"]),
    layer("add", "Add", ["relu_out", "y"]),
)


def chain_run(*ns: int, fused: bool = True) -> Run:
    groups = [("conv", "relu"), ("add",)] if fused else [("conv",), ("relu",), ("add",)]
    steps = [step(f"s{i}", *names, position=i) for i, names in enumerate(groups)]
    return run_of(CHAIN, steps, list(ns))


def test_a_fused_step_moves_what_enters_and_leaves_it() -> None:
    known = counted(CHAIN)
    fused = work_of(step("s", "conv", "relu"), known)
    assert fused is not None
    assert fused.bytes == fused.least_bytes == 2 * A + W
    assert fused.macs == CONV_FLOPS // 2
    assert fused.flops == CONV_FLOPS + A // 4
    assert fused.least_flops == CONV_FLOPS  # the activation may cost nothing
    alone = work_of_layer("relu", known)
    assert (alone.bytes, alone.least_flops) == (2 * A, A // 4)


def test_a_tensor_that_others_read_too_is_written_all_the_same() -> None:
    layers = table(
        layer("conv", "Conv", ["x"]),
        layer("relu", "Relu", ["conv_out"]),
        layer("add", "Add", ["conv_out", "relu_out"]),
    )
    fused = work_of(step("s", "conv", "relu"), counted(layers))
    assert fused is not None
    assert fused.bytes == 3 * A + W


def test_a_layer_computed_with_an_equal_one_counts_once() -> None:
    layers = table(layer("a", "Relu", ["x"]), layer("b", "Relu", ["x"]))
    both = work_of(step("s", "a", "b", shared=("b",)), counted(layers))
    assert both is not None
    assert both.bytes == 2 * A


def test_an_unknown_cost_is_not_zero() -> None:
    layers = table(layer("odd", "Mystery", ["x"], domain="strange"), layer("conv", "Conv", ["x"]))
    odd = work_of(step("s", "odd"), counted(layers))
    both = work_of(step("s", "odd", "conv"), counted(layers))
    assert odd is not None
    assert both is not None
    assert (odd.flops, both.flops) == (None, None)
    assert odd.intensity is None
    assert "Mystery" in odd.unknown
    assert both.least_flops == CONV_FLOPS


def test_what_binds_a_step_and_how_far_it_is_from_possible() -> None:
    made = roofline(chain_run(2 * CONV_FLOPS // 100, 4 * 3 * A // 40), ceilings())
    conv, add = made.roofs
    assert conv.binding is Binding.COMPUTE
    assert conv.fraction == pytest.approx(0.5)
    assert conv.gflops == pytest.approx(50, rel=0.01)
    assert add.bound == "L2"
    assert add.fraction == pytest.approx(0.25, rel=0.01)
    assert add.gbps == pytest.approx(10, rel=0.01)
    assert why_text(conv) == "compute 50 %"
    assert why_text(add) == "L2 25 %"


def test_a_tiny_step_is_bound_by_what_a_node_costs() -> None:
    small = Layer(
        *("r", LayerKind.NODE, "Relu", "Relu", "", 17),
        *((Tensor("x", "float32", (8,)),), (Tensor("y", "float32", (8,)),)),
    )
    (roof,) = roofline(run_of(table(small), [step("s", "r")], [1_250]), ceilings()).roofs
    assert roof.bound == "overhead"
    assert why_text(roof) == "overhead 80 %"


def test_a_step_without_layers_has_no_reason() -> None:
    made = roofline(run_of(CHAIN, [step("reorder")], [5_000]), ceilings())
    assert made.roofs[0].work is None
    assert why_text(made.roofs[0]) == "?"
    found = bounds(made)
    assert found is not None
    assert found.in_sequence_ns == 10_000 + 1_000
    assert not found.at_least


@pytest.mark.parametrize(
    ("dtype", "executed", "rate"),
    [("float32", "Conv", 100), ("float16", "Conv", 200), ("float32", "QLinearConv", 400)],
)
def test_each_precision_has_its_ceiling(dtype: str, executed: str, rate: int) -> None:
    made = ceilings(
        *ceilings().points,
        point("matmul", 1_000, flops=200_000, precision="float16"),
        point("matmul", 1_000, flops=400_000, precision="int8"),
    )
    layers = table(layer("conv", "Conv", ["x"], dtype))
    run = run_of(layers, [step("s", "conv", op_type=executed)], [10**6])
    assert roofline(run, made).roofs[0].compute_ns == pytest.approx(CONV_FLOPS / rate)


def test_a_narrow_type_is_held_to_float32_where_that_is_faster() -> None:
    slow = point("matmul", 1_000, flops=2_000, precision="float16")
    layers = table(layer("conv", "Conv", ["x"], "float16"))
    made = roofline(
        run_of(layers, [step("s", "conv")], [10**6]), ceilings(*ceilings().points, slow)
    )
    assert made.roofs[0].compute_ns == pytest.approx(CONV_FLOPS / 100)


def test_a_precision_without_ceiling_leaves_the_bound_open() -> None:
    layers = table(layer("conv", "Conv", ["x"], "bfloat16"))
    (roof,) = roofline(run_of(layers, [step("s", "conv")], [10**6]), ceilings()).roofs
    assert roof.compute_ns is None
    assert roof.at_least
    assert why_text(roof).startswith("L2 ≥")


def test_without_ceilings_there_is_what_it_does_and_attains() -> None:
    made = roofline(chain_run(10_000, 10_000), None)
    assert made.roofs[0].fraction is None
    assert made.roofs[0].gflops == pytest.approx(CONV_FLOPS / 10_000, rel=0.01)
    assert bounds(made) is None
    assert bound_text(made) == ""


def test_the_bounds_of_a_network() -> None:
    made = roofline(chain_run(10**6, 10**6, 10**6, fused=False), ceilings())
    found = bounds(made)
    assert found is not None
    conv = CONV_FLOPS / 100
    whole = conv + 2 * A / 40 + 3 * A / 40
    assert found.call_ns == 10_000
    assert found.in_sequence_ns == pytest.approx(10_000 + whole, rel=1e-3)
    assert found.critical_path_ns == found.in_sequence_ns
    assert found.fused_in_sequence_ns == pytest.approx(10_000 + conv, rel=1e-3)


def test_branches_run_at_once_along_the_critical_path() -> None:
    layers = table(
        layer("a", "Conv", ["x"]),
        layer("b", "Conv", ["x"]),
        layer("join", "Add", ["a_out", "b_out"]),
    )
    steps = [step(name, name, position=i) for i, name in enumerate(("a", "b", "join"))]
    found = bounds(roofline(run_of(layers, steps, [10**6] * 3), ceilings()))
    assert found is not None
    assert found.in_sequence_ns - found.critical_path_ns == pytest.approx(CONV_FLOPS / 100)


def test_a_layer_without_a_step_passes_on_what_it_waits_for() -> None:
    layers = table(
        layer("a", "Conv", ["x"]),
        layer("id", "Identity", ["a_out"]),
        layer("b", "Conv", ["id_out"]),
    )
    steps = [step(name, name, position=i) for i, name in enumerate(("a", "b"))]
    found = bounds(roofline(run_of(layers, steps, [10**6] * 2), ceilings()))
    assert found is not None
    assert found.critical_path_ns == found.in_sequence_ns


def test_a_bound_that_is_beaten_is_named() -> None:
    quick = round(0.9 * CONV_FLOPS / 100)
    made = roofline(chain_run(quick, 10**6), ceilings())
    assert [roof.name for roof in made.beaten] == ["conv"]
    assert "conv" in beaten_text(made)
    busy = ceilings(warnings=(RunWarning(WarningKind.BUSY_MACHINE, 1.7),))
    text = beaten_text(roofline(chain_run(quick, 10**6), busy))
    assert "the ceilings were measured on a busy machine" in text
    both = replace(chain_run(quick, 10**6), warnings=busy.warnings)
    assert "the ceilings were and the run was measured on" in beaten_text(roofline(both, busy))


def test_a_time_in_doubt_beats_no_bound() -> None:
    run = chain_run(1_001, 10**6 + 7)
    assert run.timings is not None
    samples = run.timings.step_ns.copy()
    samples[0] = np.linspace(1, 10**6, samples.shape[1])
    made = roofline(replace(run, timings=replace(run.timings, step_ns=samples)), ceilings())
    assert made.roofs[0].in_doubt
    assert not made.roofs[0].is_beaten
    near = roofline(chain_run(round(0.96 * CONV_FLOPS / 100), 10**6), ceilings())
    assert near.beaten == ()
    assert beaten_text(near) == ""


def test_winograd_may_beat_the_direct_algorithm_and_is_named() -> None:
    run = chain_run(1_001, 10**6 + 7)
    steps = (replace(run.steps[0], runtime_name="jit_avx512_winograd"), run.steps[1])
    made = roofline(replace(run, steps=steps), ceilings())
    assert made.beaten == ()
    assert made.roofs[0].is_beaten
    assert "Winograd or FFT may take less, as in conv." in bound_text(made)


def test_what_a_coarse_clock_leaves_out_beats_no_bound() -> None:
    run = chain_run(70_000, 1_000_000)  # whole multiples of 10 µs
    assert roofline(run, ceilings()).roofs[0].tick_ns == 10_000


def test_time_alone_and_time_in_the_graph() -> None:
    run = chain_run(30_000, 20_000)
    assert run.timings is not None
    timings = replace(
        run.timings,
        repeats=(10, 0),
        repeat_ns=np.full((1, 6), 210_000),
        empty_ns=np.full(6, 10_000),
    )
    made = roofline(replace(run, timings=timings), ceilings())
    text = "1 step was timed alone, too, with warm caches: 20.00 µs against 30.00 µs in the graph."
    assert alone_text(made) == text
    assert alone_text(roofline(run, ceilings())) == ""
    first, second = made.roofs
    assert first.warm_ns == 20_000
    assert first.waits_ns == 10_000
    assert second.waits_ns is None


TIMES = st.lists(st.integers(1_000, 10**7), min_size=3, max_size=3)
RATES = st.tuples(*(st.floats(1, 1_000) for _ in range(3)))


def scripted(rates: tuple[float, ...]) -> Ceilings:
    compute, fast, slow = rates
    return ceilings(
        point("relu", 1_000, moved=512),
        point("relu", max(1.0, (512 << 10) / fast), moved=512 << 10),
        point("relu", max(1.0, (64 << 20) / slow), moved=64 << 20),
        point("matmul", max(1.0, 10**7 / compute), flops=10**7, moved=1 << 16),
    )


@settings(max_examples=40)
@given(TIMES, RATES, st.booleans())
def test_no_bound_is_above_the_sum_at_ceilings(
    times: list[int], rates: tuple[float, ...], fused: bool
) -> None:
    run = chain_run(*(times[:2] if fused else times), fused=fused)
    made = roofline(run, scripted(rates))
    found = bounds(made)
    assert isinstance(found, Bounds)
    whole = found.call_ns + sum(roof.bound_ns for roof in made.roofs)
    assert found.in_sequence_ns == pytest.approx(whole)
    for lower in (found.critical_path_ns, found.fused_in_sequence_ns):
        assert lower <= found.in_sequence_ns + 1e-6
        assert found.fused_critical_path_ns <= lower + 1e-6


@settings(max_examples=40)
@given(RATES, st.floats(1, 50))
def test_the_fraction_is_at_most_one_where_the_time_is_no_less_than_the_bound(
    rates: tuple[float, ...], slower: float
) -> None:
    probe: Roofline = roofline(chain_run(10**6, 10**6), scripted(rates))
    for roof in probe.roofs:
        timed = replace(roof, time_ns=int(roof.bound_ns * slower) + 1)
        assert timed.fraction is not None
        assert 0 < timed.fraction <= 1
        assert not timed.is_beaten


def test_a_roof_without_a_time_has_no_fraction() -> None:
    roof = Roof("x", 0, Work(1, 1, 1, 1), 1.0, 1.0, 1.0)
    assert roof.fraction is None
    assert roof.gflops is None


def test_a_view_by_strides_moves_nothing_where_the_backend_has_them() -> None:
    layers = table(layer("t", "Transpose", ["x"]))
    run = run_of(layers, [step("s", "t")], [5_000])
    copied = roofline(run, ceilings()).roofs[0]
    torch = replace(run, request=replace(run.request, backend="torch"))
    view = roofline(torch, ceilings()).roofs[0]
    assert (copied.bound, view.bound) == ("L2", "overhead")
    assert view.work is not None
    assert view.work.bytes == 2 * A  # what the layer is said to move stays
