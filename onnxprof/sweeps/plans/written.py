"""A plan with comments for the machine at hand, as `sweep init` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from onnxprof.records.device import Availability

_HEAD = """\
# What `onnxprof sweep` is to measure; --dry-run checks it. Keys: docs/sweep.md.

[defaults]              # for all of the plan; any option of `onnxprof profile`
batch = [1, 8, 32]      # a list is multiplied out
budget = 2              # seconds of measuring for each job
threads = [1, 0]        # one, and every usable core
"""
_MODELS = """
[[models]]              # files, patterns, zoo:NAME, zoo:family=NAME, hub:, hf:
name = {name}
"""
_MORE_MODELS = """
# [[models]]
# name = "zoo:bert-base"
# batch = [1, 8]                # instead of the defaults'
# dim.sequence = [16, 128]      # every combination
"""
_EXCLUDE = """
# [[exclude]]           # a job that all keys of one exclusion match is left out
# model = "vgg*"
# batch = [16, 32]
"""


def written_plan(states: Sequence[Availability], folder: Path) -> str:
    """The text of a plan: a table for each backend and device that works, the others as comments.

    Names the ONNX files of the folder, or a small family of the zoo where there is none.
    """
    parts = [_HEAD, _MODELS.format(name=_models(folder)), _MORE_MODELS]
    parts += [_backend(state) for state in states if state.usable]
    parts += [_missing(state) for state in states if not state.usable]
    return "".join((*parts, _EXCLUDE))


def _models(folder: Path) -> str:
    if any(folder.glob("*.onnx")):
        return '"*.onnx"'
    if any(folder.glob("*/*.onnx")):
        return '"**/*.onnx"'
    return '["zoo:family=light", "zoo:resnet18"]'


def _backend(state: Availability) -> str:
    kind, colon, _ = state.device.partition(":")
    key = "device" if colon else "provider"  # some are told by what executes the model
    lines = [f"# {' '.join(state.detail.split())}"] if state.detail else []
    lines += ["[[backends]]", f'name = "{state.backend}"', f"{key} = {_quoted(state.device)}"]
    lines += ["threads = 1"] if kind in ("cuda", "gpu") else []
    return "\n".join(("", *lines, ""))


def _missing(state: Availability) -> str:
    reason = " ".join(f"{state.detail}. {state.remedy}".split()).rstrip(". ")
    where = f" on {state.device}" if state.device else ""
    text = f"{state.backend}{where} does not work here: {reason}"
    return "\n" + "\n".join(f"# {line}" for line in wrap(text, 78, break_on_hyphens=False)) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
