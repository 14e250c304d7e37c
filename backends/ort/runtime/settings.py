"""What a user may set of onnxruntime's sessions and providers, and what not.

onnxruntime takes any name of an entry and ignores those that it does not know. So names are held
against a list, and against the library that is installed: an option without an effect would give a
run a name that it does not deserve.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from onnxprof.errors import BackendError, UsageError
from onnxprof.plugins.settings import (
    FILES,
    LEVEL,
    PROVIDER,
    SESSION,
    SWITCH,
    Kind,
    Pairs,
    Refusal,
    checked,
    choice,
    matching,
    refuse_provider_options,
    whole,
)
from onnxprof.records.step import Setup

#: Levels between none and all, by the names of `GraphOptimizationLevel`.
LEVELS = {
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
}
#: Levels at which nodes of the executed graph may have lost their names.
_RENAMING = ("", "layout")
#: Attributes of `SessionOptions`; what else is allowed are entries of its configuration.
_FIELDS = ("enable_cpu_mem_arena", "enable_mem_pattern", "enable_mem_reuse")
_SWITCHES = (
    *("session.disable_prepacking", "session.set_denormal_as_zero", "session.disable_quant_qdq"),
    *("session.disable_double_qdq_remover", "session.enable_quant_qdq_cleanup"),
    *("session.disable_qdq_constant_folding", "session.enable_dq_matmulnbits_fusion"),
    *("session.disable_aot_function_inlining", "session.strict_shape_type_inference"),
    *("session.allow_released_opsets_only", "session.use_device_allocator_for_initializers"),
    *("session.qdqisint8allowed", "session.x64quantprecision"),
    *("session.intra_op.allow_spinning", "session.force_spinning_stop"),
    *("optimization.enable_gelu_approximation", "optimization.enable_cast_chain_elimination"),
    *("mlas.enable_gemm_fastmath_arm64_bfloat16", "mlas.use_lut_gemm", "mlas.disable_kleidiai"),
)
SESSION_OPTIONS: Mapping[str, Kind] = {
    **dict.fromkeys((*_FIELDS, "use_deterministic_compute", *_SWITCHES), SWITCH),
    "session.dynamic_block_base": whole(0, 1 << 16),
    "session.intra_op.spin_duration_us": whole(0, 10**7),
    "session.intra_op.spin_backoff_max": whole(0, 10**6),
    "session.graph_optimizations_loop_level": whole(0, 2),
    "session.qdq_matmulnbits_accuracy_level": whole(0, 4),
    "session.qdq_matmulnbits_block_size": whole(16, 256),
    "optimization.constant_folding_max_output_size_in_bytes": whole(),
    "optimization.disable_specified_optimizers": matching(
        r"\w+(;\w+)*", "names of optimisers with ; between them"
    ),
}
#: Options of a pool of threads: the one that sessions of a process share has none.
_OF_POOLS = frozenset(
    (
        *("session.intra_op.spin_duration_us", "session.intra_op.spin_backoff_max"),
        *("session.intra_op.allow_spinning", "session.force_spinning_stop"),
        *("session.dynamic_block_base", "session.set_denormal_as_zero"),
    )
)
_OVERLAP = "steps that overlap take more time together than the model, and rows would not add up"
_REFUSED = (
    Refusal("custom_op", FILES.reason, "Models are of operators that the runtime has itself"),
    Refusal("optimized_model", FILES.reason, "--save-optimized FILE writes the executed graph"),
    Refusal("inter_op|execution_mode", _OVERLAP),
    Refusal("intra_op_num_threads|per_session_threads", "onnxprof sets it", "Use --threads"),
    Refusal("affinit", "onnxprof chooses the cores that are measured", "Use --threads"),
    Refusal("graph_optimization_level", "it has an option of its own", f"Use {LEVEL}"),
    Refusal("free_dimension", "onnxprof sets it", "Use --dim NAME=SIZE and --batch"),
    Refusal("execution_order", "the graph is cut in the order of the file"),
    Refusal("profil|log|record_ep|memory_stats", "onnxprof watches the session through it"),
    Refusal("save_|load_model_format|ort_model|compile|ep[._]context|initializers_", FILES.reason),
    Refusal("cpu_ep_fallback", "each step says on which provider it ran, and a warning how many"),
    FILES,
)
_BOTH_CUDA = ("do_copy_in_default_stream", "use_ep_level_unified_stream")
PROVIDER_OPTIONS: Mapping[str, Mapping[str, Kind]] = {
    "cpu": {},
    "cuda": {
        "arena_extend_strategy": choice("kNextPowerOfTwo", "kSameAsRequested"),
        "cudnn_conv_algo_search": choice("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
        "gpu_mem_limit": whole(1),
        "sdpa_kernel": whole(0, 1 << 10),
        "tunable_op_max_tuning_duration_ms": whole(),
        **dict.fromkeys(
            (
                *("cudnn_conv_use_max_workspace", "cudnn_conv1d_pad_to_nc1d", *_BOTH_CUDA),
                *("use_tf32", "prefer_nhwc", "fuse_conv_bias", "tunable_op_enable"),
                *("tunable_op_tuning_enable", "enable_skip_layer_norm_strict_mode"),
            ),
            SWITCH,
        ),
    },
    "tensorrt": {
        "trt_max_partition_iterations": whole(1),
        "trt_min_subgraph_size": whole(1),
        "trt_max_workspace_size": whole(),
        "trt_builder_optimization_level": whole(0, 5),
        **dict.fromkeys(
            (
                *("trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable", "trt_sparsity_enable"),
                *("trt_layer_norm_fp32_fallback", "trt_build_heuristics_enable"),
                *("trt_context_memory_sharing_enable", "trt_force_sequential_engine_build"),
            ),
            SWITCH,
        ),
    },
    "openvino": {
        "precision": choice("ACCURACY", "FP16", "FP32"),
        "num_streams": whole(1, 1 << 10),
        "model_priority": choice("DEFAULT", "LOW", "MEDIUM", "HIGH"),
    },
}
_REFUSED_OF_PROVIDERS = (
    Refusal("^device_(id|type)$", "the device has an option of its own", "Use --device"),
    Refusal("num_of_threads", "onnxprof sets it", "Use --threads"),
    Refusal("cuda_graph", "steps inside of a CUDA graph cannot be told apart"),
    Refusal("stream$|external_(alloc|free|empty)", "it is an address in memory"),
    Refusal("cache|dump|load_config|ep_context|weight_stripped", FILES.reason),
    FILES,
)
#: An entry that every onnxruntime has, to see whether a library's names can be read at all.
_ALWAYS_THERE = "session.disable_prepacking"


def configured(setup: Setup, provider: str) -> Setup:
    """The setup as it is stored, see `verbs.Configurable`."""
    if setup.level and setup.level not in LEVELS:
        names = ", ".join(("disable", *LEVELS))
        raise UsageError(
            f"onnxruntime has no level {setup.level!r} of optimisation",
            remedy=f"{LEVEL} takes {names} or all",
        )
    session = checked(setup.session, SESSION_OPTIONS, _REFUSED, SESSION, "onnxruntime")
    with suppress(ImportError):  # without the runtime nothing is measured here, either
        import onnxruntime as ort

        _level(ort, setup.level)
        for name, _ in session:
            _refuse_missing(ort, name)
    return Setup(setup.level, session, _of_provider(setup.provider, provider or "cpu"))


def _of_provider(given: Pairs, provider: str) -> Pairs:
    known = PROVIDER_OPTIONS.get(provider, {})
    if not known:
        remedy = f"Use {SESSION}" if provider == "cpu" else ""
        refuse_provider_options(given, f"onnxruntime's provider {provider}", remedy)
        return ()
    runtime = f"the provider {provider}"
    return checked(given, known, _REFUSED_OF_PROVIDERS, PROVIDER, runtime)


def _level(ort: Any, level: str) -> Any:
    """The runtime's own level; None for the usual one. Raises BackendError where it has none."""
    found = getattr(ort.GraphOptimizationLevel, LEVELS[level], None) if level else None
    if level and found is None:
        raise BackendError(
            f"onnxruntime {ort.__version__} has no level {level!r} of optimisation",
            where="ort",
            remedy=f"Use another {LEVEL}",
        )
    return found


def _refuse_missing(ort: Any, name: str) -> None:
    """Raise BackendError where the installed onnxruntime does not know an option."""
    if not (hasattr(ort.SessionOptions, name) or ("." in name and _is_entry(name))):
        raise BackendError(
            f"onnxruntime {ort.__version__} has no option {name} on this machine",
            where="ort",
            remedy=f"Leave out {SESSION} {name}, or install a version that has it",
        )


@cache
def _is_entry(name: str) -> bool:
    """Whether the installed library has the name of an entry in it."""
    with suppress(ImportError, OSError, ValueError):
        from onnxruntime.capi import onnxruntime_pybind11_state as native

        with (
            Path(native.__file__).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            readable = text.find(_ALWAYS_THERE.encode()) >= 0
            return not readable or text.find(name.encode()) >= 0
    return True


def apply(setup: Setup, made: Any) -> None:
    """Set the options of a session. Raises BackendError for a level that this version lacks."""
    import onnxruntime as ort

    level = _level(ort, setup.level)
    if level is not None:
        made.graph_optimization_level = level
    for name, value in setup.session:
        if "." in name:
            made.add_session_config_entry(name, value)
        else:
            setattr(made, name, value == "1")


def wants_own_threads(setup: Setup) -> bool:
    """Whether a session must have its own threads, since the shared ones cannot be set so."""
    return any(name in _OF_POOLS for name, _ in setup.session)


def keeps_names(setup: Setup) -> bool:
    """Whether the executed graph is of a level at which names of nodes survive."""
    return setup.level not in _RENAMING
