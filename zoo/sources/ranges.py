"""Ranges of activations for static quantisation, measured on seeded random inputs; when exporting.

They are kept in a file with the skeletons, rounded, so that a twin has the same bytes on every
machine: the last bits of an activation differ from one processor to the next.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.plugins import registry
from onnxprof.zoo.catalogue import RANGES, entry
from onnxprof.zoo.declaration import Entry, Fill, Input, Twin
from onnxprof.zoo.making.outputs import append_outputs
from onnxprof.zoo.materialisation import materialise
from onnxprof.zoo.whole import quantised_tensors

#: Seeds of the inputs, a batch of one each.
SEEDS = (1, 2, 3, 4)
#: Digits that are kept.
_DIGITS = 4

Ranges = dict[str, tuple[float, float]]


def measure(how: Twin) -> Ranges:
    """The least and the greatest value of each activation that is quantised."""
    names = quantised_tensors(how)
    item = entry(how.of)
    found: Ranges = {}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(shutil.copyfile(materialise(how.of), Path(scratch) / "model.onnx"))
        given = {each.name for each in item.inputs}
        append_outputs(path, [name for name in names if name not in given])
        session = registry.reference().file_session(path, lean=True)
        for seed in SEEDS:
            feeds = inputs(item, seed)
            inner = session.tensors(feeds, [name for name in names if name not in given])
            for name, values in (*((n, feeds[n]) for n in names if n in given), *inner):
                found[name] = _wider(found.get(name), values)
    return {name: (_rounded(low), _rounded(high)) for name, (low, high) in found.items()}


def write(how: Twin) -> None:
    """Keep the ranges of a network's activations."""
    RANGES.mkdir(parents=True, exist_ok=True)
    path = RANGES / f"{how.of}.json"
    partial_path = path.with_name(f"{path.name}.part")
    lines = (f"{json.dumps(name)}: {json.dumps(span)}" for name, span in measure(how).items())
    partial_path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    os.replace(partial_path, path)


def inputs(item: Entry, seed: int) -> Mapping[str, NDArray[Any]]:
    """Inputs at batch 1 and the default lengths, as the network's fills say."""
    rng = np.random.default_rng(seed)
    sizes = {"batch": 1, **dict(item.dims)}
    return {each.name: _filled(each, sizes, rng) for each in item.inputs}


def _filled(given: Input, sizes: Mapping[str, int], rng: np.random.Generator) -> NDArray[Any]:
    shape = [sizes[size] if isinstance(size, str) else size for size in given.shape]
    fill = given.fill or Fill("normal")
    match fill.kind:
        case "integers":
            values: NDArray[Any] = rng.integers(int(fill.low), int(fill.high), shape)
        case "constant":
            values = np.full(shape, fill.low)
        case "range":
            values = np.broadcast_to(np.arange(shape[-1]) + fill.low, shape)
        case "uniform":
            values = rng.uniform(fill.low, fill.high, shape)
        case _:
            values = rng.standard_normal(shape)
    return np.ascontiguousarray(values, given.dtype)


def _wider(known: tuple[float, float] | None, values: NDArray[Any]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (min(low, known[0]), max(high, known[1])) if known else (low, high)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else value
