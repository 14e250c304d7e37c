"""Decoders whose keys and values of the tokens before are inputs, and outputs with the new ones.

Two layouts. transformers' exports, of standard operators alone, take the position of each token,
and a mask as long as past and new together. onnxruntime-genai's (`sources/genai.py`) take a mask
of `total_sequence_length`. By default each is one step: a token after 127.
"""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_genai import genai_source
from onnxprof.zoo.sources.sizes import LLAMA, QWEN, Sizes

_NEW, _PAST, _TOTAL = "sequence_length", "past_sequence_length", "total_sequence_length"
#: The default: one token, after as many.
_STEP = ((_NEW, 1), (_PAST, 127))


def _ids(vocabulary: int) -> Input:
    return Input("input_ids", ("batch", _NEW), "int64", Fill("integers", 0, vocabulary))


def _mask(length: str) -> Input:
    return Input("attention_mask", ("batch", length), "int64", Fill("constant", 1))


def _past(layers: int, heads: int, head: int, dtype: str = "float32") -> tuple[Input, ...]:
    """Keys and values of each layer."""
    shape = ("batch", heads, _PAST, head)
    return tuple(
        Input(f"past_key_values.{layer}.{part}", shape, dtype)
        for layer in range(layers)
        for part in ("key", "value")
    )


def _genai(
    name: str, title: str, sizes: Sizes, paper: tuple[str, int], published: Published, dtype: str
) -> Entry:
    cache = _past(sizes.layers, sizes.groups, sizes.head, dtype)
    return Entry(
        name,
        title,
        "language modelling, logits of the next token, with a cache",
        *paper,
        (_ids(sizes.vocabulary), _mask(_TOTAL), *cache),
        "onnxprof, in the layout of onnxruntime-genai's model builder",
        published,
        dims=(*_STEP, (_TOTAL, 128)),
    )


_LLAMA = ("Zhang et al., TinyLlama: An Open-Source Small Language Model", 2024)
_LLAMA_SIZE = Published(
    1_100_048_384, source="config.json and weights of TinyLlama-1.1B, as transformers counts them"
)
_QWEN = ("Qwen Team, Qwen2.5 Technical Report", 2024)
_QWEN_SIZE = Published(
    494_032_768, source="config.json and weights of Qwen2.5-0.5B, as transformers counts them"
)

ENTRIES = (
    _genai("qwen-0.5b-int4", "Qwen2.5-0.5B, int4", QWEN, _QWEN, _QWEN_SIZE, "float32"),
    _genai("llama-1b-float16", "TinyLlama-1.1B, float16", LLAMA, _LLAMA, _LLAMA_SIZE, "float16"),
    _genai("llama-1b-int4", "TinyLlama-1.1B, int4", LLAMA, _LLAMA, _LLAMA_SIZE, "float32"),
)

SOURCES: dict[str, Source] = {
    "qwen-0.5b-int4": genai_source(QWEN, bits=4),
    "llama-1b-float16": genai_source(LLAMA, dtype="float16"),
    "llama-1b-int4": genai_source(LLAMA, bits=4),
}
