"""A decoder of onnxruntime's attention for beam search, which reads its cache through a table."""

from __future__ import annotations

from onnx import ModelProto, TensorProto

from support.decoders.plain import TINY, Parts, Sizes
from support.networks.models import model, node, value

TOKENS = "max_sequence_length"
_KINDS = ("key", "value")
_WHOLE = TensorProto.INT32


def beam_decoder(
    sizes: Sizes = TINY, *, rows: str = "batch_size", beams: int | str = "num_beams"
) -> ModelProto:
    """`rows` is what the file calls the first axis of all inputs but the table of beams."""
    parts = Parts()
    table = parts.weight("embed.weight", sizes.vocabulary, sizes.hidden)
    x = parts.add("Gather", [table, "input_ids"], "embed")
    for number in range(sizes.layers):
        x = _layer(parts, sizes, x, number)
    parts.dense(x, "head", sizes.hidden, sizes.vocabulary)
    parts.nodes[-1].output[0] = "logits"
    inputs = [
        value("input_ids", [rows, 1], _WHOLE),
        value("past_sequence_length", [1], _WHOLE),
        value("beam_width", [1], _WHOLE),
        value("cache_indirection", ["batch_size", beams, TOKENS], _WHOLE),
    ]
    outputs = [value("logits", [rows, 1, sizes.vocabulary])]
    for number in range(sizes.layers):
        for kind in _KINDS:
            shape = [rows, sizes.heads, TOKENS, sizes.head]
            inputs.append(value(f"past_{kind}_self_{number}", shape))
            outputs.append(value(f"present_{kind}_self_{number}", shape))
    return model(parts.nodes, inputs, outputs, parts.weights, domains=["com.microsoft"])


def _layer(parts: Parts, sizes: Sizes, x: str, number: int) -> str:
    name = f"h{number}"
    heads = [
        parts.dense(x, f"{name}.{kind}", sizes.hidden, sizes.hidden)
        for kind in ("query", "key", "value")
    ]
    past = [f"past_{kind}_self_{number}" for kind in _KINDS]
    told = ["past_sequence_length", "beam_width", "cache_indirection"]
    outputs = [f"{name}.mixed", *(f"present_{kind}_self_{number}" for kind in _KINDS)]
    parts.nodes.append(
        node(
            "DecoderMaskedMultiHeadAttention",
            [*heads, "", "", *past, *told], outputs, f"{name}.attention",
            domain="com.microsoft", num_heads=sizes.heads, past_present_share_buffer=1,
        )
    )  # fmt: skip
    out = parts.dense(outputs[0], f"{name}.out", sizes.hidden, sizes.hidden)
    return parts.add("Add", [x, out], f"{name}.a")
