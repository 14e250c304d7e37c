"""A model as Python has it: a path, a reference as a command takes it, or a ModelProto."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from onnxprof import folders
from onnxprof.errors import UsageError
from onnxprof.model.sources.resolve import is_remote
from onnxprof.processes.scratch import scratch

if TYPE_CHECKING:
    from typing import TypeAlias

    from onnx import ModelProto

    Model: TypeAlias = str | PathLike[str] | ModelProto
    Models: TypeAlias = Model | Iterable[Model]
else:
    Model = Models = Any

#: What a file of a model that has no name is called.
_NAMELESS = "model"


@contextmanager
def referred(models: Models) -> Iterator[tuple[str, ...]]:
    """References to models, each once; those that are in memory have files during the body.

    Raises UsageError for what is no model.
    """
    with scratch() as folder:
        every: list[Any] = [models] if _is_one(models) else [*cast("Iterable[Any]", models)]
        if not every:
            raise UsageError("no model is given", remedy="Give a path or zoo:NAME")
        names = [_reference(each, Path(folder), i) for i, each in enumerate(every)]
        yield tuple(dict.fromkeys(names))


def _is_one(models: Any) -> bool:
    """Also of what is neither a model nor several, so that it is refused by its type."""
    return (
        isinstance(models, str | PathLike)
        or hasattr(models, "SerializeToString")
        or not isinstance(models, Iterable)
    )


def _reference(model: Any, folder: Path, number: int) -> str:
    if isinstance(model, str) and is_remote(model):
        return model
    if isinstance(model, str | PathLike):
        return str(folders.expanded(fspath(model)))
    if hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        return _written(model, folder / str(number))
    raise UsageError(
        f"{type(model).__name__} is no model", remedy="Give a path, zoo:NAME or an onnx.ModelProto"
    )


def _written(model: ModelProto, folder: Path) -> str:
    """The model in a file that is called as its graph is. Raises UsageError for one too large."""
    name = re.sub(r"[^\w.-]+", "-", model.graph.name).strip("-.")[:80] or _NAMELESS
    folder.mkdir()
    path = folder / f"{name}.onnx"
    try:
        path.write_bytes(model.SerializeToString())
    except ValueError as error:
        raise UsageError(
            f"the model cannot be serialised: {error}",
            where=name,
            remedy="Save it with onnx.save, its weights outside, and give the path",
        ) from None
    return str(path)
