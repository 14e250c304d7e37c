"""Decoders whose keys and values of the tokens before are inputs, and outputs with the new ones.

Two layouts. transformers' exports, of standard operators alone, take the position of each token,
and a mask as long as past and new together. onnxruntime-genai's (`sources/genai.py`) take a mask
of `total_sequence_length`. By default each is one step: a token after 127.
"""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_genai import genai_source
from onnxprof.zoo.sources.from_torch import torch_source
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


def _exported(
    name: str,
    title: str,
    ids: Input,
    past: tuple[Input, ...],
    paper: tuple[str, int],
    definition: str,
    published: Published,
) -> Entry:
    positions = Input("position_ids", ("batch", _NEW), "int64", Fill("range", 0))
    return Entry(
        name,
        title,
        "language modelling, logits of the next token, with a cache",
        *paper,
        (ids, _mask(f"{_PAST} + {_NEW}"), positions, *past),
        f"transformers' definition ({definition})",
        published,
        dims=_STEP,
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
    _exported(
        "gpt2-cache",
        "GPT-2 small, with a cache",
        _ids(50_257),
        _past(12, 12, 64),
        ("Radford et al., Language Models are Unsupervised Multitask Learners", 2019),
        "GPT2LMHeadModel",
        Published(124_439_808, source="OpenAI's released weights, as transformers counts them"),
    ),
    _exported(
        "qwen-0.5b",
        "Qwen2.5-0.5B",
        _ids(QWEN.vocabulary),
        _past(QWEN.layers, QWEN.groups, QWEN.head),
        _QWEN,
        "Qwen2ForCausalLM",
        _QWEN_SIZE,
    ),
    _genai("qwen-0.5b-int4", "Qwen2.5-0.5B, int4", QWEN, _QWEN, _QWEN_SIZE, "float32"),
    _genai("llama-1b-float16", "TinyLlama-1.1B, float16", LLAMA, _LLAMA, _LLAMA_SIZE, "float16"),
    _genai("llama-1b-int4", "TinyLlama-1.1B, int4", LLAMA, _LLAMA, _LLAMA_SIZE, "float32"),
)

#: Lengths to trace at; all differ, and none is 0 or 1.
_TRACED = ((_NEW, 3), (_PAST, 5))


def _outputs(entry: Entry) -> tuple[str, ...]:
    """The logits, and a present state for each past one."""
    past = (item.name for item in entry.inputs if item.name.startswith("past_key_values."))
    return ("logits", *(name.replace("past_key_values", "present") for name in past))


SOURCES: dict[str, Source] = {
    "gpt2-cache": torch_source(
        "cached:gpt2",
        ("lm_head.weight|transformer.wte.weight", 0.02),
        ("transformer.wpe.weight", 0.02),
        shifts=(
            ("lm_head.weight|transformer.wte.weight", 0.02),
            ("transformer.ln_f.bias", 1.0),
        ),
        outputs=_outputs(ENTRIES[0]),
        traced=_TRACED,
    ),
    "qwen-0.5b": torch_source(
        "cached:qwen",
        ("lm_head.weight|model.embed_tokens.weight", (2 / QWEN.width) ** 0.5),
        outputs=_outputs(ENTRIES[1]),
        traced=_TRACED,
        apart=True,
    ),
    "qwen-0.5b-int4": genai_source(QWEN, bits=4),
    "llama-1b-float16": genai_source(LLAMA, dtype="float16"),
    "llama-1b-int4": genai_source(LLAMA, bits=4),
}
