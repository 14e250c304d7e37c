"""MLPerf's vision networks and MiniGo; its ResNet-50 and MobileNet v1 are the ImageNet ones."""

from __future__ import annotations

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source
from onnxprof.zoo.sources.from_torch import torch_source

_DETECTION = "object detection, COCO"
_SSD = "Liu et al., SSD: Single Shot MultiBox Detector"
_REFERENCE = "onnxprof, after MLPerf Inference's reference"
# Their GOPs are two a MAC: table I gives MobileNet v1, of 569 M MACs, 1.138.
_REDDI = "Reddi et al. 2020, MLPerf Inference Benchmark, table I"


def _image(size: int) -> tuple[Input, ...]:
    return (Input("image", ("batch", 3, size, size)),)


ENTRIES = (
    Entry(
        "ssd-mobilenet-v1-300",
        "SSD-MobileNet v1",
        _DETECTION,
        _SSD,
        2016,
        _image(300),
        f"{_REFERENCE}; all 1,917 boxes, none suppressed",
        Published(6_910_000, 1_235_000_000, f"{_REDDI} (2.47 GOPs, two a MAC)"),
    ),
    Entry(
        "ssd-resnet34-1200",
        "SSD-ResNet34",
        _DETECTION,
        _SSD,
        2016,
        _image(1200),
        f"{_REFERENCE}; all 15,130 boxes, none suppressed",
        Published(
            20_058_000,
            216_500_000_000,
            f"{_REDDI} (433 GOPs, two a MAC); parameters: Open Model Zoo",
        ),
    ),
    Entry(
        "mask-rcnn",
        "Mask R-CNN (ResNet-50-FPN)",
        "object detection and segmentation, COCO",
        "He et al., Mask R-CNN",
        2017,
        _image(800),
        "onnxprof, after the paper; 1,000 proposals and 100 detections an image, whether "
        "suppressed or not, each of its best class only, not clipped to the image, and pooled "
        "at every level before one is chosen",
        Published(
            44_401_393,
            134_380_000_000,
            "torchvision's model documentation",
            "MACs: the published figure leaves out the mask head, which 100 detections pass "
            "here (53.2 G)",
        ),
    ),
    Entry(
        "minigo",
        "MiniGo 9×9",
        "game of Go: next move and winner",
        "Silver et al., Mastering the Game of Go without Human Knowledge",
        2017,
        # Eight past positions of either player, and whose turn it is.
        (Input("planes", ("batch", 17, 9, 9), fill=Fill("integers", 0, 2)),),
        "onnxprof, after MLPerf Training's reference: 9 blocks, 32 filters",
    ),
)

#: The gains hold residual sums to a few times their branches, and the spread of the logits
#: to about 1.
SOURCES: dict[str, Source] = {
    "ssd-mobilenet-v1-300": torch_source(
        "ssd:ssd_mobilenet_v1",
        # Centres stay in the image, and so off zero.
        (r"heads\..\.location\.weight", 1 / 8),
        outputs=("boxes", "scores"),
    ),
    "ssd-resnet34-1200": torch_source(
        "ssd:ssd_resnet34",
        (r".*\.branch\.norm2\.weight", 1 / 2),
        (r"heads\..\.location\.weight", 1 / 128),
        (r"heads\..\.confidence\.weight", 1 / 16),
        outputs=("boxes", "scores"),
    ),
    "mask-rcnn": torch_source(
        "mask_rcnn:mask_rcnn",
        (r".*\.branch\.norm3\.weight", 1 / 2),
        (r"pyramid\.lateral\..\.weight", 1 / 16),
        # Boxes neither leave the image nor shrink to nothing.
        (r"proposer\.objectness\.weight", 1 / 2),
        (r"proposer\.box\.weight", 1 / 8),
        (r"(boxes\.classes|boxes\.box|mask\.masks)\.weight", 1 / 2),
        outputs=("boxes", "scores", "labels", "masks"),
    ),
    "minigo": torch_source(
        "minigo:minigo",
        (r".*\.block2\.norm\.weight", 1 / 2),
        (r"policy\.moves\.weight", 1 / 4),
        (r"value\.winner\.weight", 1 / 4),
        outputs=("policy", "value"),
    ),
}
