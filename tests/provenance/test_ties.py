"""Control-flow layers around and inside of layers, as every runtime's ties need them."""

from __future__ import annotations

import pytest

from onnxprof.provenance.steps import climbed, parents_of, with_inner
from onnxprof.records.device import device_index
from onnxprof.records.layer import Layer, LayerKind, LayerTable


def node(name: str, parent: str = "") -> Layer:
    return Layer(name, LayerKind.NODE, "Op", "Op", "", 13, (), (), parent=parent)


#: A loop that holds an If, whose branch holds a layer.
TABLE = LayerTable((node("loop"), node("if", "loop"), node("neg", "if"), node("last")), 1)


@pytest.mark.parametrize(
    ("names", "graph", "found"),
    [
        (("neg", "last"), (), ("loop", "last")),
        (("neg", "if"), ("if",), ("if",)),
        (("neg",), ("neg",), ("neg",)),
        (("unknown",), (), ("unknown",)),
        ((), (), ()),
    ],
)
def test_a_layer_stands_for_the_one_around_it(
    names: tuple[str, ...], graph: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert climbed(names, parents_of(TABLE), graph) == found


def test_a_control_flow_layer_covers_what_is_inside_but_what_is_apart() -> None:
    assert with_inner(("last", "loop"), TABLE) == ("loop", "if", "neg", "last")
    assert with_inner(("loop",), TABLE, apart={"if"}) == ("loop",)
    assert with_inner(("last",), TABLE) == ("last",)


@pytest.mark.parametrize(
    ("device", "index"), [("cuda:1:nvidia-h200", 1), ("cuda", 0), ("", 0), ("cpu:amd-epyc", 0)]
)
def test_a_device_has_the_number_of_its_id(device: str, index: int) -> None:
    assert device_index(device) == index
