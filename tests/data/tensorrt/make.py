"""Makes the engine-inspector files beside it, from engines that TensorRT for RTX builds.

    pip install tensorrt-rtx onnx && python tests/data/tensorrt/make.py

TensorRT for RTX builds an engine without a GPU, but loads none without one, and the engine
inspector wants a loaded engine. A built engine holds the listing of what it runs as text,
though: kernels in order, their tensors, and the ONNX layers behind each, with the control
characters between them. This puts that listing into the JSON that the inspector gives on a GPU
(TensorRT 11 documentation, "Engine Inspector"). So which kernels there are, what they are
called and what their metadata says is TensorRT's; the frame around it is ours. The times in
`*.profile.json` and `*.times.json` are made up: nothing ran.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

LAYERS = re.compile(r'layers="([^"]*)"', re.S)
NAMED = re.compile(r'"([^"]+)"')


def engine(source: bytes) -> bytes:
    """The serialised engine of a model at batch 2, with everything that can be told of it."""
    import tensorrt_rtx as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(source):
        raise SystemExit(str(parser.get_error(0)))
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        shape = tuple(2 if size < 0 else size for size in network.get_input(i).shape)
        profile.set_shape(network.get_input(i).name, shape, shape, shape)
    config.add_optimization_profile(profile)
    return bytes(builder.build_serialized_network(network, config))


def listing(plan: bytes) -> list[dict[str, Any]]:
    """Each kernel of the engine's main block as the inspector describes a layer."""
    body = plan[plan.index(b"\nmain {") : plan.index(b"\nshape_main {")].decode("latin-1")
    entries = re.findall(r"^  (\w+)=\{ (.*?)\}$", body, re.M | re.S)
    return [described(kind, text) for kind, text in entries]


def described(kind: str, text: str) -> dict[str, Any]:
    name = re.match(r'name="?([^" ]+)"?', text)
    outputs = re.search(r"output(?:_args)?=\{([^}]*)\}", text)
    inputs = re.search(r"input(?:_args)?=\{([^}]*)\}", text)
    layers = LAYERS.search(text)
    return {
        "Name": name[1] if name else "",
        "LayerType": "kgen" if kind == "function" else kind,
        "Inputs": [{"Name": n, "Location": "Device"} for n in found(inputs)],
        "Outputs": [{"Name": n, "Location": "Device"} for n in found(outputs)],
        "TacticName": name[1] if name else "",
        "StreamId": 0,
        "Metadata": layers[1] if layers else "",
    }


def found(match: re.Match[str] | None) -> list[str]:
    return NAMED.findall(match[1]) if match else []


def main() -> None:
    from support.networks.tensorrt_models import MODELS

    for name, build in MODELS.items():
        layers = listing(engine(build().SerializeToString()))
        count = 100
        profile: list[dict[str, Any]] = [{"count": count}]
        times = [round(0.004 + 0.003 * (i % 5), 6) for i in range(len(layers))]
        for layer, ms in zip(layers, times, strict=True):
            profile.append(
                {
                    "name": layer["Name"],
                    "timeMs": round(ms * count, 6),
                    "averageMs": ms,
                    "medianMs": ms,
                    "percentage": round(100 * ms / sum(times), 4),
                }
            )
        write(f"{name}.layers.json", {"Layers": layers, "I/O Tensors": []})
        write(f"{name}.profile.json", profile)
        whole = [round(sum(times) * 1.05 + 0.0005 * (i % 7), 6) for i in range(count)]
        rows = [{"computeMs": ms, "latencyMs": round(ms + 0.02, 6)} for ms in whole]
        write(f"{name}.times.json", rows)


def write(name: str, data: Any) -> None:
    (HERE / name).write_text(json.dumps(data, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
