"""A decoder's graph in the layout of onnxruntime-genai's model builder, for maintainers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from onnxprof.zoo.declaration import Entry, Source
from onnxprof.zoo.sources.sizes import Sizes

if TYPE_CHECKING:
    from onnx import ModelProto


def genai_source(
    sizes: Sizes,
    *gains: tuple[str, float],
    dtype: str = "float32",
    bits: int = 16,
) -> Source:
    """A decoder of these sizes; `bits` are 4, or 16 for weights of the activations' dtype."""
    return Source(partial(_build, sizes, dtype, bits), gains, apart=True)


def _build(sizes: Sizes, dtype: str, bits: int, entry: Entry) -> ModelProto:
    from onnxprof.zoo.sources.genai import decoder

    return decoder(sizes, entry, dtype, quantised=bits == 4)
