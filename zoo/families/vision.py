"""Vision networks after the ImageNet classics."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_CLASSES = "image classification, 1000 classes"
_DETECTION = "object detection, COCO"
_TORCHVISION = "torchvision's model documentation"
_MOBILENET_V4 = "Qin et al., MobileNetV4: Universal Models for the Mobile Ecosystem"
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
    Entry(
        "mobilenet-v3-large",
        "MobileNet v3 large 1.0",
        _CLASSES,
        "Howard et al., Searching for MobileNetV3",
        2019,
        _image(224),
        "onnxprof, after the paper's table 1",
        Published(5_483_032, 217_000_000, _TORCHVISION),
    ),
    Entry(
        "mobilenet-v4-small",
        "MobileNet v4 conv small",
        _CLASSES,
        _MOBILENET_V4,
        2024,
        _image(224),
        "onnxprof, after the paper's appendix",
        Published(
            3_770_000,
            200_000_000,
            "timm, mobilenetv4_conv_small",
            "MACs: the published figure has one digit, 0.2 G",
        ),
    ),
    Entry(
        "mobilenet-v4-medium",
        "MobileNet v4 conv medium",
        _CLASSES,
        _MOBILENET_V4,
        2024,
        _image(256),
        "onnxprof, after the paper's appendix",
        Published(
            9_720_000,
            1_100_000_000,
            "timm, mobilenetv4_conv_medium",
            "MACs: the published figure has two digits, 1.1 G",
        ),
    ),
    Entry(
        "yolov8n",
        "YOLOv8n",
        _DETECTION,
        "Jocher et al., Ultralytics YOLOv8",
        2023,
        _image(640),
        "onnxprof, after the published architecture; all 8,400 boxes, none suppressed",
        Published(
            3_157_200, 4_370_000_000, "Ultralytics' summary of the model (8.74 GFLOPs, two a MAC)"
        ),
    ),
    Entry(
        "segformer-b0",
        "SegFormer-B0",
        "semantic segmentation, 150 classes of ADE20K",
        "Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation",
        2021,
        _image(512),
        _TRANSFORMERS,
        Published(
            3_752_694,
            8_400_000_000,
            "the released weights, as transformers counts them; the paper's table 1 (MACs)",
        ),
    ),
    Entry(
        "sd15-down-block",
        "Stable Diffusion 1.5, down block",
        "image synthesis: one block of the U-Net, with a text",
        "Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models",
        2022,
        (
            Input("sample", ("batch", 320, 64, 64)),
            Input("time", ("batch", 1280)),
            Input("text", ("batch", 77, 768)),
        ),
        "onnxprof, after the published sizes of version 1.5's second block; 64×64 is its size for "
        "images of 1,024 pixels",
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
    "mobilenet-v3-large": torch_source(
        "mobilenet_v3:mobilenet_v3_large",
        (r".*\.project\.norm\.weight", 1 / 2),
        (r"classifier\.weight", 16.0),
        outputs=("logits",),
    ),
    "mobilenet-v4-small": torch_source(
        "mobilenet_v4:conv_small", (r".*\.project\.conv\.weight", 1 / 2), outputs=("logits",)
    ),
    "mobilenet-v4-medium": torch_source(
        "mobilenet_v4:conv_medium", (r".*\.project\.conv\.weight", 1 / 4), outputs=("logits",)
    ),
    "yolov8n": torch_source(
        "yolo_v8:nano",
        # SiLU leaves less of a small value than Relu does.
        (r"heads\..\.(classes|sides)\.last\.weight", 8.0),
        outputs=("boxes", "scores"),
    ),
    "segformer-b0": torch_source("segformer:b0", outputs=("logits",)),
    "sd15-down-block": torch_source("unet_block:down_block", outputs=("down", "first", "second")),
}
