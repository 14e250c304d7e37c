"""Caches of few bits: kept by GroupQueryAttention with scales, or quantised by the graph."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from support.decoders.grouped import grouped_decoder
from support.decoders.plain import TINY, plain_decoder

SCALE = 0.05
_SCALES = 12
_CACHES = ("past_key_values", "present")


def scaled_caches(kind: int, bits: int = 8) -> ModelProto:
    """GroupQueryAttention whose cache is of this type, one scale for all of it."""
    made = grouped_decoder()
    made.graph.initializer.append(numpy_helper.from_array(np.array([SCALE], np.float32), "kv"))
    for item in made.graph.node:
        if item.op_type == "GroupQueryAttention":
            item.input.extend([""] * (_SCALES - len(item.input)) + ["kv", "kv"])
            for side in "kv":
                item.attribute.append(helper.make_attribute(f"{side}_quant_type", "PER_TENSOR"))
            item.attribute.append(helper.make_attribute("kv_cache_bit_width", bits))
    _retype(made, kind)
    for held in (*made.graph.input, *made.graph.output):
        if held.name.startswith(_CACHES):
            held.type.tensor_type.shape.dim[3].dim_value = TINY.head * bits // 8
    return made


def quantised_caches() -> ModelProto:
    """A Concat of int8: new tokens are quantised for the cache, the whole one is dequantised."""
    made = plain_decoder()
    made.graph.initializer.extend(
        numpy_helper.from_array(array, name)
        for name, array in (("kv", np.array(SCALE, np.float32)), ("zero", np.array(0, np.int8)))
    )
    nodes, read = [], {}
    for item in made.graph.node:
        item.input[:] = [read.get(name, name) for name in item.input]
        is_cache = item.op_type == "Concat" and item.output[0].startswith("present")
        if not is_cache:
            nodes.append(item)
            continue
        new, whole = item.input[1], item.output[0]
        item.input[1], read[whole] = f"{new}.int8", f"{whole}.float"
        operands = ["kv", "zero"]
        before = helper.make_node("QuantizeLinear", [new, *operands], [f"{new}.int8"])
        after = helper.make_node("DequantizeLinear", [whole, *operands], [f"{whole}.float"])
        nodes += [before, item, after]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    _retype(made, TensorProto.INT8)
    return made


def _retype(made: ModelProto, kind: int) -> None:
    for held in (*made.graph.input, *made.graph.output):
        if held.name.startswith(_CACHES):
            held.type.tensor_type.elem_type = kind
