"""Small networks with several free axes, of the forms that decoders and recognisers have."""

from __future__ import annotations

import onnx

from support.networks.models import ints, model, node, value, weight

_WIDTH = 8


def decoder(total: str = "total_sequence_length") -> onnx.ModelProto:
    """Attention over a cache: past and new tokens side by side under a mask of all of them."""
    made = [
        *(node("MatMul", ["x", f"w{part}"], [part], part) for part in "qkv"),
        node("Concat", ["past_key", "k"], ["keys"], "keys", axis=1),
        node("Concat", ["past_value", "v"], ["values"], "values", axis=1),
        node("Transpose", ["keys"], ["turned"], "turned", perm=[0, 2, 1]),
        node("MatMul", ["q", "turned"], ["scores"], "scores"),
        node("Unsqueeze", ["mask", "one"], ["wide"], "wide"),
        node("Add", ["scores", "wide"], ["masked"], "masked"),
        node("Softmax", ["masked"], ["weights"], "weights", axis=-1),
        node("MatMul", ["weights", "values"], ["y"], "y"),
    ]
    past = ["batch_size", "past_sequence_length", _WIDTH]
    inputs = [
        value("x", ["batch_size", "sequence_length", _WIDTH]),
        value("past_key", past),
        value("past_value", past),
        value("mask", ["batch_size", total]),
    ]
    outputs = [value("y", None), value("keys", None), value("values", None)]
    stored = [weight(f"w{part}", _WIDTH, _WIDTH) for part in "qkv"]
    return model(made, inputs, outputs, [*stored, ints("one", 1)])


def recogniser() -> onnx.ModelProto:
    """Lines of text: a convolution, then a Reshape that its weights allow for one height alone."""
    made = [
        node("Conv", ["x", "w"], ["c"], "conv", strides=[1, 4], kernel_shape=[1, 4]),
        node("Transpose", ["c"], ["t"], "turned", perm=[0, 3, 1, 2]),
        node("Reshape", ["t", "shape"], ["r"], "flat"),
        node("MatMul", ["r", "classes"], ["y"], "head"),
    ]
    return model(
        made,
        [value("x", ["N", 3, "height", "width"])],
        [value("y", None)],
        [weight("w", 2, 3, 1, 4), ints("shape", 0, 0, -1), weight("classes", 2 * 48, 5)],
    )


def stream() -> onnx.ModelProto:
    """Windows of sound with a recurrent state: the state's batch is its second axis."""
    made = [
        node("Unsqueeze", ["sound", "one"], ["s"], "wide"),
        node("Conv", ["s", "filters"], ["c"], "conv", strides=[64]),
        node("Transpose", ["c"], ["t"], "turned", perm=[2, 0, 1]),
        node("LSTM", ["t", "w", "r", "", "", "h", "c0"], ["y", "hn", "cn"], "lstm", hidden_size=4),
    ]
    inputs = [
        value("sound", [None, "samples"]),
        value("h", [1, None, 4]),
        value("c0", [1, None, 4]),
    ]
    stored = [weight("filters", 6, 1, 200), weight("w", 1, 16, 6), weight("r", 1, 16, 4)]
    outputs = [value("y", None), value("hn", None), value("cn", None)]
    return model(made, inputs, outputs, [*stored, ints("one", 1)])


def two_axes() -> onnx.ModelProto:
    """A free height and a free width, which take any sizes."""
    return model(
        [node("Relu", ["x"], ["y"], "relu")],
        [value("x", ["batch", "height", "width"])],
        [value("y", None)],
    )
