"""Simplifying the graph that a framework's exporter writes, and naming its layers.

Works on an `onnx_ir.Model`, in place. The passes are onnx-ir's and onnxscript's; their choice,
the names that are kept and the names of layers are ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxprof.exporters.common.names import Scope

#: Elements up to which a constant is computed here rather than by each runtime.
FOLD_LIMIT = 1 << 16


def tidy(
    model: ir.Model,
    parameters: frozenset[str],
    outputs: Sequence[str],
    scope: Scope,
    *,
    fold_batch_norm: bool = False,
    keep_names: bool = True,
) -> None:
    """Fold constants, simplify, name nodes, and remove metadata about the machine.

    `parameters` are the weights, whose values and names are kept. With `keep_names` all other
    initializers keep their names, too; without it they are renamed, as where the exporter only
    numbered them. `scope` returns the modules around a node.
    """
    from onnx_ir.passes import common
    from onnxscript.rewriter import RewritePass

    from onnxprof.exporters.common.names import name_all

    inputs = [value.name for value in model.graph.inputs]
    common.InlinePass()(model)
    given = frozenset(model.graph.initializers) if keep_names else parameters
    _transpose_weights(model, parameters)
    with _hidden(model, parameters):
        _simplify(model)
    if fold_batch_norm:
        RewritePass(_rules(_BATCH_NORM_RULES))(model)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    common.LiftSubgraphInitializersToMainGraphPass()(model)
    _share_constants(model, given)
    common.CommonSubexpressionEliminationPass()(model)
    common.OutputFixPass()(model)
    common.RemoveUnusedNodesPass()(model)
    common.RemoveUnusedFunctionsPass()(model)
    common.RemoveUnusedOpsetsPass()(model)
    common.TopologicalSortPass()(model)
    for value, name in zip(model.graph.inputs, inputs, strict=True):
        value.name = name  # the pass before renames one that is an output, too
    name_all(model, given, outputs, scope)
    _strip(model)


def _transpose_weights(model: ir.Model, parameters: frozenset[str]) -> None:
    """Transpose stored weights that are only read through a Transpose, and remove that node.

    torch's Linear stores [out, in], MatMul reads [in, out]. A weight with other uses (a tied
    embedding) keeps its Transpose.
    """
    for name, value in list(model.graph.initializers.items()):
        nodes = value.consumers()
        if name in parameters and nodes and all(node.op_type == "Transpose" for node in nodes):
            orders = {tuple(node.attributes["perm"].as_ints()) for node in nodes}
            if len(orders) == 1:
                _transpose(value, orders.pop())


def _transpose(value: ir.Value, order: tuple[int, ...]) -> None:
    import numpy as np
    import onnx_ir as ir

    tensor = value.const_value
    if tensor is None:
        return
    shape = ir.Shape([tensor.shape[axis] for axis in order])
    # Made when it is written, so that large weights are not held twice.
    value.const_value = ir.LazyTensor(
        lambda: ir.Tensor(
            np.ascontiguousarray(tensor.numpy().transpose(order)), dtype=tensor.dtype
        ),
        dtype=tensor.dtype,
        shape=shape,
        name=value.name,
    )
    value.shape = shape
    for node in list(value.consumers()):
        node.outputs[0].replace_all_uses_with(value, replace_graph_outputs=True)
        if node.graph is not None:
            node.graph.remove(node, safe=True)


def _simplify(model: ir.Model) -> None:
    """Fold constants and apply rewrite rules until nothing changes, at most four times."""
    from onnx_ir.passes import PassManager, common
    from onnxscript.optimizer import fold_constants
    from onnxscript.rewriter import RewritePass

    rewriting = PassManager(
        [
            RewritePass(_rules(_RULES)),
            common.IdentityEliminationPass(),
            common.RemoveUnusedNodesPass(),
        ]
    )
    for _ in range(4):
        folded = fold_constants(
            model,
            onnx_shape_inference=True,
            input_size_limit=FOLD_LIMIT,
            output_size_limit=FOLD_LIMIT,
        )
        if not (rewriting(model).modified or folded.modified):
            break


@contextlib.contextmanager
def _hidden(model: ir.Model, parameters: frozenset[str]) -> Iterator[None]:
    """Remove weights' values in a `with` block, so that no pass drops a bias of zeros."""
    values = [v for name, v in model.graph.initializers.items() if name in parameters]
    tensors = [value.const_value for value in values]
    for value in values:
        value.const_value = None
    try:
        yield
    finally:
        for value, tensor in zip(values, tensors, strict=True):
            value.const_value = tensor


def _rules(names: Sequence[str]) -> list[Any]:
    """Rewrite rules of onnxscript by name."""
    from onnxscript.rewriter.rules import common

    return [getattr(common, name) for name in names]


_RULES = (
    "add_0_rule",
    "sub_0_rule",
    "mul_by_1_rule",
    "div_by_1_rule",
    "dropout_zero_rule",
    "dropout_inference_rule",
    "one_reshape_matmul_reshape_rule",
    "two_reshapes_matmul_reshape_rule",
    "cast_constant_of_shape_rule",
    "cast_constant_of_shape_without_value_rule",
    "collapse_slice_rule",
    "collapse_slice2_rule",
    "materialize_reshape_shape_rule",
    "min_min_rule",
    "max_max_rule",
    "min_max_rule",
    "max_min_rule",
    "successive_clip_relu_rule",
    "successive_relu_clip_rule",
    "successive_relu_rule",
    "successive_clip_rule",
    "cast_cast_rule",
    "no_op_cast_rule",
    "no_op_expand_rule",
    "no_op_transpose_rule",
    "reshape_reshape_rule",
    "slice_split_rule",
    "squeeze_reshape_1d_rule",
    "transpose_transpose_rule",
    "unsqueeze_unsqueeze_rule",
    "matmul_add_to_gemm_rule",
    "no_op_dynamic_scatter_nd_rule",
    "no_op_static_scatter_nd_rule",
    "normalize_pad_format_conv_rule",
    "fuse_pad_into_conv_rule",
    "remove_optional_bias_from_conv_rule",
    "remove_optional_bias_from_conv_transpose_rule",
    "remove_optional_bias_from_gemm_rule",
)
_BATCH_NORM_RULES = (
    "fuse_batchnorm_into_conv_rule",
    "fuse_batchnorm_into_conv_transpose_rule",
    "fuse_batchnorm_into_gemm_rule",
)


def _share_constants(model: ir.Model, given: frozenset[str]) -> None:
    """Merge equal constants into one tensor; weights are not merged, even if equal."""
    kept: dict[tuple[Any, ...], ir.Value] = {}
    for name, value in list(model.graph.initializers.items()):
        tensor = value.const_value
        if name in given or tensor is None or tensor.size > FOLD_LIMIT:
            continue
        key = (tensor.dtype, tuple(tensor.shape), tensor.tobytes())
        if kept.setdefault(key, value) is not value:
            value.replace_all_uses_with(kept[key])
            del model.graph.initializers[name]


def _strip(model: ir.Model) -> None:
    """Remove metadata (stack traces with paths), doc strings and inferred shapes within."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    ClearMetadataAndDocStringPass()(model)
    model.metadata_props.clear()
    model.doc_string = None
    for value in (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
        value.doc_string = None
    graphs = [model.graph, *model.graph.subgraphs()]
    for node in (node for graph in graphs for node in graph):
        for value in node.outputs:
            value.metadata_props.clear()
            if not value.is_graph_output():
                value.shape, value.type = None, None
