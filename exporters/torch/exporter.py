"""torch modules to ONNX, through torch's dynamo exporter."""

from __future__ import annotations

import ast
import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.errors import ExportError
from onnxprof.plugins.exporter import ExportRequest, Sample
from onnxprof.records.device import Availability

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnx import ModelProto

_SCOPES = "pkg.torch.onnx.name_scopes"
#: torch's scope of nodes that it inserts to read a size.
_NO_MODULE = "_empty_nn_module_stack_from_metadata_hook"
#: The batch of the example; torch would take 0 and 1 for constants.
_TRACED = 2


class TorchExporter:
    """`package.module:factory`: a module, or what returns one when called without arguments."""

    name = "torch"

    def availability(self) -> Availability:
        """Whether torch and its ONNX libraries are installed."""
        from onnxprof.exporters.common.installed import availability

        return availability(self.name, "torch", "onnxscript")

    def accepts(self, target: str) -> bool:
        """Whether the target is a module's name, a colon and a name in that module."""
        module, colon, name = target.partition(":")
        parts = (*module.split("."), *name.split("."))
        return bool(colon) and all(part.isidentifier() for part in parts)

    def export(self, request: ExportRequest) -> Sequence[Sample]:
        """Write the module, traced at batch 2; a batch that it requires stays fixed."""
        from onnxprof.exporters.torch import module as torch_module

        module = torch_module.load(request.target)
        torch_module.check_inputs(module, request)
        example = torch_module.examples(request, _TRACED)
        outputs = output_names(torch_module.run(module, example, request.target))
        model = self._traced(module, example, request, outputs)
        samples = torch_module.samples(module, request)
        torch_module.free_axes(model, samples)
        torch_module.save(model, request.path)
        return samples

    def _traced(
        self, module: Any, example: Mapping[str, Any], request: ExportRequest, names: Sequence[str]
    ) -> ir.Model:
        from onnxprof.exporters.torch.errors import insists_on_sizes, translated

        axes = {item.name: item.symbols() for item in request.inputs}
        for attempt in (axes, {}):
            try:
                return to_model(
                    module,
                    example,
                    axes=attempt,
                    outputs=names,
                    opset=request.opset,
                    zero_masked_rows=True,
                )
            except Exception as error:
                # The graph at a fixed batch shows which layer insists on it.
                if not attempt or not insists_on_sizes(error):
                    raise translated(error, request.target) from error
        raise ExportError("torch gave no graph", where=request.target)


def to_proto(
    module: Any,
    inputs: Mapping[str, Any],
    *,
    axes: Mapping[str, Any],
    outputs: Sequence[str] = (),
    input_names: Sequence[str] = (),
    opset: int = 20,
    fold_batch_norm: bool = False,
    zero_masked_rows: bool = False,
) -> ModelProto:
    """`to_model` as a protobuf message; for weights below 2 GiB."""
    import onnx_ir

    model = to_model(
        module,
        inputs,
        axes=axes,
        outputs=outputs,
        input_names=input_names,
        opset=opset,
        fold_batch_norm=fold_batch_norm,
        zero_masked_rows=zero_masked_rows,
    )
    proto: ModelProto = onnx_ir.to_proto(model)
    return proto


def to_model(
    module: Any,
    inputs: Mapping[str, Any],
    *,
    axes: Mapping[str, Any],
    outputs: Sequence[str] = (),
    input_names: Sequence[str] = (),
    opset: int = 20,
    fold_batch_norm: bool = False,
    zero_masked_rows: bool = False,
) -> ir.Model:
    """The ONNX graph of a torch module, traced on example tensors (by the names of `forward`).

    `axes` names the symbolic axes of each input. An input may be a list of tensors: then its axes
    are a list, too, and `input_names` has the names of all tensors in order. Weights stay in the
    graph as initializers, named after the module's parameters; module scopes become names of
    layers; paths of this machine are removed. Without names for the `outputs`, a mapping's keys
    or a named tuple's fields name them. The module is left in eval mode. Batch normalisation
    stays a layer of its own, unless it is to be folded into the convolution before it. Attention
    whose mask leaves nothing of a row gives zeros in torch; `zero_masked_rows` keeps that,
    for two more nodes a layer. Raises whatever torch raises.
    """
    import torch

    from onnxprof.exporters.common.tidy import tidy
    from onnxprof.exporters.torch.attention import translations

    module.eval()
    with torch.no_grad(), _quiet():
        names = tuple(outputs) or output_names(module(**inputs))
        program = torch.onnx.export(
            module,
            (),
            kwargs=dict(inputs),
            dynamic_shapes={name: axes.get(name, {}) for name in inputs},
            input_names=list(input_names or inputs),
            opset_version=opset,
            custom_translation_table=translations(opset, zero_masked_rows=zero_masked_rows),
            dynamo=True,
            optimize=False,
            verbose=False,
        )
        if program is None:
            raise RuntimeError("torch.onnx.export returned nothing")
        weights = frozenset(name for name, _ in module.named_parameters(remove_duplicate=False))
        tidy(program.model, weights, names, _scope, fold_batch_norm=fold_batch_norm)
    return program.model


def output_names(result: Any) -> tuple[str, ...]:
    """Names of the tensors that `forward` returned, in order; nested keys joined by `_`."""
    return tuple(name for name, _ in leaves(result))


def leaves(result: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, tensor) of every tensor that `forward` returned, in order."""
    import torch

    if isinstance(result, torch.Tensor):
        yield prefix or "output", result
    elif isinstance(result, Mapping):
        for key, value in result.items():
            yield from leaves(value, f"{prefix}_{key}" if prefix else str(key))
    elif isinstance(result, list | tuple):
        fields = getattr(result, "_fields", None)
        keys = fields or [str(index) for index in range(len(result))]
        first = "" if fields else "output"
        for key, value in zip(keys, result, strict=True):
            stem = prefix or (first if len(result) > 1 else "")
            alone = not fields and len(result) == 1
            yield from leaves(value, prefix if alone else "_".join(filter(None, (stem, key))))


def _scope(node: ir.Node) -> tuple[str, ...]:
    """Names of the modules around a node, outermost first."""
    scopes = ast.literal_eval(node.metadata_props.get(_SCOPES, "[]"))
    path = scopes[-2] if len(scopes) > 1 else ""
    return tuple(part for part in path.split(".") if part and part != _NO_MODULE)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's log messages below errors, and all warnings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
