"""`onnxprof.export`: a network of a framework as an ONNX file, checked against the framework."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof import folders
from onnxprof.api.base.door import public
from onnxprof.api.options import Sizes, axes
from onnxprof.errors import ExportError, UsageError
from onnxprof.model.dims.grammar import fixed

if TYPE_CHECKING:
    from onnxprof.jobs.exporting.export import Exported
    from onnxprof.zoo.declaration import Entry


@public
def export(
    target: str | PathLike[str],
    output: str | PathLike[str],
    *,
    inputs: str | Iterable[str] = (),
    dynamic_batch: bool = True,
    opset: int = 20,
    exporter: str = "",
    dims: Sizes | None = None,
    keep: bool = False,
    timeout: float = 1800.0,
) -> Exported:
    """Export a network to ONNX, and check the file against its framework at two batch sizes.

    `target` is `package.module:factory` (torch; importing it runs its code), a `.keras` or `.h5`
    file, the folder of a SavedModel, or `zoo:NAME`. `inputs` are texts such as
    `x:float32[batch,3,224,224]`. A file that computes something else than the framework is an
    ExportError, and is left there with `keep` alone. Needs `onnxprof[export]`, the zoo does not.

    >>> import tempfile
    >>> import onnxprof as op
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     made = op.export("zoo:lenet", f"{folder}/lenet.onnx")
    ...     made.path.is_file(), made.nodes
    (True, 12)
    """
    from onnxprof.jobs.exporting import export as exporting

    texts = (inputs,) if isinstance(inputs, str) else tuple(inputs)
    order = exporting.Order(
        target=fspath(target),
        output=folders.expanded(Path(output)),
        inputs=tuple(map(exporting.parse_input, texts)),
        dynamic_batch=dynamic_batch,
        opset=opset,
        exporter=exporter,
        dims=tuple(fixed(axes(dims)).items()),
        keep=keep,
        seconds=timeout,
    )
    if is_of_zoo(order.target, exporter):
        path, _ = from_zoo(order.target, order.output, bool(texts))
        return exporting.described(path, order, "the zoo", ())
    made = exporting.export(order)
    if not made.passed:
        raise _differing(made)
    return made


def _differing(made: Exported) -> ExportError:
    failed = next(each for each in made.agreements if not each.passed)
    worst = f"{failed.worst.max_rel:.1e} of {failed.worst.tolerance:.0e} allowed"
    return ExportError(
        f"differs from the framework at batch {failed.batch}: relative error {worst}",
        where=str(made.path),
        remedy="It is left there" if made.written else "keep=True leaves the file there",
    )


def is_of_zoo(target: str, exporter: str) -> bool:
    """Whether a target is a network of the zoo."""
    from onnxprof.zoo.catalogue import names

    return not exporter and (target.startswith("zoo:") or target in names())


def from_zoo(target: str, output: Path, with_inputs: bool) -> tuple[Path, Entry]:
    """Copy the file of a network of the zoo. Raises UsageError where inputs are given."""
    from onnxprof.zoo.catalogue import entry
    from onnxprof.zoo.materialisation import copy_out, materialise

    if with_inputs:
        raise UsageError("a network of the zoo has its own inputs", remedy="Leave --input out")
    item = entry(target.removeprefix("zoo:"))
    return copy_out(item, materialise(item.name), output), item
