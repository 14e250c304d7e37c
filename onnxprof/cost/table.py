"""Which formula an operator has, and why some have none."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.work import Formula
from onnxprof.cost.operators import (
    attention,
    conv,
    elementwise,
    image,
    matmul,
    move,
    normalise,
    quantise,
    recurrent,
    reduce,
    search,
    signal,
    traditional,
)

_FAMILIES = (
    attention,
    conv,
    elementwise,
    image,
    matmul,
    move,
    normalise,
    quantise,
    recurrent,
    reduce,
    search,
    signal,
)
_STANDARD = {name: f for family in _FAMILIES for name, f in family.OPERATORS.items()}
_CONTRIB = {name: f for family in _FAMILIES for name, f in family.CONTRIB.items()}
#: onnxruntime's optimiser puts these into the default domain.
_MOVED = {name: _CONTRIB[name] for name in ("FusedConv", "FusedGemm", "QuickGelu")}
#: Formulas by domain and operator.
OPERATORS: Mapping[str, Mapping[str, Formula]] = {
    "": {**_MOVED, **_STANDARD},
    "ai.onnx.ml": traditional.OPERATORS,
    "ai.onnx.preview": {"FlexAttention": attention.OPERATORS["FlexAttention"]},
    "com.microsoft": {**_CONTRIB, "SimplifiedLayerNormalization": _STANDARD["RMSNormalization"]},
    "com.ms.internal.nhwc": {**_STANDARD, **_CONTRIB},
    "com.microsoft.nchwc": {**_STANDARD, **_CONTRIB},
}
#: Operators that hold bodies: their layers are rows of their own.
CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})

_DRAWS = "the arithmetic of its random generator is not defined"
_STRINGS = "it works on strings, whose lengths are data"
_TRAINING = "it is a step of training"
_SEARCH = "it runs graphs of its own as often as data decide"
_OPAQUE = "what it runs is compiled in another form"
_MAPS = "it works on maps, whose lengths are data"
_DATA = "its work depends on data, and no bound is modelled"
_NEW = "its definition is not modelled yet"
#: Reasons for operators that are known and have no formula.
NOT_MODELLED: Mapping[str, str] = {
    **dict.fromkeys(
        ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), _DRAWS
    ),
    **dict.fromkeys(("Bernoulli", "Multinomial", "Sampling"), _DRAWS),
    **dict.fromkeys(
        ("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "Tokenizer"), _STRINGS
    ),
    **dict.fromkeys(("TfIdfVectorizer", "ImageDecoder"), _DATA),
    **dict.fromkeys(("CastMap", "DictVectorizer", "ZipMap"), _MAPS),
    **dict.fromkeys(("Adagrad", "Adam", "Gradient", "Momentum"), _TRAINING),
    **dict.fromkeys(("BeamSearch", "GreedySearch", "WhisperBeamSearch"), _SEARCH),
    **dict.fromkeys(("EPContext", "Snpe"), _OPAQUE),
    **dict.fromkeys(
        (
            *("AttnLSTM", "DecoderAttention", "LongformerAttention", "QOrderedAttention"),
            *("QOrderedLongformerAttention", "GatedRelativePositionBias", "MatMulFpQ4"),
            *("DequantizeBFP", "QuantizeBFP", "SparseToDenseMatMul", "SampleOp"),
            *("BranchwiseRMSNorm", "ConvStateReplay", "EngramGate", "GatedDeltaNet"),
            *("GatedDeltaNetStateReplay", "GatherPacked", "HyperConnectionLowRankMix"),
            *("HyperConnectionPostMix", "HyperConnectionPreMix", "LinearAttentionGate"),
            *("Mamba2Verify", "MatMulNBitsQLoRA", "MatMulPacked", "MoEGroupRouter", "MoEPacked"),
            *("NGramHashMapping", "RouterGateUpProj", "SpeculativePrefixCommit"),
            *("VarlenNGramHashMapping",),
        ),
        _NEW,
    ),
    **dict.fromkeys(
        (
            *("SparseAttention", "DynamicSparseAttention", "PagedAttention"),
            *("SparsePagedAttention", "SparseAttentionIndexer", "PackedSparseAttentionIndexer"),
            *("PackedSparseAttentionIndexerMerge", "BifurcationDetector", "NGramRepeatBlock"),
        ),
        _DATA,
    ),
}


def formula_of(op_type: str, domain: str) -> Formula | None:
    """The operator's formula; None where it has none."""
    return OPERATORS.get(domain, {}).get(op_type)


def why_not(op_type: str, domain: str) -> str:
    """Why an operator without formula is not modelled, in words."""
    reason = NOT_MODELLED.get(op_type, "it is not known here")
    return f"{domain + '.' if domain else ''}{op_type} is not modelled: {reason}"
