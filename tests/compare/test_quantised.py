"""Layers of quantised networks matched with those of their float originals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from support.networks import models, quantised_models
from support.runs.quantised_runs import file, run_of

from onnxprof.compare.align import align
from onnxprof.compare.changes import CONVERSIONS, Pair, compare
from onnxprof.compare.quantised.counterpart import counterparts
from onnxprof.compare.quantised.gains import Reason
from onnxprof.compare.quantised.match import Evidence, Match, match
from onnxprof.compare.quantised.names import origins
from onnxprof.compare.quantised.operators import QUANTISERS, float_operator, is_quantised
from onnxprof.compare.quantised.walk import Walk
from onnxprof.compare.systems import refuse_unlike
from onnxprof.compare.verdict import Caveat, Verdict
from onnxprof.errors import UsageError
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

EVERY = [
    (network, form, prepared, per_channel)
    for network in quantised_models.NETWORKS
    for form in quantised_models.FORMS
    for prepared, per_channel in ((True, False), (True, True), (False, False))
]


def table(path: Path) -> LayerTable:
    return inspect(open_model(str(path)), 1)


def both(folder: Path, network: str, form: str, **how: bool) -> tuple[LayerTable, LayerTable]:
    return table(file(folder, network)), table(file(folder, network, form, **how))


def heads(found: Match) -> dict[str, set[str]]:
    """From each node of the quantised network to the float layers of its group."""
    return {n: set(g.float_layers) for g in found.groups for n in g.quantised_layers}


@pytest.mark.parametrize(("network", "form", "prepared", "per_channel"), EVERY)
def test_every_layer_has_the_counterpart_that_its_name_tells_of(
    tmp_path: Path, network: str, form: str, prepared: bool, per_channel: bool
) -> None:
    ours, theirs = both(tmp_path, network, form, prepared=prepared, per_channel=per_channel)
    found = match(ours, theirs)
    assert found.part == 1.0
    assert (found.only_float, found.only_quantised) == ((), ())
    assert all(group.evidence is Evidence.NAME for group in found.groups)
    names = {layer.name for layer in ours.nodes}
    told = 0
    for node, layers in heads(found).items():
        by_name = next((name for name in origins(node) if name in names), "")
        told += bool(by_name)
        assert not by_name or by_name in layers, (node, layers)
    assert told > len(found.groups) / 3  # the tool's preparation makes up names of Gemms


@pytest.mark.parametrize(("network", "form", "prepared", "per_channel"), EVERY)
def test_structure_alone_finds_the_same(
    tmp_path: Path, network: str, form: str, prepared: bool, per_channel: bool
) -> None:
    ours, theirs = both(tmp_path, network, form, prepared=prepared, per_channel=per_channel)
    made = quantised_models.quantised(network, form, prepared, per_channel)
    bare = quantised_models.nameless(onnx.load_from_string(made))
    renamed = table(models.save(bare, tmp_path, "nameless.onnx"))
    named, found = match(ours, theirs), match(ours, renamed)
    places = {layer.name: i for i, layer in enumerate(theirs.nodes)}
    others = {layer.name: i for i, layer in enumerate(renamed.nodes)}

    def numbered(its: Match, place: dict[str, int]) -> set[tuple[object, ...]]:
        return {
            (g.float_layers, tuple(place[name] for name in g.quantised_layers)) for g in its.groups
        }

    assert numbered(found, others) == numbered(named, places)
    assert all(group.evidence is Evidence.STRUCTURE for group in found.groups)


def test_a_kernel_takes_in_the_norm_and_the_activation(tmp_path: Path) -> None:
    found = match(*both(tmp_path, "convolutions", "qoperator"))
    groups = {group.quantised_layers: group for group in found.groups}
    first = groups["first_quant",]
    assert first.float_layers == ("first", "first/norm", "first/relu")
    assert (first.float_tensor, first.quantised_tensor) == ("first.relu", "first.norm_quantized")
    assert groups["residual_quant",].float_layers == ("residual", "residual/relu")


def test_rescaling_belongs_to_the_layer_and_quantising_stands_beside(tmp_path: Path) -> None:
    ours, theirs = both(tmp_path, "convolutions", "dynamic")
    found = match(ours, theirs)
    kinds = {layer.name: layer.op_type for layer in theirs.nodes}
    [first] = [g for g in found.groups if "first" in g.float_layers]
    done = [kinds[name] for name in first.quantised_layers]
    assert sorted(done) == ["Add", "Cast", "ConvInteger", "Mul", "Mul", "Reshape"]
    served = {found.beside[n.name] for n in theirs.nodes if n.op_type in QUANTISERS}
    assert "" not in served
    assert "first" in served


def test_layers_without_a_counterpart_are_named(tmp_path: Path) -> None:
    ours = quantised_models.NETWORKS["convolutions"]()
    ours.graph.node.append(models.node("Sin", ["logits"], ["more"], "extra"))
    ours.graph.output.append(models.value("more", [1, 10]))
    found = match(
        table(models.save(ours, tmp_path)), table(file(tmp_path, "convolutions", "qoperator"))
    )
    assert found.only_float == ("extra",)
    assert 0.9 < found.part < 1.0


def test_a_layer_between_two_known_tensors_goes_with_its_neighbour(tmp_path: Path) -> None:
    ours = quantised_models.NETWORKS["convolutions"]()
    ours.graph.node[-1].input[0] = "more"
    ours.graph.node.insert(
        len(ours.graph.node) - 1, models.node("Sin", ["logits"], ["more"], "extra")
    )
    theirs = table(file(tmp_path, "convolutions", "qoperator"))
    found = match(table(models.save(ours, tmp_path)), theirs)
    assert ("extra", "softmax") in [group.float_layers for group in found.groups]


def test_other_weights_are_no_counterpart(tmp_path: Path) -> None:
    ours = table(models.save(models.linear(1), tmp_path, "other.onnx"))
    theirs = table(file(tmp_path, "convolutions", "qdq"))
    assert match(ours, theirs).part < 0.5


@pytest.mark.parametrize(
    ("op_type", "stands_for", "told"),
    [
        ("QLinearConv", "Conv", True),
        ("QGemm", "MatMul", True),
        ("QLinearGlobalAveragePool", "GlobalAveragePool", True),
        ("DynamicQuantizeMatMul", "MatMul", True),
        ("MatMulIntegerToFloat", "MatMul", True),
        ("MatMulNBits", "MatMul", True),
        ("QAttention", "Attention", True),
        ("FusedConv", "Conv", False),
        ("Gemm", "MatMul", False),
        ("Relu", "Relu", False),
    ],
)
def test_operators_stand_for_float_ones(op_type: str, stands_for: str, told: bool) -> None:
    assert float_operator(op_type) == stands_for
    one = Layer("n", LayerKind.NODE, op_type, op_type)
    assert is_quantised(LayerTable((one,), 1)) is told


def test_names_are_led_back() -> None:
    assert "fc" in origins("fc_MatMul_quant")
    assert "w" in origins("ConvBnFusion_W_w_quantized")
    assert "x" in origins("x_DequantizeLinear_Output")
    assert list(origins("")) == []
    assert list(origins("_quant")) == ["_quant"]


def _long(layers: int, quantised: bool) -> LayerTable:
    """A chain of equal convolutions without names."""
    made = [Layer("x", LayerKind.INPUT, "Input", outputs=(Tensor("x", "float32"),))]
    x = "x"
    for i in range(layers):
        steps = ["QuantizeLinear", "DequantizeLinear", "Conv"] if quantised else ["Conv", "Relu"]
        made.append(Layer(f"w{i}", LayerKind.INITIALIZER, "", outputs=(Tensor(f"w{i}"),)))
        for kind in steps:
            y = f"{kind}{i}{quantised}"
            inputs = (Tensor(x), *((Tensor(f"w{i}"),) if kind == "Conv" else ()))
            made.append(Layer(y, LayerKind.NODE, kind, kind, inputs=inputs, outputs=(Tensor(y),)))
            x = y
    return LayerTable(tuple(made), 1)


def test_long_networks_take_work_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    real, looked = Walk._fits, [0]

    def counted(walk: Walk, node: Layer, layer: Layer) -> bool:
        looked[0] += 1
        return real(walk, node, layer)

    monkeypatch.setattr(Walk, "_fits", counted)
    work = []
    for layers in (100, 1000):
        looked[0] = 0
        assert match(_long(layers, False), _long(layers, True)).part == 1.0
        work.append(looked[0])
    assert work[1] <= 11 * work[0]


def test_circles_and_missing_tensors_do_no_harm() -> None:
    def node(name: str, kind: str, reads: Sequence[str], gives: Sequence[str]) -> Layer:
        ins, outs = (tuple(map(Tensor, names)) for names in (reads, gives))
        return Layer(name, LayerKind.NODE, kind, kind, inputs=ins, outputs=outs)

    odd = LayerTable(
        (
            node("a", "Conv", ["b"], ["a"]),
            node("b", "Relu", ["a"], ["b"]),
            node("c", "QuantizeLinear", [], ["c"]),
            node("d", "QLinearConv", ["c"], []),
            node("e", "DequantizeLinear", ["e"], ["e"]),
        ),
        1,
    )
    plain = LayerTable((node("a", "Conv", ["b"], ["a"]), node("b", "Relu", ["a"], ["b"])), 1)
    match(plain, odd)
    match(odd, plain)


# Runs: what onnxruntime executes of these files, with times that are made up


@pytest.fixture
def sides(tmp_path: Path, form: str) -> tuple[Run, Run]:
    original = run_of(file(tmp_path, "convolutions"), "float")
    return original, run_of(file(tmp_path, "convolutions", form, prepared=form != "qdq"), form)


def pair_of(a: Run, b: Run) -> Pair:
    return compare([([a], [b])], 0.02).pairs[0]


@pytest.mark.parametrize("form", quantised_models.FORMS)
def test_rows_of_a_quantised_network_add_up_and_stand_beside_the_float_ones(
    sides: tuple[Run, Run],
) -> None:
    pair = pair_of(*sides)
    assert pair.quantised is not None
    assert pair.quantised.part_of_time == 1.0
    assert (pair.quantised.float_side, pair.quantised.matched) == (0, pair.quantised.layers)
    steps = [step for step in sides[0].steps if step.layers]
    assert len(pair.quantised.rows) == len(steps)  # no two of them are lumped
    for run, ns in zip(sides, ("a_ns", "b_ns"), strict=True):
        rows = sum(getattr(row, ns) or 0.0 for row in pair.rows)
        overhead = pair.overhead_ns["ab".index(ns[0])]
        assert rows + overhead == pytest.approx(getattr(pair.latency, ns))
        assert run.timings is not None
    [converting] = [row for row in pair.rows if row.name == CONVERSIONS]
    assert converting.verdict is Verdict.ONLY_B
    assert converting.b_ns == pytest.approx(pair.quantised.conversions_ns)
    assert converting.only_b == converting.layers
    beside = sum(row.conversions_ns for row in pair.quantised.rows)
    assert beside == pytest.approx(pair.quantised.conversions_ns)


@pytest.mark.parametrize("form", ["qoperator"])
def test_gains_have_their_sign_whichever_side_is_the_float_one(sides: tuple[Run, Run]) -> None:
    forth, back = pair_of(*sides).quantised, pair_of(*sides[::-1]).quantised
    assert forth is not None
    assert back is not None
    assert back.float_side == 1
    assert [r.gained_ns for r in forth.rows] == [r.gained_ns for r in back.rows]
    for row in forth.rows:
        assert row.float_ns is not None
        assert row.quantised_ns is not None
        assert row.gained_ns == row.float_ns - row.quantised_ns - row.conversions_ns


@pytest.mark.parametrize("form", ["qdq"])
def test_what_blocks_fusion_is_named(sides: tuple[Run, Run]) -> None:
    """Without the tool's preparation a BatchNorm stands between each convolution's Q and DQ."""
    found = pair_of(*sides).quantised
    assert found is not None
    blocked = {item.layer: item for item in found.blocked}
    assert {"first/norm", "second/norm", "third/norm"} <= set(blocked)
    norm = blocked["first/norm"]
    assert (norm.operator, norm.reason) == ("BatchNormalization", Reason.NOT_FUSED)
    assert norm.ns > 0
    assert norm.conversions
    assert norm.conversions_ns > 0
    assert "first" not in blocked  # it became one integer kernel


@pytest.mark.parametrize("form", ["qoperator"])
def test_nothing_blocks_integer_kernels(sides: tuple[Run, Run]) -> None:
    found = pair_of(*sides).quantised
    assert found is not None
    assert found.blocked == ()


@pytest.mark.parametrize("form", quantised_models.FORMS)
def test_columns_of_an_alignment_add_up(sides: tuple[Run, Run]) -> None:
    refuse_unlike(sides)
    found = align(sides)
    assert found.conversions is not None
    for i, column in enumerate(found.columns):
        sums = (found.no_layer, found.conversions, found.interruptions, found.overhead)
        parts = [row.cells[i].ns or 0 for row in (*found.rows, *sums)]
        assert sum(parts) == column.total_ns
    assert (found.columns[0].quantised, found.columns[1].quantised) == (False, True)
    kinds = [remark.kind for remark in found.remarks]
    assert Caveat.QUANTISED in kinds
    assert Caveat.MODELS_DIFFER not in kinds
    assert all(row.cells[0].ns is not None for row in found.rows)


@pytest.mark.parametrize("form", ["qdq"])
def test_two_quantised_forms_need_the_float_network(sides: tuple[Run, Run], tmp_path: Path) -> None:
    other = run_of(file(tmp_path, "convolutions", "qoperator"), "other")
    refuse_unlike([sides[1], other, sides[0]])
    align([sides[1], other, sides[0]])
    with pytest.raises(UsageError, match="not the same model"):
        refuse_unlike([sides[1], other])
    assert pair_of(sides[1], other).quantised is None


def test_runs_without_a_quantised_one_are_left_alone() -> None:
    runs = [sample_run(), sample_run(scale=2.0)]
    assert [its.run for its in counterparts(runs)] == runs
    pair = pair_of(*runs)
    assert pair.quantised is None
    assert align(runs).conversions is None


def test_networks_with_little_in_common_stay_apart(tmp_path: Path) -> None:
    other = run_of(models.save(models.linear(1), tmp_path, "other.onnx"), "other")
    theirs = run_of(file(tmp_path, "convolutions", "qdq"), "qdq")
    assert pair_of(other, theirs).quantised is None
    with pytest.raises(UsageError, match="not the same model"):
        refuse_unlike([other, theirs])
