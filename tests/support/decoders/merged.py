"""A decoder with a branch for the prompt and one for later tokens, as merged exports have it."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, TensorProto, helper

from support.decoders.plain import plain_decoder
from support.networks.models import node, value


def merged_decoder() -> ModelProto:
    """`use_cache_branch` says whether a cache is read."""
    made = plain_decoder()
    for each in made.graph.node:
        if each.op_type == "Concat" and each.input[0].startswith("past_key_values"):
            each.CopyFrom(_branched(each))
    made.graph.input.append(value("use_cache_branch", [1], TensorProto.BOOL))
    return made


def _branched(concat: NodeProto) -> NodeProto:
    before, new = concat.input
    branches = {}
    for kind in ("then", "else"):
        out = f"{concat.name}.{kind}"
        inner = (
            node("Concat", [before, new], [out], f"{out}.concat", axis=2)
            if kind == "then"
            else node("Identity", [new], [out], f"{out}.new")
        )
        shape = value(out, [None, None, None, None])
        branches[f"{kind}_branch"] = helper.make_graph([inner], out, [], [shape])
    return node("If", ["use_cache_branch"], list(concat.output), concat.name, **branches)
