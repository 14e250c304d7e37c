"""Decoders whose keys and values of the tokens before are inputs, and outputs with the new ones.

Two layouts. transformers' exports, of standard operators alone, take the position of each token,
and a mask as long as past and new together. onnxruntime-genai's (`sources/genai.py`) take a mask
of `total_sequence_length`. By default each is one step: a token after 127.
"""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_genai import genai_source
from onnxprof.zoo.sources.from_torch import torch_source
from onnxprof.zoo.sources.moe import Experts, moe_source
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


_POSITIONS = Input("position_ids", ("batch", _NEW), "int64", Fill("range", 0))


def _speech(layer: int) -> tuple[Input, ...]:
    """Whisper's keys and values of the text, and of the 1500 frames of the sound."""
    lengths = (("decoder", _PAST), ("encoder", 1500))
    return tuple(
        Input(f"past_key_values.{layer}.{side}.{part}", ("batch", 6, length, 64))
        for side, length in lengths
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
    return Entry(
        name,
        title,
        "language modelling, logits of the next token, with a cache",
        *paper,
        (ids, _mask(f"{_PAST} + {_NEW}"), _POSITIONS, *past),
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


#: config.json of ibm-granite/granite-3.0-1b-a400m-base and of mistralai/Mixtral-8x7B-v0.1.
_EXPERTS = {
    "granite-moe-block": Experts(width=1024, inner=512, experts=32, chosen=8),
    "mixtral-moe-block-int4": Experts(width=4096, inner=14_336, experts=8, chosen=2),
}


def _experts(name: str, title: str, paper: tuple[str, int]) -> Entry:
    sizes = _EXPERTS[name]
    return Entry(
        name,
        title,
        f"a layer's mixture of experts, {sizes.chosen} of {sizes.experts} for each token",
        *paper,
        (Input("hidden_states", ("batch", "sequence", sizes.width)),),
        "onnxprof, in the layout of onnxruntime-genai's model builder",
        dims=(("sequence", 32),),
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
    Entry(
        "whisper-tiny-decoder",
        "Whisper tiny, decoder",
        "transcription, logits of the next token, with caches of text and sound",
        "Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision",
        2022,
        (
            _ids(51_865),
            _mask(f"{_PAST} + {_NEW}"),
            _POSITIONS,
            *(state for layer in range(4) for state in _speech(layer)),
        ),
        "transformers' definition (WhisperDecoder), for steps after the first: the keys and "
        "values of the sound are inputs",
        Published(
            29_552_256,
            source="the decoder of OpenAI's released weights, as transformers counts it",
            departure="parameters: what makes keys and values of the sound (1.2 M) runs once a "
            "sound, and not here",
        ),
        dims=_STEP,
    ),
    Entry(
        "mamba-130m",
        "Mamba-130M, a step",
        "language modelling, logits of the next token, with recurrent states",
        "Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
        2023,
        (
            Input("input_ids", ("batch", 1), "int64", Fill("integers", 0, 50_280)),
            *(
                Input(f"past_{kind}_states.{layer}", ("batch", 1536, width))
                for kind, width in (("conv", 4), ("ssm", 16))
                for layer in range(24)
            ),
        ),
        "the weights of transformers' definition (MambaForCausalLM), the step after the paper",
        Published(
            129_135_360,
            source="the authors' released weights, as transformers counts them",
        ),
    ),
    _experts(
        "granite-moe-block",
        "Granite-3.0-1B-A400M, experts of a layer",
        ("Granite Team, Granite 3.0 Language Models", 2024),
    ),
    _experts(
        "mixtral-moe-block-int4",
        "Mixtral-8x7B, experts of a layer, int4",
        ("Jiang et al., Mixtral of Experts", 2024),
    ),
)

#: Lengths to trace at; all differ, and none is 0 or 1.
_TRACED = ((_NEW, 3), (_PAST, 5))


#: The entries by name.
_BY_NAME = {entry.name: entry for entry in ENTRIES}


def _outputs(name: str) -> tuple[str, ...]:
    """The logits, and a present state for each past one; those of a sound stay as they are."""
    past = (item.name for item in _BY_NAME[name].inputs if item.name.startswith("past_"))
    states = (name.replace("past_", "present_", 1) for name in past if ".encoder." not in name)
    return ("logits", *(name.replace("present_key_values", "present") for name in states))


SOURCES: dict[str, Source] = {
    "gpt2-cache": torch_source(
        "cached:gpt2",
        ("lm_head.weight|transformer.wte.weight", 0.02),
        ("transformer.wpe.weight", 0.02),
        shifts=(
            ("lm_head.weight|transformer.wte.weight", 0.02),
            ("transformer.ln_f.bias", 1.0),
        ),
        outputs=_outputs("gpt2-cache"),
        traced=_TRACED,
    ),
    "qwen-0.5b": torch_source(
        "cached:qwen",
        ("lm_head.weight|model.embed_tokens.weight", (2 / QWEN.width) ** 0.5),
        outputs=_outputs("qwen-0.5b"),
        traced=_TRACED,
        apart=True,
    ),
    "qwen-0.5b-int4": genai_source(QWEN, bits=4),
    "llama-1b-float16": genai_source(LLAMA, dtype="float16"),
    "llama-1b-int4": genai_source(LLAMA, bits=4),
    "whisper-tiny-decoder": torch_source(
        "whisper_decoder:tiny",
        ("decoder.embed_tokens.weight", 0.02),
        ("decoder.embed_positions.weight", 0.02),
        shifts=(("decoder.embed_tokens.weight", 0.02), ("decoder.layer_norm.bias", 1.0)),
        outputs=_outputs("whisper-tiny-decoder"),
        traced=_TRACED,
    ),
    # Rates of decay and widths of steps near those that training begins with.
    "mamba-130m": torch_source(
        "mamba:mamba_130m",
        ("lm_head.weight|backbone.embeddings.weight", (2 / 768) ** 0.5),
        (r".*\.A_log", 0.5),
        (r".*\.dt_proj\.weight", 0.1),
        shifts=((r".*\.A_log", 1.5), (r".*\.dt_proj\.bias", -2.0)),
        outputs=_outputs("mamba-130m"),
    ),
    "granite-moe-block": moe_source(_EXPERTS["granite-moe-block"]),
    "mixtral-moe-block-int4": moe_source(
        _EXPERTS["mixtral-moe-block-int4"], quantised=True, apart=True
    ),
}
