"""A small clone of rai-project/dlperf of our own: a LeNet's tables, in the published form."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxprof.imports.dlperf.folder import find
from onnxprof.imports.dlperf.runs import Reading
from onnxprof.records.run import Run
from support.places import DATA

HEADER = ("LayerName", "LayerType", "BenchmarkName", "RealTime(ms)", "Theoretical Flops")
#: Rows of one device at batch 1; the first layer has two rows, the last one none.
ROWS = (
    (
        "Convolution28",
        "Conv",
        "CONV_FWD_017<CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_G...",
        31001,
        313600,
    ),
    ("Convolution28", "Conv", "ADD_TENSOR42", 4000, 313600),
    ("Plus30", "ElementWise", "OP_TENSOR_ADD_FWD69", 14194, 6272),
    ("ReLU32", "Relu", "ACTIVATION_FWD83<CUDNN_ACTIVATION_RELU>", 11695, 18816),
    ("Pooling66", "Pooling", "POOLING_FWD74<CUDNN_POOLING_MAX>", 14635, 6272),
    ("Convolution110", "Conv", "CONV_FWD_3<CUDNN_CONVOLUTION_FWD_ALGO_FFT>", 88289, 1254400),
    ("Plus112", "ElementWise", "OP_TENSOR_ADD_FWD1", 14267, 3136),
    ("ReLU114", "Relu", "ACTIVATION_FWD1<CUDNN_ACTIVATION_RELU>", 11035, 9408),
    ("Pooling160", "Pooling", "POOLING_FWD1<CUDNN_POOLING_MAX_DETERMINISTIC>", 15969, 2304),
    ("Times212", "Gemm", "GEMV_FWD17", 14256, 5130),
)
NEVER = ("Times212_reshape1", "Times212_reshape0", "Plus214")
TOTAL_NS = sum(row[3] for row in ROWS)


def layers() -> list[dict[str, Any]]:
    """The LeNet's layer table, which is the reference of `inspect --layout classic`."""
    text = (DATA / "lenet_layers.csv").read_text("utf-8")
    return [_entry(row) for row in csv.DictReader(io.StringIO(text))]


def _entry(row: dict[str, str]) -> dict[str, Any]:
    names = {key: row[f"{key[:-1]}_names"].split(";") for key in ("inputs", "outputs")}
    shapes = {key: json.loads(row[key]) for key in ("input_shapes", "output_shapes")}
    made: dict[str, Any] = {"name": row["layer_name"], "type": row["layer_type"]}
    if row["layer_type"] != "ConstantInput":
        made |= names
    return made | {"input_dimensions": shapes}


def ms(ns: int) -> str:
    return f"{ns // 10**6}.{ns % 10**6:06d}"


def sheet(
    rows: Sequence[tuple[str, str, str, int, int]] = ROWS, total_ns: int | None = None
) -> str:
    """A timing table; its last row is the sum unless `total_ns` says another."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows([*row[:3], ms(row[3]), row[4]] for row in rows)
    total = sum(row[3] for row in rows) if total_ns is None else total_ns
    writer.writerow(["", "", "Total", ms(total), sum(row[4] for row in rows)])
    return out.getvalue()


def grown(batch: int, stuck: Sequence[str] = ("Times212",)) -> list[tuple[str, str, str, int, int]]:
    """The rows at another batch size; those of `stuck` layers are still of batch 1."""
    return [(*row[:3], row[3] * 2, row[4] * (1 if row[0] in stuck else batch)) for row in ROWS]


def write(root: Path, model: str, device: str, batch: int, text: str) -> Path:
    path = root / "assets" / "serial_latency" / f"batchsize_{batch}" / device / f"{model}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def write_layers(root: Path, model: str, text: str) -> Path:
    path = root / "assets" / "layer_stats" / f"{model}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def clone(root: Path) -> Path:
    """One model on two devices at two batch sizes."""
    write_layers(root, "MNIST", json.dumps(layers()))
    for device in ("Tesla_K80", "TITAN_V"):
        write(root, "MNIST", device, 1, sheet())
        write(root, "MNIST", device, 8, sheet(grown(8)))
    return root


def published(root: Path) -> list[Run]:
    """The runs of the clone, written below this folder."""
    reading = Reading(find(clone(root)), "command", "2026-01-02T03:04:05Z")
    return [made.run for made in reading.runs()]
