"""MLPerf's networks for translation and recommendation."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_TRANSLATION = "translation, logits of a given target's tokens (teacher forcing)"
_LENGTHS = (("sequence", 32), ("target", 32))


def _texts(vocabulary: int) -> tuple[Input, ...]:
    """Token 0 is padding."""
    fill = Fill("integers", 1, vocabulary)
    return (
        Input("source", ("batch", "sequence"), "int64", fill),
        Input("target", ("batch", "target"), "int64", fill),
    )


def _transformer(size: str, published: Published) -> Entry:
    return Entry(
        f"transformer-{size}",
        f"Transformer {size}",
        _TRANSLATION,
        "Vaswani et al., Attention Is All You Need",
        2017,
        _texts(37_000),
        "onnxprof, after the paper's sections 3 and 5.1 and table 3",
        published,
        dims=_LENGTHS,
    )


def _ids(name: str, count: int) -> Input:
    return Input(name, ("batch",), "int64", Fill("integers", 0, count))


ENTRIES = (
    Entry(
        "gnmt",
        "GNMT v2",
        _TRANSLATION,
        "Wu et al., Google's Neural Machine Translation System",
        2016,
        _texts(36_548),
        "onnxprof, after MLPerf Training's reference, with a table each for source and target",
        Published(
            210_000_000,
            source="Reddi et al. 2020, MLPerf Inference Benchmark, table I",
            departure="parameters: tensorflow/nmt, of which that figure is, also feeds what the "
            "attention found into the first decoder layer at the next step (4.2 M weights); "
            "MLPerf Training's reference does not, so that its layers are whole LSTMs",
        ),
        dims=_LENGTHS,
    ),
    _transformer(
        "base",
        Published(
            65_000_000,
            source="the paper, table 3",
            departure="parameters: 37,000 shared tokens, as section 5.1 has them, and the layers "
            "of table 3 make 63.0 M; the table rounds a larger vocabulary's sum",
        ),
    ),
    _transformer("big", Published(213_000_000, source="the paper, table 3")),
    Entry(
        "ncf",
        "NCF (NeuMF, MovieLens-20M)",
        "recommendation, probability that a user likes a film",
        "He et al., Neural Collaborative Filtering",
        2017,
        (_ids("user", 138_493), _ids("item", 26_744)),
        "onnxprof, after the sizes of MLPerf Training's reference",
        Published(31_832_577, source="MLPerf Training's reference on MovieLens-20M"),
    ),
)

#: As in `families/language.py`: a bias of about 1 on the logits. The Transformer's have none,
#: so the last states and the table lean to one side. The paper multiplies the table by the
#: root of the width, so its values are as much smaller. Branches add a quarter, lest attention
#: make all tokens of a text alike.
SOURCES: dict[str, Source] = {
    "gnmt": torch_source(
        "gnmt:gnmt",
        ("decoder.logits.weight", 1 / 8),
        shifts=(("decoder.logits.bias", 1.0),),
        outputs=("logits",),
    ),
    **{
        f"transformer-{size}": torch_source(
            f"transformer:{size}",
            ("embedding.weight", width**-0.5),
            (r".*attention\.output\.weight", 1 / 4),
            (r".*feed_forward\.2\.weight", 1 / 4),
            shifts=(
                ("embedding.weight", width**-0.5),
                ("decoder.5.feed_forward_norm.bias", 1.0),
            ),
            outputs=("logits",),
        )
        for size, width in (("base", 512), ("big", 1024))
    },
    "ncf": torch_source("ncf:neumf", outputs=("probability",)),
}
