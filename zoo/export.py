"""Skeletons from their sources, for maintainers: `onnxprof zoo export`."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from onnxprof.contracts import StoreError
from onnxprof.zoo import lenet, light, rules, skeleton
from onnxprof.zoo.catalogue import INDEX, entries, entry, names, skeleton_path
from onnxprof.zoo.figures import count
from onnxprof.zoo.materialisation import digest_pieces


@dataclass(frozen=True, slots=True)
class Source:
    """How a network's graph is made."""

    build: Callable[[], ModelProto]
    gains: tuple[tuple[str, float], ...] = ()
    """Patterns of tensor names, and factors on their values; the rules are right for the rest."""

    def gain(self, tensor: str) -> float:
        """The factor on one tensor's values."""
        return next((gain for pattern, gain in self.gains if re.fullmatch(pattern, tensor)), 1.0)


def _light(stem: str, *gains: tuple[str, float]) -> Source:
    return Source(partial(light.load, stem), gains)


#: The gains hold residual sums to a few times their branches, and the spread of the logits
#: to about 1, so that no softmax output falls below 1e-6.
SOURCES: dict[str, Source] = {
    "lenet": Source(lenet.build),
    "alexnet": _light("bvlc_alexnet", ("fc8_w_0", 1 / 8)),
    "densenet121": _light("densenet121"),
    "inception-v1": _light("inception_v1", ("loss3/classifier_w_0", 1 / 8)),
    "inception-v2": _light("inception_v2", ("loss3/classifier_w_0", 1 / 4)),
    "resnet50": _light("resnet50", (r"res.*_branch2c_bn_s_0", 1 / 2), ("pred_w_0", 1 / 32)),
    "shufflenet": _light(
        "shufflenet",
        # Depthwise convolutions have no Relu after them: half of He's variance.
        (r"gconv1_\d*[13579]_w_0", math.sqrt(1 / 2)),
        (r"gconv1_\d*[13579]_bn_s_0", 1 / 2),
        ("pred_w_0", 1 / 16),
    ),
    "squeezenet": _light("squeezenet", ("conv10_w_0", 1 / 4)),
    "vgg19": _light("vgg19", ("fc8_w_0", 1 / 4)),
    "zfnet512": _light("zfnet512", ("fc8_w_0", 1 / 2)),
}


def build(name: str) -> ModelProto:
    """The skeleton of a network, made from its source. Raises ModelError where that is missing."""
    item, source = entry(name), SOURCES[name]
    model = source.build()
    model.producer_name = "onnxprof zoo"
    model.doc_string = (
        f"{item.title}: {item.paper}, {item.year}. {item.definition}, {item.licence}. "
        "Weights are random."
    )
    model.graph.name = name
    rules.assign(model, name, source.gain)
    return model


def export(name: str) -> str:
    """Write the skeleton of a network and its entry in the index; says what changed.

    Raises UsageError for an unknown name, ModelError where its source is missing or a weight
    has no rule, StoreError where the package's folder cannot be written.
    """
    path = skeleton_path(name)
    before = onnx.load(path) if path.exists() else None
    model = build(name)
    _replace(path, model.SerializeToString(deterministic=True))
    pieces = skeleton.read(path)
    facts = {
        **asdict(count(model)),
        "bytes": skeleton.size(pieces),
        "sha256": digest_pieces(pieces),
    }
    index = json.loads(INDEX.read_text("utf-8")) if INDEX.exists() else {}
    index[name] = facts
    ordered = {known: index[known] for known in names() if known in index}
    _replace(INDEX, (json.dumps(ordered, indent=2) + "\n").encode())
    entries.cache_clear()
    return _changes(before, model)


def _replace(path: Path, data: bytes) -> None:
    partial_path = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        partial_path.write_bytes(data)
        os.replace(partial_path, path)
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="Export from a source tree that you may change",
        ) from error


def _changes(before: ModelProto | None, after: ModelProto) -> str:
    if before is None:
        return "new"
    if before == after:
        return "unchanged"
    layers = _difference(before.graph.node, after.graph.node)
    tensors = _difference(before.graph.initializer, after.graph.initializer)
    return f"changed; layers: {layers}; weights and operands: {tensors}"


def _difference(before: Iterable[Any], after: Iterable[Any]) -> str:
    """Of nodes or tensors, by name."""
    old, new = ({item.name: item for item in items} for items in (before, after))
    changed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    return f"{len(new.keys() - old)} added, {len(old.keys() - new)} removed, {changed} changed"
