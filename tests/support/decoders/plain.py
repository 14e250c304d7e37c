"""A decoder of standard operators, with the names and axes of transformers' exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from support.networks.models import INT64, ints, model, node, value, weight

PAST, NEW = "past_sequence_length", "sequence_length"


@dataclass
class Parts:
    """Nodes and weights as they come."""

    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)

    def add(self, op: str, inputs: list[str], name: str, **given: Any) -> str:
        self.nodes.append(node(op, inputs, [f"{name}_out"], name, **given))
        return f"{name}_out"

    def weight(self, name: str, *dims: int) -> str:
        self.weights.append(weight(name, *dims, seed=len(self.weights)))
        return name

    def ints(self, name: str, *values: int) -> str:
        self.weights.append(ints(name, *values))
        return name

    def number(self, name: str, number: float) -> str:
        self.weights.append(numpy_helper.from_array(np.array(number, np.float32), name))
        return name

    def dense(self, data: str, name: str, rows: int, columns: int) -> str:
        return self.add("MatMul", [data, self.weight(f"{name}.weight", rows, columns)], name)


@dataclass(frozen=True)
class Sizes:
    layers: int = 2
    hidden: int = 64
    heads: int = 4
    vocabulary: int = 128
    positions: int = 256

    @property
    def head(self) -> int:
        return self.hidden // self.heads


TINY = Sizes()


def plain_decoder(
    sizes: Sizes = TINY, *, past: bool = True, returned: bool = True, batch_at: int = 0
) -> ModelProto:
    """`past` False is the file for the prompt; `returned` False keeps the caches inside.

    `batch_at` 1 lays the caches out with their heads first.
    """
    parts = Parts()
    add = parts.add
    ids, where = "input_ids", "position_ids"
    x = add("Gather", [parts.weight("wte.weight", sizes.vocabulary, sizes.hidden), ids], "embed")
    wpe = parts.weight("wpe.weight", sizes.positions, sizes.hidden)
    x = add("Add", [x, add("Gather", [wpe, where], "place")], "sum")
    hidden = add("Cast", ["attention_mask"], "mask_cast", to=TensorProto.FLOAT)
    hidden = add("Sub", [parts.number("one", 1.0), hidden], "mask_off")
    hidden = add("Mul", [hidden, parts.number("low", -1e4)], "mask_bias")
    hidden = add("Unsqueeze", [hidden, parts.ints("axes", 1, 2)], "mask")
    parts.ints("split", 0, 0, sizes.heads, sizes.head)
    parts.ints("join", 0, 0, sizes.hidden)
    parts.number("scale", sizes.head**-0.5)
    for number in range(sizes.layers):
        x = _layer(parts, sizes, x, hidden, number, past, batch_at)
    x = _norm(parts, sizes, x, "final")
    parts.dense(x, "head", sizes.hidden, sizes.vocabulary)
    parts.nodes[-1].output[0] = "logits"
    inputs = [*_given(past), *(_caches(sizes, "past_key_values", PAST, batch_at) if past else ())]
    total = f"{PAST} + {NEW}" if past else NEW
    outputs = [value("logits", ["batch_size", NEW, sizes.vocabulary])]
    outputs += _caches(sizes, "present", total, batch_at) if returned else ()
    return model(parts.nodes, inputs, outputs, parts.weights)


def _given(past: bool) -> list[ValueInfoProto]:
    total = f"{PAST} + {NEW}" if past else NEW
    return [
        value("input_ids", ["batch_size", NEW], INT64),
        value("attention_mask", ["batch_size", total], INT64),
        value("position_ids", ["batch_size", NEW], INT64),
    ]


def _caches(sizes: Sizes, name: str, tokens: str, batch_at: int) -> Iterator[ValueInfoProto]:
    front = ["batch_size", sizes.heads] if batch_at == 0 else [sizes.heads, "batch_size"]
    for number in range(sizes.layers):
        for kind in ("key", "value"):
            yield value(f"{name}.{number}.{kind}", [*front, tokens, sizes.head])


def _norm(parts: Parts, sizes: Sizes, data: str, name: str) -> str:
    scale, bias = (parts.weight(f"{name}.{part}", sizes.hidden) for part in ("scale", "bias"))
    return parts.add("LayerNormalization", [data, scale, bias], f"{name}.norm", axis=-1)


def _layer(
    parts: Parts, sizes: Sizes, x: str, hidden: str, number: int, past: bool, batch_at: int
) -> str:
    name, add = f"h{number}", parts.add
    data = _norm(parts, sizes, x, f"{name}.attention")
    heads = {}
    for kind in ("query", "key", "value"):
        flat = parts.dense(data, f"{name}.{kind}", sizes.hidden, sizes.hidden)
        apart = add("Reshape", [flat, "split"], f"{name}.{kind}.split")
        heads[kind] = add("Transpose", [apart], f"{name}.{kind}.heads", perm=[0, 2, 1, 3])
    for kind in ("key", "value"):
        heads[kind] = _kept(parts, heads[kind], number, kind, past, batch_at)
    turned = add("Transpose", [heads["key"]], f"{name}.turned", perm=[0, 1, 3, 2])
    scores = add("MatMul", [heads["query"], turned], f"{name}.scores")
    scores = add("Mul", [scores, "scale"], f"{name}.scaled")
    scores = add("Add", [scores, hidden], f"{name}.masked")
    scores = add("Softmax", [scores], f"{name}.softmax", axis=-1)
    mixed = add("MatMul", [scores, heads["value"]], f"{name}.mixed")
    mixed = add("Transpose", [mixed], f"{name}.back", perm=[0, 2, 1, 3])
    mixed = add("Reshape", [mixed, "join"], f"{name}.joined")
    x = add("Add", [x, parts.dense(mixed, f"{name}.out", sizes.hidden, sizes.hidden)], f"{name}.a")
    data = _norm(parts, sizes, x, f"{name}.mlp")
    up = parts.dense(data, f"{name}.up", sizes.hidden, 4 * sizes.hidden)
    up = add("Relu", [up], f"{name}.relu")
    down = parts.dense(up, f"{name}.down", 4 * sizes.hidden, sizes.hidden)
    return add("Add", [x, down], f"{name}.b")


def _kept(parts: Parts, new: str, number: int, kind: str, past: bool, batch_at: int) -> str:
    """The cache with the new tokens, the batch in front; the output as it is laid out."""
    name, after = f"h{number}.{kind}", f"present.{number}.{kind}"
    if not past:
        parts.nodes.append(node("Identity", [new], [after], f"{name}.present"))
        return new
    before = f"past_key_values.{number}.{kind}"
    if batch_at == 0:
        parts.nodes.append(node("Concat", [before, new], [after], f"{name}.concat", axis=2))
        return after
    front = parts.add("Transpose", [before], f"{name}.front", perm=[1, 0, 2, 3])
    whole = parts.add("Concat", [front, new], f"{name}.concat", axis=2)
    parts.nodes.append(node("Transpose", [whole], [after], f"{name}.present", perm=[1, 0, 2, 3]))
    return whole
