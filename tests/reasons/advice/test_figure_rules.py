"""Rules that need ceilings, costs or other runs: planted defects, and runs without them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.pages.graded import with_latencies
from support.runs.advised import MS, alone, found, run_of, table
from support.runs.ceilings import ceilings

from onnxprof.reasons.advice.advise import advise, is_small
from onnxprof.reasons.advice.base.peers import related
from onnxprof.reasons.advice.registry import RULES
from onnxprof.reasons.advice.rules.channels import multiple_of
from onnxprof.reasons.advice.rules.quantised import plain_name
from onnxprof.records.device import Device
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Run
from onnxprof.records.warning import RunWarning, WarningKind

#: 2 × 64 × 64 × 9 × 32 × 32 operations: 755 µs at the 100 GFLOP/s of the scripted ceilings.
BIG = (1, 64, 32, 32)
CONVS = [("a", "Conv", ("x", "wa")), ("b", "Conv", ("a", "wb")), ("c", "Conv", ("b", "wc"))]
SHAPES = dict.fromkeys(("x", "a", "b", "c"), BIG) | dict.fromkeys(
    ("wa", "wb", "wc"), (64, 64, 3, 3)
)
KERNEL = (("pads", "[1,1,1,1]"), ("kernel_shape", "[3,3]"), ("strides", "[1,1]"))
SAME = {"attributes": dict.fromkeys("abcd", KERNEL)}


def convs(*ms: float) -> Run:
    return alone(CONVS, ms, shapes=SHAPES, **SAME)


def test_a_layer_far_below_its_ceiling_is_found() -> None:
    [finding] = found("below-ceiling", convs(1, 1, 5), ceilings=ceilings())
    assert finding.layers == ("c",)
    gain = finding.gain
    assert gain is not None
    assert gain.high_ns == pytest.approx((5 - 0.755) * MS, rel=0.1)
    assert gain.low_ns == pytest.approx(4 * MS, rel=0.1)  # as fast as the median convolution
    assert {one.meaning for one in finding.evidence} >= {"its bound", "of its ceiling"}


def test_without_ceilings_or_near_them_the_rule_says_nothing() -> None:
    assert not found("below-ceiling", convs(1, 1, 5))
    assert not found("below-ceiling", convs(1, 1, 1.2), ceilings=ceilings())


def odd(ms: float) -> Run:
    """Three convolutions of 64 channels, and one that yields 60."""
    nodes = [*CONVS, ("d", "Conv", ("c", "wd")), ("e", "Conv", ("d", "we"))]
    shapes = SHAPES | {"d": (1, 60, 32, 32), "e": BIG, "wd": (60, 64, 3, 3), "we": (64, 60, 3, 3)}
    kernels = dict.fromkeys("abcde", KERNEL)
    return alone(nodes, (1, 1.1, 1.2, ms, 1), shapes=shapes, attributes=kernels)


def test_channels_that_miss_the_vector_and_are_slower_are_found() -> None:
    [finding] = found("channel-width", odd(3))
    assert "the task does not fix" in finding.change, "nobody chooses the number of classes"
    assert finding.layers == ("d",)
    assert "multiple of 8" in finding.title
    assert ": 60" in finding.title
    gain = finding.gain
    assert gain is not None
    best = 60 / 64
    assert gain.low_ns == pytest.approx((3 - 1.15 * best) * MS, rel=0.1)
    assert gain.high_ns == pytest.approx((3 - 1.05 * best) * MS, rel=0.1)


def test_channels_that_fit_or_cost_nothing_are_none() -> None:
    assert not found("channel-width", convs(1, 1, 5))
    assert not found("channel-width", odd(0.9))


def test_without_others_to_compare_with_no_gain_is_claimed() -> None:
    nodes = [("a", "Conv", ("x", "wa")), ("b", "Conv", ("a", "wb"))]
    shapes = {"x": BIG, "a": (1, 60, 32, 32), "wa": (60, 64, 3, 3), "b": BIG, "wb": (64, 60, 3, 3)}
    run = alone(nodes, (1, 1), shapes=shapes, attributes=dict.fromkeys("ab", KERNEL))
    [finding] = found("channel-width", run)
    assert finding.gain is None
    assert advise(run).findings[-1] == finding


@pytest.mark.parametrize(
    ("kind", "features", "dtype", "width"),
    [
        ("cpu", ("avx2",), "float32", 8),
        ("cpu", ("avx2", "avx512f"), "float32", 16),
        ("cpu", (), "float32", 0),
        ("cpu", ("avx2",), "float16", 0),
        ("cuda", (), "float16", 8),
        ("cuda", (), "int8", 16),
        ("npu", (), "float16", 0),
    ],
)
def test_the_width_is_the_devices(kind: str, features, dtype: str, width: int) -> None:
    assert multiple_of(Device("x", kind, "X", features=features), dtype) == width


TINY = [("a", "Relu", ("x",)), ("b", "Relu", ("a",)), ("c", "Relu", ("b",))]
SMALL = dict.fromkeys(("x", "a", "b", "c"), (1, 8))


def test_layers_whose_time_is_a_call_are_found() -> None:
    run = alone(TINY, (0.0015, 0.0015, 0.5), shapes=SMALL)
    [finding] = found("call-overhead", run, ceilings=ceilings())
    assert finding.layers == ("a", "b")
    assert finding.gain is not None
    assert finding.gain.low_ns == 0
    assert 1_900 <= finding.gain.high_ns <= 2_300  # a microsecond each
    assert not found("call-overhead", run)
    assert not found("call-overhead", convs(1, 1, 1), ceilings=ceilings())


def test_a_network_that_waits_for_launches_is_found() -> None:
    run = alone(TINY, (0.1, 0.1, 0.1), overhead_ms=0.4, shapes=SMALL)
    [finding] = found("launch-bound", run)
    assert finding.gain is not None
    assert finding.gain.high_ns == pytest.approx(0.4 * MS, rel=0.1)
    assert not found("launch-bound", alone(TINY, (0.1, 0.1, 0.1), overhead_ms=0.05))


def test_steps_bound_by_calls_count_as_overhead() -> None:
    run = alone(TINY, (0.0015, 0.0015, 0.0015), overhead_ms=0.001, shapes=SMALL)
    [finding] = found("launch-bound", run, ceilings=ceilings())
    assert finding.steps == (0, 1, 2)


def other(run: Run, factor: float, **asked) -> Run:
    """The same with other times, of another setting."""
    times = run.timings
    assert times is not None
    made = replace(
        times,
        step_ns=(times.step_ns * factor).astype(int),
        latency_ns=(times.latency_ns * factor).astype(int),
        traced_ns=(times.traced_ns * factor).astype(int),
    )
    return replace(run, timings=made, request=replace(run.request, **asked))


def test_three_samples_tell_of_nothing_faster() -> None:
    run = convs(1, 1, 5)
    times = (3.6, 3.5, 3.4)
    few = with_latencies(other(run, 0.5, backend="swift"), times, traced=3)
    assert not found("faster-runtime", run, few)
    assert not found("faster-elsewhere", run, few)
    fewer_threads = with_latencies(other(run, 0.5, threads=1), times, traced=3)
    assert not found("too-many-threads", run, fewer_threads)


def test_another_runtime_that_is_faster_is_found() -> None:
    run = convs(1, 1, 5)
    faster = other(run, 0.5, backend="swift")
    [finding] = found("faster-runtime", run, faster)
    assert finding.steps == ()
    gain = finding.gain
    assert gain is not None
    assert gain.low_ns < 3.5 * MS < gain.high_ns
    blocks = found("faster-elsewhere", run, faster)
    assert [one.layers for one in blocks] == [("c",), ("b",), ("a",)] or len(blocks) == 3
    assert blocks[0].gain is not None
    assert blocks[0].gain.low_ns < 2.5 * MS < blocks[0].gain.high_ns


@pytest.mark.parametrize(
    "changed",
    [
        {"backend": "swift", "model_sha256": "cd" * 32},
        {"backend": "swift", "batch": 4},
        {"backend": "swift", "threads": 1},
        {"backend": "swift", "device_id": "cpu:other"},
        {"backend": "swift", "inputs_sha256": "cd" * 32},
    ],
)
def test_runs_of_other_work_are_no_evidence(changed) -> None:
    run = convs(1, 1, 5)
    assert not found("faster-runtime", run, other(run, 0.5, **changed))
    assert not found("faster-elsewhere", run, other(run, 0.5, **changed))


def test_a_runtime_that_is_no_faster_computes_wrongly_or_was_disturbed_is_none() -> None:
    run = convs(1, 1, 5)
    same = other(run, 0.99, backend="swift")
    wrong = replace(
        other(run, 0.5, backend="swift"),
        parity=Parity("reference", (OutputParity("y", 1.0, 1.0, passed=False),)),
    )
    busy = replace(
        other(run, 0.5, backend="swift"), warnings=(RunWarning(WarningKind.BUSY_MACHINE, 3.0),)
    )
    for peer in (same, wrong, busy):
        assert not found("faster-runtime", run, peer)
        assert not found("faster-elsewhere", run, peer)


def test_threads_that_hurt_are_found() -> None:
    run = convs(1, 1, 5)  # two threads
    [finding] = found("too-many-threads", run, other(run, 0.7, threads=1))
    assert "1 thread" in finding.title
    assert finding.gain is not None
    assert finding.gain.low_ns < 0.3 * 7.05 * MS < finding.gain.high_ns
    assert not found("too-many-threads", run, other(run, 1.4, threads=1))
    assert not found("too-many-threads", run, other(run, 0.7, threads=4))


def batches(*pairs: tuple[int, float]) -> list[Run]:
    run = convs(1, 1, 5)
    made = (other(run, factor, batch=batch) for batch, factor in pairs)
    return [replace(each, table=replace(each.table, batch=each.request.batch)) for each in made]


def test_a_batch_past_saturation_is_found() -> None:
    one, two, eight = batches((1, 1.0), (2, 1.1), (8, 4.4))
    [finding] = found("past-saturation", eight, one, two)
    assert "batch 2 has 100 %" in finding.title
    assert finding.gain is None  # a call of fewer items is no gain
    assert not found("past-saturation", two, one, eight)
    assert not found(
        "past-saturation", eight, replace(one, request=replace(one.request, threads=9))
    )


def test_no_batch_is_past_saturation_by_a_few_samples() -> None:
    one, two, eight = batches((1, 1.0), (2, 1.1), (8, 4.4))
    for few in (with_latencies(eight, (4.4, 4.4, 4.4)), with_latencies(two, (1.1, 1.1, 1.1))):
        rest = [run for run in (one, two, eight) if run.request.batch != few.request.batch]
        [mine] = [run for run in (few, *rest) if run.request.batch == 8]
        assert not found("past-saturation", mine, *(run for run in (few, *rest) if run is not mine))


def test_a_run_that_is_stored_twice_stands_for_itself() -> None:
    one, two, eight = batches((1, 1.0), (2, 1.1), (8, 4.4))
    copy = replace(eight, command="onnxprof profile copy")
    twin = replace(eight, timings=replace(eight.timings, load_ns=1))
    [finding] = found("past-saturation", eight, one, copy, twin, two)
    assert "batch 8" in finding.title


def test_a_batch_whose_items_take_longer_has_a_gain() -> None:
    one, two, eight = batches((1, 1.0), (2, 1.1), (8, 8.8))
    [finding] = found("past-saturation", eight, one, two)
    gain = finding.gain
    assert gain is not None
    assert gain.low_ns < 4.4 * 7.05 * 1.005 * MS < gain.high_ns


QUANTISED = [
    ("q", "QuantizeLinear", ("x", "ws", "wz")),
    ("dq", "DequantizeLinear", ("q", "ws", "wz")),
    ("conv_quant", "Conv", ("dq", "w")),
]
FLOAT = [("conv", "Conv", ("x", "w"))]


def test_conversions_that_ran_alone_are_found() -> None:
    [finding] = found("quantise-alone", alone(QUANTISED, (1, 1, 5)))
    assert finding.layers == ("conv_quant", "q", "dq")
    assert finding.steps == (0, 1)
    assert finding.gain is not None
    assert finding.gain.low_ns == 0
    fused = run_of(table(QUANTISED), [("QLinearConv", ["q", "dq", "conv_quant"], 3)])
    assert not found("quantise-alone", fused)


def test_constants_that_are_dequantised_are_no_such_conversions() -> None:
    nodes = [("dq", "DequantizeLinear", ("wq", "ws", "wz")), ("conv", "Conv", ("x", "dq"))]
    assert not found("quantise-alone", alone(nodes, (1, 5)))


def against(float_ms: float, **changed) -> list[str]:
    run = alone(QUANTISED, (1, 1, 5), model_name="net-int8")
    plain = alone(FLOAT, (float_ms,), model_name="net", model_sha256="cd" * 32, **changed)
    return [one.title for one in found("int8-slower", run, plain)]


def test_int8_that_is_slower_than_floats_is_found() -> None:
    whole, layer = against(2)
    assert "net is faster as a whole" in whole
    assert "conv_quant takes 2.5" in layer


def test_int8_that_is_faster_or_of_other_settings_is_none() -> None:
    assert against(9) == []
    assert against(2, threads=9) == []
    assert against(2, backend="swift") == []
    assert against(2, batch=4) == []


def test_names_of_quantised_layers_are_taken_back() -> None:
    assert plain_name("conv_quant") == "conv"
    assert plain_name("fc_MatMul_quant") == "fc"
    assert plain_name("_q") == "_q"


def test_which_stored_runs_may_tell_something() -> None:
    asked = convs(1, 1, 1).request
    assert related(asked, replace(asked, backend="swift", batch=9))
    other_file = replace(asked, model_sha256="cd" * 32)
    assert related(asked, replace(other_file, model_name="sample-int8_qdq"))
    assert not related(asked, replace(other_file, model_name="other"))
    assert not related(asked, replace(other_file, backend="swift"))


def test_findings_on_the_same_steps_are_not_added_up() -> None:
    from support.runs.advised import advice_of

    norms = ("ws", "wb", "wm", "wv")
    nodes = [CONVS[0], ("norm", "BatchNormalization", ("a", *norms)), ("r", "Relu", ("norm",))]
    run = alone(nodes, (5, 2, 1))
    advice = advice_of(run, other(run, 0.5, backend="swift"))
    gains = [one.gain.expected_ns for one in advice.findings if one.gain and one.steps]
    assert len(gains) == 5  # norm and relu alone, and three blocks that are faster elsewhere
    assert advice.union is not None
    # of norm 2.6 and of relu 0.78, which exceed half of their times, and 2.5 of the convolution
    assert advice.union.expected_ns == pytest.approx((2.5 + 2.6 + 0.775) * MS, rel=0.05)
    assert advice.union.expected_ns < 0.85 * sum(gains)


def test_what_can_gain_next_to_nothing_is_small() -> None:
    nodes = [("conv", "Conv", ("x", "w")), ("y", "Sum", ("same", "x"))]
    nodes.insert(1, ("same", "Identity", ("conv",)))
    advice = advise(alone(nodes, (5, 0.001, 5), overhead_ms=0.001))
    assert [is_small(one, advice.total_ns) for one in advice.findings] == [True]
    assert advice.large == ()


def test_a_run_without_step_times_has_findings_on_settings_alone() -> None:
    run = convs(1, 1, 5)
    assert run.timings is not None
    bare = replace(run, steps=(), timings=replace(run.timings, step_ns=run.timings.step_ns[:0]))
    assert advise(bare, ceilings()).findings == ()
    [finding] = advise(bare, others=[other(run, 0.7, threads=1)]).findings
    assert finding.rule == "too-many-threads"


def test_each_rule_has_a_name_of_its_own_and_says_how_its_gain_comes_about() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(rule.looks_for and rule.gain for rule in RULES)
