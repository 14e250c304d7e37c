"""Loading the user's torch module, running it on inputs, and saving its graph."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxprof.errors import ExportError
from onnxprof.exporters.common.feeds import Arrays, arrays, trials
from onnxprof.plugins.exporter import ExportRequest, Sample

if TYPE_CHECKING:
    import onnx_ir as ir

#: Weights above this go into a file beside the model; a protobuf message ends at 2 GiB.
_LARGEST = 1_900_000_000


def load(target: str) -> Any:
    """The module behind `package.module:factory`. Raises ExportError."""
    import torch

    path, _, name = target.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    torch.manual_seed(0)
    module = _attribute(_imported(path, target), name, target)
    if not isinstance(module, torch.nn.Module) and callable(module):
        module = _called(module, target)
    if not isinstance(module, torch.nn.Module):
        raise ExportError(
            f"gives a {type(module).__name__}, no torch.nn.Module",
            where=target,
            remedy="Name a module, or a function that returns one",
        )
    return module.cpu().eval()


def _imported(path: str, target: str) -> Any:
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        missing = error.name or path
        if not (path == missing or path.startswith(f"{missing}.")):
            raise _failed(error, target) from error
        remedy = "Run it where `python -m` would find the module"
        raise ExportError(f"no Python module {missing}", where=target, remedy=remedy) from error
    except Exception as error:
        raise _failed(error, target) from error


def _failed(error: Exception, target: str) -> ExportError:
    return ExportError(f"failed: {_line(error)}", where=target, remedy="--debug shows where")


def _line(error: BaseException) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}"


def _attribute(module: Any, name: str, target: str) -> Any:
    value = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise ExportError(f"has no {part!r}", where=target, remedy=_offer(module))
        value = getattr(value, part)
    return value


def _offer(module: Any) -> str:
    """The remedy: names of functions and classes that the module defines."""
    own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
    defined = [n for n in own if getattr(vars(module)[n], "__module__", "") == module.__name__]
    return f"It defines {', '.join(defined[:8])}" if defined else "See what the file defines"


def _called(factory: Any, target: str) -> Any:
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        remedy = "Write a function without parameters that calls it"
        raise ExportError(f"needs arguments ({error})", where=target, remedy=remedy) from error
    except ValueError:
        pass  # a callable without a signature: try it
    try:
        return factory()
    except Exception as error:
        raise _failed(error, target) from error


def check_inputs(module: Any, request: ExportRequest) -> None:
    """Raise ExportError where the inputs given are not those that `forward` takes."""
    parameters = inspect.signature(module.forward).parameters.values()
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = [p.name for p in named if p.default is p.empty]
    known = {p.name for p in named}
    free = any(p.kind is p.VAR_KEYWORD for p in parameters)
    given = [item.name for item in request.inputs]
    missing = [name for name in needed if name not in given]
    unknown = [name for name in given if name not in known and not free]
    if not missing and not unknown and given:
        return
    optional = [p.name for p in named if p.default is not p.empty]
    may = f" (it may take {', '.join(optional)})" if optional else ""
    parts = [f"--input {name}:float32[batch,…]" for name in needed or optional[:1]]
    what = f"no --input for {', '.join(missing)}" if missing else "no --input is given"
    what = f"forward takes no {', '.join(unknown)}" if unknown else what
    raise ExportError(
        f"{what}: forward takes {', '.join(needed) or 'optional arguments only'}{may}",
        where=request.target,
        remedy=f"Pass {' '.join(parts)}, with its dtype and shape",
    )


def examples(request: ExportRequest, batch: int) -> dict[str, Any]:
    """Seeded tensors of the declared inputs."""
    import torch

    return {name: torch.from_numpy(array) for name, array in arrays(request, batch).items()}


def run(module: Any, inputs: Mapping[str, Any], target: str) -> Any:
    """The result of `forward` on these inputs. Raises ExportError where it fails."""
    import torch

    try:
        with torch.no_grad():
            return module(**inputs)
    except Exception as error:
        shapes = ", ".join(f"{n} {list(t.shape)}" for n, t in inputs.items())
        raise ExportError(
            f"forward failed on {shapes}: {_line(error)}",
            where=target,
            remedy="Check dtypes and shapes of --input",
        ) from error


def samples(module: Any, request: ExportRequest) -> Sequence[Sample]:
    """torch's outputs at the requested batch sizes, without those that the module refuses."""
    computed = (_sample(module, request, batch, feeds) for batch, feeds in trials(request))
    return [sample for sample in computed if sample is not None]


def _sample(
    module: Any, request: ExportRequest, batch: int, feeds: Sequence[Arrays]
) -> Sample | None:
    """Outputs for the first of the feeds that the module accepts; None if it accepts none."""
    import torch

    from onnxprof.exporters.torch.exporter import leaves

    for fed in feeds:
        tensors = {name: torch.from_numpy(array) for name, array in fed.items()}
        with contextlib.suppress(ExportError):
            result = run(module, tensors, request.target)
            return Sample(batch, fed, tuple(_array(tensor) for _, tensor in leaves(result)))
    return None


def _array(tensor: Any) -> Any:
    import torch

    held = tensor.detach().cpu()
    # NumPy has no bfloat16; float32 holds its values.
    return (held.float() if held.dtype == torch.bfloat16 else held).numpy()


def free_axes(model: ir.Model, samples: Sequence[Sample]) -> None:
    """Declare axes behind the batch as free where torch's own outputs contradict their sizes.

    torch's exporter declares the traced length behind an LSTM, whatever the graph computes.
    """
    import onnx_ir

    for index, value in enumerate(model.graph.outputs):
        shapes = [sample.outputs[index].shape for sample in samples]
        sizes = list(value.shape or ())
        for axis, size in enumerate(sizes[1:], start=1):
            if isinstance(size, int) and any(s[axis : axis + 1] != (size,) for s in shapes):
                sizes[axis] = f"{value.name}_axis{axis}"
        value.shape = onnx_ir.Shape(sizes)


def save(model: ir.Model, path: str) -> None:
    """Save the model, with external data where a protobuf message would be too large."""
    import onnx_ir

    tensors = (value.const_value for value in model.graph.initializers.values())
    size = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    beside = f"{Path(path).name}.data" if size > _LARGEST else None
    onnx_ir.save(model, path, external_data=beside)
