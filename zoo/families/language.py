"""Language and speech: encoders, and a decoder without a cache."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_TRANSFORMERS = "transformers' definition"
_TEXT = ("batch", "sequence")


def _ids(vocabulary: int) -> Input:
    return Input("input_ids", _TEXT, "int64", Fill("integers", 0, vocabulary))


_MASK = Input("attention_mask", _TEXT, "int64", Fill("constant", 1))
#: A question and a text: tokens of either segment.
_SEGMENTS = Input("token_type_ids", _TEXT, "int64", Fill("integers", 0, 2))


def _bert(size: str, published: Published) -> Entry:
    return Entry(
        f"bert-{size}",
        f"BERT-{size}, uncased (SQuAD)",
        "question answering, start and end of the answer",
        "Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers",
        2018,
        (_ids(30_522), _MASK, _SEGMENTS),
        f"{_TRANSFORMERS} (BertForQuestionAnswering, as in MLPerf Inference)",
        published,
        dims=(("sequence", 128),),
    )


ENTRIES = (
    _bert(
        "base",
        Published(
            109_482_240,
            11_193_700_000,
            "parameters: transformers' BertModel, with a pooler in place of this head; MACs: "
            "Open Model Zoo, bert-base-ner at 128 tokens (22.3874 GFLOPs, two a MAC)",
        ),
    ),
    _bert(
        "large",
        Published(
            333_960_000,
            source="Open Model Zoo, bert-large-uncased-whole-word-masking-squad-0001, whose "
            "246.93 GFLOPs are for 384 tokens",
        ),
    ),
    Entry(
        "gpt2",
        "GPT-2 small",
        "language modelling, logits of the next token at each position, no cache",
        "Radford et al., Language Models are Unsupervised Multitask Learners",
        2019,
        (_ids(50_257),),
        f"{_TRANSFORMERS} (GPT2LMHeadModel)",
        Published(124_439_808, source="OpenAI's released weights, as transformers counts them"),
        dims=(("sequence", 128),),
    ),
    Entry(
        "t5-small-encoder",
        "T5-small, encoder",
        "text encoding",
        "Raffel et al., Exploring the Limits of Transfer Learning",
        2019,
        (_ids(32_128), _MASK),
        f"{_TRANSFORMERS} (T5EncoderModel)",
        Published(
            35_330_816, source="the encoder of Google's released weights, as transformers counts it"
        ),
        dims=(("sequence", 128),),
    ),
    Entry(
        "whisper-tiny-encoder",
        "Whisper tiny, encoder",
        "speech encoding, 30 s of sound",
        "Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision",
        2022,
        (Input("input_features", ("batch", 80, 3000)),),
        f"{_TRANSFORMERS} (WhisperEncoder)",
        Published(
            8_208_384, source="the encoder of OpenAI's released weights, as transformers counts it"
        ),
    ),
)

#: Outputs get a bias of about 1, by the last bias where there is one: of millions of values
#: around 0 some would be as good as 0. GPT-2's logits have none; there the last states and
#: the table both lean to one side. T5 has none at all, so its table leans and its branches
#: add little; its scores are not divided by the root of the width, so the queries are.
#: BERT's branches add a quarter, lest attention make all tokens of a text alike.
SOURCES: dict[str, Source] = {
    **{
        f"bert-{size}": torch_source(
            f"bert:{size}",
            ("qa_outputs.weight", 1 / 16),
            (r".*\.output\.dense\.weight", 1 / 4),
            shifts=(("qa_outputs.bias", 1.0),),
            outputs=("start_logits", "end_logits"),
        )
        for size in ("base", "large")
    },
    "gpt2": torch_source(
        "gpt2:small",
        ("lm_head.weight|transformer.wte.weight", 0.02),
        ("transformer.wpe.weight", 0.02),
        shifts=(
            ("lm_head.weight|transformer.wte.weight", 0.02),
            ("transformer.ln_f.bias", 1.0),
        ),
        outputs=("logits",),
    ),
    "t5-small-encoder": torch_source(
        "t5:small_encoder",
        (r"(shared|encoder\.embed_tokens)\.weight", 1 / 8),
        (r".*SelfAttention\.q\.weight", 1 / 8),
        (r".*\.(o|wo)\.weight", 1 / 50),
        shifts=((r"(shared|encoder\.embed_tokens)\.weight", 1.0),),
        outputs=("last_hidden_state",),
    ),
    "whisper-tiny-encoder": torch_source(
        "whisper:tiny_encoder",
        ("layer_norm.weight", 1 / 8),
        shifts=(("layer_norm.bias", 1.0),),
        outputs=("last_hidden_state",),
    ),
}
