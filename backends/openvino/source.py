"""A checked model in a form that OpenVINO's frontend reads: a file, or bytes.

The frontend opens external data by itself, so it gets a folder with links to the checked files
and nothing else. It supports neither functions local to a model nor sparse initializers: the
functions are inlined, and sparse tensors are written out as dense ones. Operators of onnxruntime
that it reads in some forms alone are rewritten (`rewrites`).
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.backends.openvino.rewrites.operators import rewrite
from onnxprof.errors import BackendError
from onnxprof.model.graph.data_files import DataFolder, is_external, location, stored_tensors
from onnxprof.model.graph.read import read_prepared
from onnxprof.records.layer import LayerTable, PreparedModel

#: The most elements of a sparse tensor that is written out: 1 GiB of float32.
_MOST = 1 << 28


@contextmanager
def readable(model: PreparedModel, table: LayerTable) -> Iterator[str | bytes]:
    """The model as a file, or as bytes where it has no external data.

    `table` has the shapes at the sizes that the model is compiled for. The runtime looks external
    data up beside the file, so changed models with external data are written to a scratch folder,
    with links to the data beside them. Raises ModelError for data outside of the model's folder,
    in any part of the model.
    """
    made = read_prepared(model)
    data = DataFolder.of_prepared(model)
    outside = {location(t): data.place(t).file for t in stored_tensors(made) if is_external(t)}
    changed = _simplified(made, table, data)
    if changed is None and not isinstance(model.source, bytes):
        yield str(model.source)
        return
    source: bytes = (made if changed is None else changed).SerializeToString()
    if not outside:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="onnxprof-", ignore_cleanup_errors=True) as scratch:
        path = Path(scratch, "model.onnx")
        path.write_bytes(source)
        for name, there in outside.items():
            _link(there.resolve(), Path(scratch, name))
        yield str(path)


def _simplified(model: Any, table: LayerTable, data: DataFolder) -> Any | None:
    """The model without functions, sparse tensors and odd operators; None if it has none."""
    changed = bool(model.functions)
    if changed:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
    changed = rewrite(model, table, data) or changed
    return model if _written_out(model.graph) or changed else None


def _written_out(graph: Any) -> bool:
    """Replace the sparse tensors of a graph with subgraphs; returns whether there were any."""
    changed = bool(graph.sparse_initializer)
    graph.initializer.extend(_dense(tensor) for tensor in graph.sparse_initializer)
    graph.ClearField("sparse_initializer")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor"):
                attribute.t.CopyFrom(_dense(attribute.sparse_tensor))
                attribute.ClearField("sparse_tensor")
                attribute.name, attribute.type = "value", attribute.TENSOR
                changed = True
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                changed = _written_out(inner) or changed
    return changed


def _dense(tensor: Any) -> Any:
    from onnx import numpy_helper

    name, shape = tensor.values.name, tuple(tensor.dims)
    if math.prod(shape) > _MOST:
        raise BackendError(
            f"OpenVINO knows no sparse tensors, and {name!r} is too big to write out",
            where="openvino",
            remedy="Use --backend ort",
        )
    values, places = (numpy_helper.to_array(part) for part in (tensor.values, tensor.indices))
    made = np.zeros(shape, values.dtype)
    try:
        made[tuple(places.T) if places.ndim > 1 else np.unravel_index(places, shape)] = values
    except (IndexError, ValueError) as error:
        raise BackendError(f"sparse tensor {name!r}: {error}", where="openvino") from None
    return numpy_helper.from_array(made, name)


def _link(there: Path, here: Path) -> None:
    here.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(there, here)  # the runtime refuses symbolic links that leave the folder
    except OSError:  # on another file system
        shutil.copyfile(there, here)
