"""Vision networks after the ImageNet classics."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_CLASSES = "image classification, 1000 classes"
_DETECTION = "object detection, COCO"
_TORCHVISION = "torchvision's model documentation"
_TRANSFORMERS = "the definition of the transformers package"


def _image(size: int) -> tuple[Input, ...]:
    return (Input("image", ("batch", 3, size, size)),)


ENTRIES = (
    Entry(
        "efficientnet-b0",
        "EfficientNet-B0",
        _CLASSES,
        "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019,
        _image(224),
        "onnxprof, after the paper's table 1",
        Published(5_288_548, 386_000_000, _TORCHVISION),
    ),
    Entry(
        "convnext-tiny",
        "ConvNeXt-T",
        _CLASSES,
        "Liu et al., A ConvNet for the 2020s",
        2022,
        _image(224),
        _TRANSFORMERS,
        Published(28_589_128, 4_456_000_000, _TORCHVISION),
    ),
    Entry(
        "vit-b16",
        "ViT-B/16",
        _CLASSES,
        "Dosovitskiy et al., An Image Is Worth 16x16 Words",
        2020,
        _image(224),
        _TRANSFORMERS,
        Published(86_567_656, 17_564_000_000, _TORCHVISION),
    ),
    Entry(
        "yolo",
        "YOLOX-Tiny",
        _DETECTION,
        "Ge et al., YOLOX: Exceeding YOLO Series in 2021",
        2021,
        _image(416),
        "onnxprof, after the paper and the authors' widths; all 3,549 boxes, none suppressed",
        Published(5_060_000, 3_225_000_000, "the paper's table 5 (6.45 GFLOPs, two a MAC)"),
    ),
    Entry(
        "detr",
        "DETR (ResNet-50)",
        _DETECTION,
        "Carion et al., End-to-End Object Detection with Transformers",
        2020,
        _image(800),
        f"{_TRANSFORMERS}, without the mask of padded pixels",
        Published(
            41_000_000,
            86_000_000_000,
            "the paper's table 1",
            "parameters: the paper's are rounded, and batch norms, frozen there, count here; "
            "MACs: the paper's are the mean over COCO's images, resized to 800 pixels or more "
            "a side, and here the image is 800×800",
        ),
    ),
)

#: The gains hold residual sums to a few times their branches, and the spread of the logits
#: to about 1.
SOURCES: dict[str, Source] = {
    "efficientnet-b0": torch_source(
        "efficientnet:efficientnet_b0",
        # SiLU leaves less of a small value than Relu does, and a gate at its middle halves it.
        (r".*\.project\.norm\.weight", 1.4),
        (r"classifier\.weight", 24.0),
        outputs=("logits",),
    ),
    "convnext-tiny": torch_source("vision_transformers:convnext_tiny", outputs=("logits",)),
    "vit-b16": torch_source("vision_transformers:vit_b16", outputs=("logits",)),
    "yolo": torch_source(
        "yolox:yolox_tiny",
        # SiLU leaves less of a small value than Relu does.
        (r"heads\..\.(classes|objectness)\.weight", 8.0),
        outputs=("boxes", "scores"),
    ),
    "detr": torch_source(
        "vision_transformers:detr",
        (r"backbone\..*\.layer\.2\.normalization\.weight", 1 / 2),
        (r"projection\.weight", 1 / 16),
        outputs=("boxes", "scores"),
    ),
}
