"""Values of options and arguments: networks, backends, devices, words of a choice, files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from onnxprof.cli.completing.words import Candidate

#: Stands for the files that fit, which the shell finds.
FILES = Candidate("")
#: Arguments that are a model: a file or a network of the zoo.
_MODELS = ("model", "models", "a", "b")
#: Options that are a file or a folder.
_FILES = ("output", "store", "out", "inputs", "apply", "plan", "into")
_PROVIDERS = ("cpu", "cuda", "tensorrt", "openvino", "compile")
_CHOICE = re.compile(r"[a-z-]+(?:, [a-z-]+)* or [a-z-]+")


def values_of(parameter: Any, path: Sequence[str]) -> Iterator[Candidate]:
    """What may be given for a parameter of the command with these words; FILES for any file."""
    name = parameter.name.rstrip("_")
    if choices := _choices(parameter):
        yield from map(Candidate, choices)
    elif path[:1] == ["zoo"] and parameter.param_type_name == "argument":
        yield from _networks("")
    elif path[:1] == ["schema"] and parameter.param_type_name == "argument":
        yield from _documents()
    elif name == "backend":
        yield from _backends()
    elif name == "device":
        yield from _devices()
    elif name == "provider":
        yield from map(Candidate, _PROVIDERS)
    elif parameter.param_type_name == "argument":
        if name in _MODELS:
            yield from _networks("zoo:")
        yield FILES
    elif name == "model":
        yield from _networks("")
    elif name in _FILES or _is_path(parameter):
        yield FILES


def _choices(parameter: Any) -> list[str]:
    kind = _kind(parameter)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    if parameter.param_type_name == "option" and kind in (str, None):
        if words := _table_choices(parameter):
            return words
        named = _CHOICE.match(parameter.help or "")
        return re.split(r", | or ", named[0]) if named else []
    return []


def _table_choices(parameter: Any) -> list[str]:
    """The words of an option of measurements that has a choice."""
    from onnxprof.jobs.options import TABLE

    for option in TABLE.values():
        if option.flag in parameter.opts and isinstance(option.default, Enum):
            return [str(member.value) for member in type(option.default)]
    return []


def _kind(parameter: Any) -> Any:
    declared = getattr(parameter, "type_descriptor", None)
    return getattr(declared, "annotation", None)


def _is_path(parameter: Any) -> bool:
    kind = _kind(parameter)
    return isinstance(kind, type) and issubclass(kind, Path)


def _networks(prefix: str) -> Iterator[Candidate]:
    from onnxprof.zoo.catalogue import titles

    for name, title in titles().items():
        yield Candidate(f"{prefix}{name}", title)


def _documents() -> Iterator[Candidate]:
    from onnxprof.publish import json

    for file in sorted((Path(json.__file__).parent / "schemas").glob("*.json")):
        yield Candidate(file.name.partition(".")[0])


def _backends() -> Iterator[Candidate]:
    """By the names under which they are registered; none is imported."""
    from importlib.metadata import entry_points

    for name in sorted({point.name for point in entry_points(group="onnxprof.backends")}):
        yield Candidate(name)


def _devices() -> Iterator[Candidate]:
    """Kinds of devices: to ask for the ids of those that are here takes a runtime."""
    yield Candidate("all", "every device of the backend")
    yield Candidate("cpu", "the processor")
    yield Candidate("cuda", "the first NVIDIA GPU")
    yield Candidate("gpu", "the first GPU that OpenVINO lists")
    yield Candidate("npu", "the first NPU that OpenVINO lists")
