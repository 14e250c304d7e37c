"""Options of `onnxprof compare` that do not go with versions of a runtime."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.errors import UsageError


def refuse_unclear(
    a_is_model: bool, b: str, runtimes: Sequence[str], bisect: bool, layer_errors: bool
) -> None:
    """Raise UsageError for options that do not go with versions of a runtime."""
    if bisect and len(runtimes) != 2:
        raise UsageError(
            "--bisect looks between two versions of a runtime",
            remedy="Name both: --runtime onnxruntime==1.22.1 --runtime onnxruntime==1.32.0",
        )
    if not runtimes:
        return
    if b or not a_is_model:
        raise UsageError(
            "--runtime compares versions on one model",
            remedy="Name one model, and one or two versions with --runtime",
        )
    if len(runtimes) > 2:
        raise UsageError(
            f"{len(runtimes)} versions are named, and two are compared",
            remedy="Name the two ends and add --bisect to find where it got slower",
        )
    if layer_errors:
        raise UsageError("--layer-errors needs two models, and one is named")
