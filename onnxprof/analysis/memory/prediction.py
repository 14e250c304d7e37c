"""How much memory a model will take in onnxruntime on a CPU, from its layer table alone.

Everything is counted from sizes in the table; what the runtime adds whatever it runs was measured
once over many networks with onnxruntime 1.32 and is the same for all of them. The figures are for
one session: a profile that cuts the graph or traces it loads further ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from onnxprof.analysis.memory.alive import executions_of
from onnxprof.analysis.memory.fusion import groups
from onnxprof.analysis.memory.liveness import followed
from onnxprof.analysis.memory.plan import resident_bytes
from onnxprof.analysis.memory.sizes import tensor_bytes, total
from onnxprof.analysis.memory.tensors import Tensors
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.memory import PredictedMemory

#: Code and tables that become resident while a session is made and its graph optimised.
_SESSION_BYTES = 10_500_000
#: A node and its entries in the runtime's tables.
_NODE_BYTES = 4_000
#: Code and stacks that become resident with the first inference.
_FIRST_RUN_BYTES = 1_500_000
#: glibc gives larger blocks back to the system for certain (`DEFAULT_MMAP_THRESHOLD_MAX`).
_LARGEST_KEPT = 32 << 20


#: Channels in a block of images, with and without AVX-512 (`MlasNchwcGetBlockSize`).
_WIDE_BLOCK, _BLOCK = 16, 8


def channel_block(features: Collection[str]) -> int:
    """How many channels onnxruntime keeps side by side on a processor with these instructions."""
    return _WIDE_BLOCK if "avx512f" in features else _BLOCK


def predicted_memory(table: LayerTable, block: int = _WIDE_BLOCK) -> PredictedMemory:
    """The growth of resident memory from before loading until the model is warm.

    Loading takes a copy of the largest weight for a while, as each is taken out of the file's
    message and as it is packed. Or, if that is more, weights of convolutions: they are written anew
    in a blocked layout, by way of two copies of the one at work, and the old ones are dropped once
    all are done.

    `block` is that of `channel_block` for the processor.
    """
    tensors = Tensors(table)
    executions = executions_of(table, tensors, block)
    inputs = {name: tensor_bytes(tensor) for name, tensor in tensors.inputs.items()}
    buffers = followed(executions, inputs)
    _, arena = resident_bytes(buffers)
    live = {layer.name for group in groups(table, tensors) for layer in group}
    weights, weights_unknown = total(_kept(table, tensors, live))
    given, _ = total(inputs.values())
    largest = max((tensor_bytes(tensor) or 0 for tensor in tensors.stored), default=0)
    blocked = [tensor_bytes(layer.inputs[1]) or 0 for layer in _convolutions(table)]
    copies = sum(blocked) + 2 * max(blocked, default=0)
    unknown = weights_unknown or any(buffer.size is None for buffer in buffers)
    return PredictedMemory(
        runtime_bytes=_SESSION_BYTES + _NODE_BYTES * len(table.nodes),
        weights_bytes=weights,
        loading_bytes=max(largest, copies),
        retained_bytes=copies if max(blocked, default=0) < _LARGEST_KEPT else 0,
        inputs_bytes=given,
        activations_bytes=arena + _FIRST_RUN_BYTES,
        at_least=unknown,
    )


def _kept(table: LayerTable, tensors: Tensors, live: set[str]) -> Iterator[int | None]:
    """Bytes of constants that steps read: from the file, or computed from it while loading."""
    seen: set[str] = set()
    for layer in table.nodes:
        if layer.name not in live:
            continue
        for tensor, name in zip(layer.inputs, tensors.reads(layer), strict=True):
            writer = tensors.writer(name)
            stored = name not in tensors.inputs and (writer is None or writer.name not in live)
            if stored and name not in seen:
                seen.add(name)
                yield tensor_bytes(tensor)


def _convolutions(table: LayerTable) -> Iterable[Layer]:
    return (n for n in table.nodes if n.op_type == "Conv" and not n.domain and len(n.inputs) > 1)
