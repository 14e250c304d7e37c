"""Networks that take longer than others by much more than any machine scatters."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from support.networks import models


def network(layers: int, told: str = "") -> bytes:
    """So many matrix products in a row; `told` changes the file and nothing that is computed."""
    width = 192
    data = np.eye(width, dtype=np.float32)
    names = ["x", *(f"h{i}" for i in range(1, layers)), "y"]
    nodes = [
        models.node("MatMul", [names[i], f"w{i}"], [names[i + 1]], name=f"product{i}")
        for i in range(layers)
    ]
    weights = [numpy_helper.from_array(data * (i + 1), f"w{i}") for i in range(layers)]
    given, made = (models.value(name, [64, width]) for name in ("x", "y"))
    model = models.model(nodes, [given], [made], weights)
    model.doc_string = told
    return model.SerializeToString()
