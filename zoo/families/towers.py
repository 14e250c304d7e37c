"""Encoders of a text or an image into a vector or an embedding, as search and editing use them."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_TEXT = ("batch", "sequence")
_CLIP = ("Radford et al., Learning Transferable Visual Models From Natural Language Supervision",)


def _ids(vocabulary: int) -> Input:
    return Input("input_ids", _TEXT, "int64", Fill("integers", 0, vocabulary))


ENTRIES = (
    Entry(
        "minilm-l6",
        "MiniLM-L6-H384, sentences",
        "sentence embedding: the mean of all tokens, of length 1",
        "Wang et al., MiniLM: Deep Self-Attention Distillation",
        2020,
        (
            _ids(30_522),
            Input("attention_mask", _TEXT, "int64", Fill("constant", 1)),
            Input("token_type_ids", _TEXT, "int64", Fill("constant", 0)),
        ),
        "transformers' definition (BertModel), without its pooler",
        Published(
            22_713_216,
            source="weights of sentence-transformers' all-MiniLM-L6-v2, as transformers counts "
            "them, pooler included",
        ),
        dims=(("sequence", 128),),
    ),
    Entry(
        "clip-vit-b32-image",
        "CLIP ViT-B/32, image",
        "image embedding, in one space with texts",
        *_CLIP,
        2021,
        (Input("pixel_values", ("batch", 3, 224, 224)),),
        "transformers' definition (CLIPVisionModelWithProjection)",
        Published(87_850_000, 4_410_000_000, "OpenCLIP's model profile (8.82 GFLOPs, two a MAC)"),
    ),
    Entry(
        "clip-vit-b32-text",
        "CLIP ViT-B/32, text",
        "text embedding, in one space with images",
        *_CLIP,
        2021,
        (_ids(49_408),),
        "transformers' definition (CLIPTextModelWithProjection)",
        Published(63_430_000, 2_980_000_000, "OpenCLIP's model profile (5.96 GFLOPs, two a MAC)"),
        dims=(("sequence", 77),),
    ),
    Entry(
        "mobile-sam-encoder",
        "MobileSAM, encoder",
        "image embedding of 64×64 for promptable segmentation",
        "Zhang et al., Faster Segment Anything: Towards Lightweight SAM for Mobile Applications",
        2023,
        (Input("image", ("batch", 3, 1024, 1024)),),
        "onnxprof, after the papers of MobileSAM and TinyViT",
        Published(
            5_784_000, source="MobileSAM's README: 9.66 M in all, of which 3.876 M decode masks"
        ),
    ),
)

SOURCES: dict[str, Source] = {
    # As BERT's: branches add a quarter, lest attention make all tokens of a text alike.
    "minilm-l6": torch_source(
        "towers:minilm_l6",
        (r".*\.output\.dense\.weight", 1 / 4),
        outputs=("sentence_embedding",),
    ),
    "clip-vit-b32-image": torch_source("towers:clip_image", outputs=("image_embeds",)),
    "clip-vit-b32-text": torch_source("towers:clip_text", outputs=("text_embeds",)),
    "mobile-sam-encoder": torch_source("tiny_vit:mobile_sam", outputs=("image_embeddings",)),
}
