"""Writing skeletons from their sources, for maintainers: `onnxprof zoo export`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from onnxprof.errors import ModelError, StoreError
from onnxprof.zoo import cache
from onnxprof.zoo.catalogue import INDEX, entries, entry, names, skeleton_path, sources
from onnxprof.zoo.declaration import Entry, Source, data_name
from onnxprof.zoo.making import rules, skeleton
from onnxprof.zoo.making.stream import digest_pieces
from onnxprof.zoo.sources.counts import count


def build(name: str) -> ModelProto:
    """The skeleton of a network, made from its source. Raises ModelError where that is missing."""
    item, source = entry(name), sources()[name]
    model = _built(source, item)
    model.producer_name = "onnxprof zoo"
    model.doc_string = (
        f"{item.title}: {item.paper}, {item.year}. {item.definition}, {item.licence}. "
        "Weights are random."
    )
    model.graph.name = name
    _declare(model, item)
    rules.assign(model, name, source.gain, source.shift)
    if source.apart:
        _set_apart(model, item.data_name or data_name(name, ""))
    return model


def _set_apart(model: ModelProto, location: str) -> None:
    """Say that the weights lie in a file of that name."""
    kept = [entry for entry in model.metadata_props if entry.key != skeleton.DATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=skeleton.DATA_KEY, value=location)


def _built(source: Source, item: Entry) -> ModelProto:
    try:
        return source.build(item)
    except ModuleNotFoundError as error:
        if (error.name or "onnxprof").startswith("onnxprof"):
            raise
        raise ModelError(
            f"needs {error.name}, which is not installed here, to be exported",
            where=f"zoo:{item.name}",
            remedy='pip install "onnxprof[export]"',
        ) from error


def _declare(model: ModelProto, item: Entry) -> None:
    """Store fills of inputs and default lengths of axes in the file's metadata."""
    fills = {i.name: asdict(i.fill) for i in item.inputs if i.fill is not None}
    for key, facts in (("onnxprof.inputs", fills), ("onnxprof.dims", dict(item.dims))):
        if facts:
            model.metadata_props.add(key=key, value=json.dumps(facts, sort_keys=True))


def export(name: str) -> str:
    """Write the skeleton of a network and its entry in the index; says what changed.

    Raises UsageError for an unknown name, ModelError where its source is missing or a weight
    has no rule, StoreError where the package's folder cannot be written.
    """
    path = skeleton_path(name)
    before = onnx.load(path) if path.exists() else None
    model = build(name)
    _replace(path, model.SerializeToString(deterministic=True))
    data = _data(path, model, name)
    pieces = skeleton.read(path)
    facts = {
        **asdict(count(model)),
        "bytes": skeleton.size(pieces) + int(data.get("data_bytes", 0)),
        "sha256": digest_pieces(pieces),
        **data,
    }
    with cache.locked(INDEX):
        index = json.loads(INDEX.read_text("utf-8")) if INDEX.exists() else {}
        index[name] = facts
        ordered = {known: index[known] for known in names() if known in index}
        _replace(INDEX, (json.dumps(ordered, indent=2) + "\n").encode())
    entries.cache_clear()
    return _changes(before, model)


def _data(path: Path, model: ModelProto, name: str) -> dict[str, Any]:
    """Facts of the external data of a skeleton, which is written again with its file's name."""
    pieces = skeleton.read_data(path)
    if not pieces:
        return {}
    sha256 = digest_pieces(pieces)
    _set_apart(model, data_name(name, sha256))
    _replace(path, model.SerializeToString(deterministic=True))
    return {"data_bytes": skeleton.size(pieces), "data_sha256": sha256}


def _replace(path: Path, data: bytes) -> None:
    partial_path = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        partial_path.write_bytes(data)
        os.replace(partial_path, path)
    except OSError as error:
        raise StoreError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="Export from a source tree that you may change",
        ) from error


def _changes(before: ModelProto | None, after: ModelProto) -> str:
    if before is None:
        return "new"
    if before == after:
        return "unchanged"
    layers = _difference(before.graph.node, after.graph.node)
    tensors = _difference(before.graph.initializer, after.graph.initializer)
    return f"changed; layers: {layers}; weights and operands: {tensors}"


def _difference(before: Iterable[Any], after: Iterable[Any]) -> str:
    """Numbers of nodes or tensors added, removed and changed, by name, in words."""
    old, new = ({item.name: item for item in items} for items in (before, after))
    changed = sum(old[name] != new[name] for name in old.keys() & new.keys())
    return f"{len(new.keys() - old)} added, {len(old.keys() - new)} removed, {changed} changed"
