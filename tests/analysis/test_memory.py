"""Memory: what is alive at each step, counted by hand, and what a runtime makes of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.analysis.memory.alive import alive_in_run, alive_in_table, known_alive
from onnxprof.analysis.memory.arena import Arena, packed_bytes
from onnxprof.analysis.memory.liveness import Execution, Held, Written, followed, liveness
from onnxprof.analysis.memory.plan import reused
from onnxprof.analysis.memory.prediction import channel_block, predicted_memory
from onnxprof.analysis.memory.sizes import tensor_bytes
from onnxprof.records.layer import Dim, Layer, LayerKind, LayerTable, Tensor, element_bits
from onnxprof.records.memory import Liveness
from onnxprof.records.step import Confidence, Step
from onnxprof.testing import sample_run

MIB = 1 << 20


def tensor(name: str, *shape: Dim, dtype: str = "float32") -> Tensor:
    return Tensor(name, dtype, shape)


def node(op_type: str, reads: list[Tensor], writes: list[Tensor], **facts: str) -> Layer:
    name = facts.pop("name", writes[0].name)
    return Layer(
        name,
        LayerKind.NODE,
        op_type,
        op_type,
        opset=17,
        inputs=tuple(reads),
        outputs=tuple(writes),
        **facts,  # type: ignore[arg-type]
    )


def given_row(kind: LayerKind, row: Tensor) -> Layer:
    return Layer(row.name, kind, kind.value, outputs=(row,))


def table(
    *layers: Layer, inputs: tuple[Tensor, ...], weights: tuple[Tensor, ...] = ()
) -> LayerTable:
    rows = [given_row(LayerKind.INPUT, each) for each in inputs]
    rows += [given_row(LayerKind.INITIALIZER, each) for each in weights]
    return LayerTable((*rows, *layers), 1)


def alive(found: Liveness) -> dict[str, int]:
    return dict(zip(found.steps, found.alive_bytes, strict=True))


X = tensor("x", 10)


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [
        *(("float32", 32), ("float16", 16), ("bfloat16", 16), ("bool", 8), ("uint4", 4)),
        *(("int2", 2), ("float8_e4m3fn", 8), ("float4_e2m1fn", 4), ("complex128", 128)),
        *(("", 0), ("str", 0), ("object", 0), ("sequence(float32)", 0)),
    ],
)
def test_widths_follow_from_the_names_of_dtypes(dtype: str, bits: int) -> None:
    assert element_bits(dtype) == bits


def test_packed_types_fill_bytes_and_unknown_sizes_are_none() -> None:
    assert tensor_bytes(tensor("w", 3, 3, dtype="uint4")) == 5
    assert tensor_bytes(tensor("w", dtype="float64")) == 8
    assert tensor_bytes(tensor("w", 0, 7)) == 0
    assert tensor_bytes(tensor("w", "batch", 7)) is None
    assert tensor_bytes(tensor("w", None)) is None
    assert tensor_bytes(Tensor("w", "float32")) is None
    assert tensor_bytes(tensor("w", 3, dtype="")) is None


def test_a_branch_is_alive_until_it_is_joined() -> None:
    a, b, c, y = (tensor(name, 10) for name in "abcy")
    found = alive_in_table(
        table(
            *(node("Hardmax", [X], [a]), node("Hardmax", [a], [b]), node("Hardmax", [b], [c])),
            node("Concat", [a, c], [y]),
            inputs=(X,),
        )
    )
    # 40 bytes each, the input always: x+a, x+a+b, x+a+b+c, x+a+c+y
    assert alive(found) == {"a": 80, "b": 120, "c": 160, "y": 160}
    assert found.peak is not None
    assert found.peak.step == "c"
    assert [buffer.tensor for buffer in found.peak.buffers] == ["a", "x", "b", "c"]
    assert not found.peak_at_least


def test_the_largest_tensor_of_a_moment_comes_first_and_moments_agree() -> None:
    big, y = tensor("big", 100), tensor("y", 10)
    found = alive_in_table(table(node("Tile", [X], [big]), node("Slice", [big], [y]), inputs=(X,)))
    assert [buffer.tensor for buffer in found.moment(1).buffers] == ["big", "x", "y"]
    assert list(found.moments()) == [found.moment(0), found.moment(1)]


def test_a_view_takes_no_memory_and_keeps_its_source_alive() -> None:
    a, b, c = tensor("a", 10), tensor("b", 5, 2), tensor("c", 5, 2)
    found = alive_in_table(
        table(
            *(node("Hardmax", [X], [a]), node("Reshape", [a], [b]), node("Hardmax", [b], [c])),
            inputs=(X,),
        )
    )
    assert alive(found) == {"a": 80, "b": 80, "c": 120}


def test_a_result_is_written_over_an_operand_that_nobody_else_needs() -> None:
    a, b, c = tensor("a", 10), tensor("b", 10), tensor("c", 10)
    chain = node("Hardmax", [X], [a]), node("Sigmoid", [a], [b])
    assert alive(alive_in_table(table(*chain, inputs=(X,)))) == {"a": 80, "b": 80}
    both = (*chain, node("Concat", [a, b], [c]))
    assert alive(alive_in_table(table(*both, inputs=(X,))))["b"] == 120


def test_the_models_input_is_never_overwritten_and_neither_is_another_size() -> None:
    y = tensor("y", 10)
    assert alive(alive_in_table(table(node("Relu", [X], [y]), inputs=(X,)))) == {"y": 80}
    a, wide = tensor("a", 10), tensor("wide", 3, 10)
    row = tensor("row", 3, 1)
    grown = table(
        *(node("Hardmax", [X], [a]), node("Add", [a, row], [wide])), inputs=(X,), weights=(row,)
    )
    assert alive(alive_in_table(grown))["wide"] == 40 + 40 + 120


def test_an_unknown_size_makes_a_lower_limit_where_it_is_alive() -> None:
    a, b, c = tensor("a", "n"), tensor("b", 10), tensor("c", 10)
    found = alive_in_table(
        table(
            *(node("NonZero", [X], [a]), node("Gather", [X, a], [b]), node("Hardmax", [b], [c])),
            inputs=(X,),
        )
    )
    assert found.at_least == (True, True, False)
    assert found.peak_at_least
    assert predicted_memory(table(node("NonZero", [X], [a]), inputs=(X,))).at_least


def test_weights_are_no_activations_and_constant_layers_are_no_steps() -> None:
    w, v, y = tensor("w", 10), tensor("v", 10), tensor("y", 10)
    found = alive_in_table(
        table(node("Neg", [w], [v]), node("MatMul", [X, v], [y]), inputs=(X,), weights=(w,))
    )
    assert alive(found) == {"y": 80}
    assert found.weights_bytes == 40


def test_a_branch_needs_what_the_if_reads_until_its_last_layer() -> None:
    go, a, y = tensor("go", dtype="bool"), tensor("a", 10), tensor("y", 10)
    inner, other = tensor("t", 10), tensor("t", 10)
    found = alive_in_table(
        table(
            node("Hardmax", [X], [a]),
            node("If", [go], [y], name="if"),
            node("Hardmax", [a], [inner], name="then", parent="if", subgraph="then_branch"),
            node("Hardmax", [a], [other], name="else", parent="if", subgraph="else_branch"),
            inputs=(X, go),
        )
    )
    # x, go and a are needed throughout; either branch's t is a tensor of its own
    assert alive(found) == {"a": 81, "if": 81, "then": 121, "else": 201}


def test_a_run_counts_by_its_steps_and_by_shapes_seen() -> None:
    run = sample_run()
    conv, gemm = run.steps[0].name, run.steps[1].name
    image, out = 3 * 64 * 4, 4 * 64 * 4
    found = alive_in_run(run)
    assert alive(found)[conv] == image + out
    assert alive(found)[gemm] == image + 2 * out
    seen = replace(run.steps[1], outputs=(tensor("t2", 2),))
    changed = replace(run, steps=(run.steps[0], seen, *run.steps[2:]))
    assert known_alive(changed)[gemm] == image + out + 8


def test_a_step_without_layers_has_its_outputs_for_itself() -> None:
    run = sample_run()
    reorder = replace(run.steps[2], outputs=(tensor("copy", 100),))
    found = alive_in_run(replace(run, steps=(*run.steps[:2], reorder)))
    assert alive(found)["reorder_1"] - alive(found)[run.steps[1].name] == 400 - 4 * 64 * 4


def test_a_layer_without_a_step_makes_all_figures_lower_limits() -> None:
    run = sample_run()
    lost = replace(run, steps=(replace(run.steps[0], layers=()), *run.steps[1:]))
    assert all(alive_in_run(lost).at_least)
    assert known_alive(lost) == {}
    folded = replace(lost, folded=run.steps[0].layers)
    assert known_alive(folded) != {}


def test_a_run_without_steps_has_no_peak() -> None:
    assert alive_in_run(replace(sample_run(), steps=())).peak is None


def test_two_layers_that_one_step_computes_alike_have_one_buffer() -> None:
    a, b, y = tensor("a", 10), tensor("b", 10), tensor("y", 10)
    layers = table(
        *(node("Hardmax", [X], [a]), node("Hardmax", [X], [b]), node("Concat", [a, b], [y])),
        inputs=(X,),
    )
    steps = (
        Step("a", "Hardmax", "", ("a", "b"), Confidence.EXACT, shared=("b",)),
        Step("y", "Concat", "", ("y",), Confidence.EXACT),
    )
    found = alive_in_run(replace(sample_run(), table=layers, steps=steps))
    assert alive(found) == {"a": 80, "y": 120}


_SIZES = st.integers(1, 1000)


@given(st.lists(st.tuples(_SIZES, st.integers(0, 5)), min_size=1, max_size=30))
def test_liveness_is_the_sum_over_buffers_and_plans_hold_what_is_alive(
    made: list[tuple[int, int]],
) -> None:
    """Step i writes a tensor and reads those that end with it."""
    ends = [min(i + life, len(made) - 1) for i, (_, life) in enumerate(made)]
    steps = [
        Execution(
            f"s{i}",
            tuple(f"t{j}" for j in range(i) if ends[j] >= i),
            (Written(f"t{i}", size, size % 7),),
        )
        for i, (size, _) in enumerate(made)
    ]
    found = liveness(steps, {})
    for index, total in enumerate(found.alive_bytes):
        assert total == sum(b.size_bytes or 0 for b in found.moment(index).buffers)
    assert found.peak is not None
    buffers = followed(steps, {})
    inner = [(b.size or 0, b.first, b.last) for b in buffers]
    assert packed_bytes(inner) >= max(found.alive_bytes)
    arena = Arena()
    taken = [arena.take(size) for size, _ in made]
    assert arena.resident_bytes >= sum(size for size, _ in made)
    for chunk in taken:
        arena.give(chunk)


def test_the_arena_grows_by_doubled_regions_and_splits_by_the_rule() -> None:
    arena = Arena()
    small = arena.take(100)
    assert arena.resident_bytes == 100
    assert small.size == 256  # a first region of 1 MiB is split
    whole = arena.take(3 * MIB)
    assert whole.size == 4 * MIB  # neither half as large nor 128 MiB too large: not split
    arena.give(whole)
    again = arena.take(MIB)
    assert again.size == MIB
    assert arena.resident_bytes == 100 + 3 * MIB  # nothing new was touched


def test_free_neighbours_are_joined() -> None:
    arena = Arena()
    parts = [arena.take(MIB // 4) for _ in range(4)]
    for chunk in (parts[1], parts[0], parts[3], parts[2]):
        arena.give(chunk)
    assert arena.take(MIB).size == MIB
    assert arena.resident_bytes == MIB


def test_a_block_is_packed_into_gaps() -> None:
    assert packed_bytes([]) == 0
    assert packed_bytes([(64, 0, 1), (128, 1, 2), (64, 2, 3)]) == 192
    assert packed_bytes([(64, 0, 9), (128, 0, 1), (64, 0, 9), (128, 2, 3)]) == 256
    assert packed_bytes([(1, 0, 0)]) == 64


def test_the_last_freed_buffer_of_the_same_shape_is_taken_and_held_in_between() -> None:
    first, second = Held("a", 8, 0, 0, "s"), Held("b", 8, 3, 3, "s")
    (kept,) = reused([first, second])
    assert (kept.first, kept.last) == (0, 3)
    assert len(reused([first, Held("b", 8, 3, 3, "other")])) == 2
    assert len(reused([first, Held("b", 8, 3, 9, "s", is_output=True)])) == 2
    assert (first.last, second.last) == (0, 3)  # what was followed stays as it was


def convolution(batch: int) -> LayerTable:
    image, w = tensor("x", batch, 3, 64, 64), tensor("w", 12, 3, 3, 3)
    a, b, c = (tensor(name, batch, 12, 64, 64) for name in "abc")
    return table(
        *(node("Conv", [image, w], [a]), node("Relu", [a], [b]), node("Hardmax", [b], [c])),
        inputs=(image,),
        weights=(w,),
    )


def test_activations_grow_with_the_batch_and_weights_do_not() -> None:
    one, many = predicted_memory(convolution(1)), predicted_memory(convolution(16))
    assert one.weights_bytes == many.weights_bytes == 12 * 27 * 4
    assert many.inputs_bytes == 16 * one.inputs_bytes
    assert many.run_peak_bytes - one.run_peak_bytes > 14 * 12 * 64 * 64 * 4
    assert many.peak_bytes == max(many.load_peak_bytes, many.run_peak_bytes)


def test_blocks_of_channels_are_counted_whole() -> None:
    wide, narrow = predicted_memory(convolution(16), 16), predicted_memory(convolution(16), 4)
    assert wide.activations_bytes > narrow.activations_bytes
    assert channel_block(("avx2", "avx512f")) == 16
    assert channel_block(()) == 8


def test_a_weight_that_is_also_read_transposed_is_kept_twice() -> None:
    w, v = tensor("w", 100, 10), tensor("v", 10, 100)
    rows, y = tensor("rows", 3, 10), tensor("y", 3, 100)
    ids = tensor("ids", 3, dtype="int64")
    layers = (
        *(node("Gather", [w, ids], [rows]), node("Transpose", [w], [v])),
        node("MatMul", [rows, v], [y]),
    )
    assert predicted_memory(table(*layers, inputs=(ids,), weights=(w,))).weights_bytes == 8000


def test_a_deep_network_takes_work_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the layers of a chain: twice the chunks taken, and no buffer is copied for each."""
    counts = []
    take = Arena.take
    monkeypatch.setattr(Arena, "take", lambda self, size: counts.append(1) or take(self, size))
    for length in (500, 1000):
        counts.clear()
        tensors = [X, *(tensor(f"t{i}", 10 + i % 7) for i in range(length))]
        layers = [node("Hardmax", [a], [b]) for a, b in pairwise(tensors)]
        predicted_memory(table(*layers, inputs=(X,)))
        assert len(counts) <= length + 1


def test_long_chains_and_circles_of_damaged_tables_end() -> None:
    weights = [tensor(f"w{i}", 10) for i in range(5000)]
    y = tensor("y", 10)
    constants = [node("Neg", [a], [b]) for a, b in pairwise(weights)]
    found = alive_in_table(
        table(*constants, node("Add", [X, weights[-1]], [y]), inputs=(X,), weights=weights[:1])
    )
    assert alive(found) == {"y": 80}
    a, b = tensor("a", 10), tensor("b", 10)
    circle = (
        node("Neg", [b], [a], name="one", parent="two", subgraph="body"),
        node("Neg", [a], [b], name="two", parent="one", subgraph="body"),
    )
    damaged = replace(sample_run(), table=table(*circle, inputs=(X,)))
    assert alive_in_run(damaged).peak is not None
    assert predicted_memory(damaged.table).peak_bytes > 0


def test_a_layer_that_no_step_has_passes_its_sources_on() -> None:
    a, b, c, y = (tensor(name, 10) for name in "abcy")
    layers = table(
        *(node("Hardmax", [X], [a]), node("Neg", [a], [b]), node("Hardmax", [X], [c])),
        node("Concat", [b, c], [y]),
        inputs=(X,),
    )
    steps = tuple(Step(name, "", "", (name,), Confidence.EXACT) for name in "acy")
    found = alive_in_run(replace(sample_run(), table=layers, steps=steps))
    assert alive(found) == {"a": 80, "c": 120, "y": 160}
    assert all(found.at_least)
