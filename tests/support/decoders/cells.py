"""Recurrent models of one step, with states as inputs and outputs."""

from __future__ import annotations

from onnx import ModelProto

from support.networks.models import ints, model, node, value, weight


def cell(hidden: int = 32, features: int = 16) -> ModelProto:
    """A step of an LSTM: h and c in, hn and cn out."""
    nodes = [
        node("Unsqueeze", ["x", "axis"], ["sequence"], "sequence"),
        node(
            "LSTM",
            ["sequence", "w", "r", "b", "", "h", "c"], ["all", "hn", "cn"],
            "lstm", hidden_size=hidden,
        ),
        node("Squeeze", ["all", "outer"], ["last"], "last"),
        node("MatMul", ["last", "out.weight"], ["y"], "out"),
    ]  # fmt: skip
    weights = [
        *(ints("axis", 0), ints("outer", 0, 1)),
        weight("w", 1, 4 * hidden, features),
        weight("r", 1, 4 * hidden, hidden, seed=1),
        weight("b", 1, 8 * hidden, seed=2),
        weight("out.weight", hidden, 4, seed=3),
    ]
    states = [value(name, [1, "batch", hidden]) for name in ("h", "c")]
    after = [value(name, [1, "batch", hidden]) for name in ("hn", "cn")]
    return model(
        nodes, [value("x", ["batch", features]), *states], [value("y", ["batch", 4]), *after],
        weights,
    )  # fmt: skip


def counter() -> ModelProto:
    """A state that one is added to in each step: it counts them."""
    nodes = [
        node("Add", ["state", "x"], ["stateN"], "add"),
        node("Mul", ["stateN", "scale"], ["y"], "scaled"),
    ]
    shape = [1, 8]
    return model(
        nodes,
        [value("x", shape), value("state", shape)],
        [value("y", shape), value("stateN", shape)],
        [weight("scale", 8)],
    )
