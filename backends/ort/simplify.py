"""onnxruntime's basic optimisations, saved as a model of standard operators."""

from __future__ import annotations

from pathlib import Path

from onnxprof.backends.ort.runtime.errors import runtime_errors

_FATAL_ONLY = 4
#: Optimisations that change what no advice is about. A name that a version lacks is ignored.
_LEFT_OUT = (
    *("MatMulAddFusion", "QDQPropagationTransformer", "ConstantSharing", "ReshapeFusion"),
    *("CommonSubexpressionElimination", "FuseReluClip", "GeluFusionL1", "LayerNormFusionL1"),
    *("EnsureUniqueDQForNodeUnit", "WeightBiasQuantization"),
)


def simplify(source: Path, target: Path) -> None:
    """Fold constants, normalisations and layers without an effect; free axes stay free.

    Raises BackendError with the runtime's reason.
    """
    import onnxruntime as ort

    made = ort.SessionOptions()
    made.log_severity_level = _FATAL_ONLY
    made.intra_op_num_threads = made.inter_op_num_threads = 1
    made.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    made.optimized_model_filepath = str(target)
    with runtime_errors("cannot simplify the model"):
        ort.InferenceSession(
            str(source),
            made,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(_LEFT_OUT),
        )
