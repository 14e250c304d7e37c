"""What a user may set of torch: the layout of images, precision, libraries, modes of compiling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.plugins.settings import (
    FILES,
    SESSION,
    SWITCH,
    Refusal,
    checked,
    choice,
    refuse_level,
    refuse_provider_options,
)
from onnxprof.records.step import Setup

_OPTIONS = {
    "channels_last": SWITCH,
    "float32_matmul_precision": choice("highest", "high", "medium"),
    "mkldnn": SWITCH,
}
_OF_COMPILING = {
    "mode": choice("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
}
_REFUSED = (
    Refusal("thread", "onnxprof sets it", "Use --threads"),
    Refusal("^mode$", "it is a mode of torch.compile", "Use --provider compile"),
    Refusal("profil|log|trace", "onnxprof watches the calls itself"),
    FILES,
)
_CONVOLUTIONS = ("Conv", "ConvTranspose")


def configured(setup: Setup, provider: str) -> Setup:
    """The setup as it is stored, see `verbs.Configurable`."""
    refuse_level(setup.level, "torch", "runs the model's own operators, and optimises no graph")
    refuse_provider_options(setup.provider, "torch", f"Use {SESSION}")
    known = _OPTIONS | (_OF_COMPILING if provider == "compile" else {})
    return Setup("", checked(setup.session, known, _REFUSED, SESSION, "torch"))


@contextmanager
def applied(setup: Setup) -> Iterator[None]:
    """What is set for the whole process, for the body alone."""
    given = dict(setup.session)
    precision, library = torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled
    try:
        if wanted := given.get("float32_matmul_precision"):
            torch.set_float32_matmul_precision(wanted)
        if switch := given.get("mkldnn"):
            torch.backends.mkldnn.enabled = switch == "1"
        yield
    finally:
        if "float32_matmul_precision" in given:
            torch.set_float32_matmul_precision(precision)
        if "mkldnn" in given:
            torch.backends.mkldnn.enabled = library


def mode_of(setup: Setup) -> str | None:
    """The mode of `torch.compile`; None for its usual one."""
    return dict(setup.session).get("mode")


def lay_out(program: Any, setup: Setup) -> None:
    """Put inputs and weights of convolutions into the layout that was asked for.

    Operators pass the layout on, so that it is that of the images between them, too.
    """
    if dict(setup.session).get("channels_last") != "1":
        return
    weights = (
        call.inputs[1]
        for call in program.calls
        if call.op_type in _CONVOLUTIONS and call.inputs[1] in program.constants
    )
    for slot in {*program.formals, *weights}:
        program.template[slot] = _channels_last(program.template[slot])


def _channels_last(value: Any) -> Any:
    """A tensor of images or volumes with its channels last; other values as they are."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if not isinstance(value, torch.Tensor) or value.dim() not in formats:
        return value
    if not value.is_floating_point():
        return value
    return value.contiguous(memory_format=formats[value.dim()])
