"""Runs of a model on the reference backend: at any batch, with any outputs, graph changed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto

from onnxprof.checks.batches.items import Pool
from onnxprof.checks.reference import draws
from onnxprof.errors import OnnxprofError
from onnxprof.model.file import ModelFile, prepare
from onnxprof.model.graph.operators import MAY_DRAW
from onnxprof.model.graph.read import read_prepared
from onnxprof.model.graph.walk import reads, walk
from onnxprof.model.layers import inspect
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import LayerTable, PreparedModel, Tensor
from onnxprof.records.step import Granularity

Values = Mapping[str, NDArray[Any]]
Change = Callable[[ModelProto], None]

#: Bytes of tensors that one run may have as additional outputs.
_SHARE_BYTES = 256 << 20
_SEED = 1.0


class OutOfTime(OnnxprofError):
    """The deadline of a proof has passed."""


@dataclass
class Lab:
    """A model, a pool of items, and a deadline for running it."""

    model: ModelFile
    dims: Mapping[str, int]
    own: int
    """The file's own batch size."""
    pool: Pool
    threads: int = 1
    deadline: float = float("inf")
    """In seconds of `time.monotonic`."""
    changes: tuple[Change, ...] = ()
    """Functions that change the graph before it is run."""
    _item_seconds: float = 0.0
    _prepared: dict[int, PreparedModel] = field(default_factory=dict, repr=False)
    _tables: dict[int, LayerTable] = field(default_factory=dict, repr=False)

    def run(
        self, items: Sequence[int], more: Sequence[str] = (), *, optimised: bool = False
    ) -> Values:
        """Run these items as one batch; returns outputs and the tensors named in `more`.

        Raises OutOfTime, and BackendError from the runtime.
        """
        if time.monotonic() > self.deadline:
            raise OutOfTime("there was no time left")
        batch = len(items)
        model = self._changed(batch, more)
        level = Granularity.EXECUTED if optimised else Granularity.WRITTEN
        work = Workload(model, self.table(batch), self.pool.take(items), self.threads)
        gc.collect()
        with registry.reference().open(replace(work, granularity=level)) as session:
            began = time.monotonic()
            session.infer()
            self._item_seconds = (time.monotonic() - began) / batch
            return session.values()

    def has_time_for(self, batch: int) -> bool:
        """Whether a run of this batch would end before the deadline, by the last run's duration."""
        return time.monotonic() + batch * self._item_seconds < self.deadline

    def changed_by(self, change: Change) -> Lab:
        """A lab with one more change to the graph."""
        return replace(self, changes=(*self.changes, change))

    def fed_with(self, pool: Pool) -> Lab:
        """A lab with other items."""
        return replace(self, pool=pool)

    def know(self, table: LayerTable) -> None:
        """Take the layers at one batch from whoever has them."""
        self._tables[table.batch] = table

    def table(self, batch: int) -> LayerTable:
        """Layers with their shapes at a batch."""
        if batch == self.own:
            return _at_own_batch(self.model, batch, tuple(self.dims.items()))
        if batch not in self._tables:
            self._tables[batch] = inspect(self.model, batch, self.dims)
        return self._tables[batch]

    def _source(self, batch: int) -> PreparedModel:
        if batch not in self._prepared:
            self._prepared[batch] = prepare(self.model, batch, self.dims)
        return self._prepared[batch]

    def _changed(self, batch: int, more: Sequence[str]) -> PreparedModel:
        made = self._source(batch)
        if not (self.changes or more or self.is_random):
            return made
        proto = read_prepared(made)
        for change in (*((_seeded,) if self.is_random else ()), *self.changes):
            change(proto)
        known = {output.name for output in proto.graph.output}
        for name in more:
            if name not in known:
                proto.graph.output.append(onnx.ValueInfoProto(name=name))
        return replace(made, source=proto.SerializeToString())

    @cached_property
    def is_random(self) -> bool:
        """Whether a layer draws random numbers, so that runs cannot be compared."""
        return any(draws(layer) for layer in self.table(self.own).nodes)

    @cached_property
    def nodes(self) -> tuple[NodeProto, ...]:
        """The nodes of the main graph, in order; those of subgraphs count as their outer node."""
        return tuple(self.model.structure.graph.node)

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """Outputs of all layers by name, with their shapes at the file's own batch."""
        return {t.name: t for layer in self.table(self.own).nodes for t in layer.outputs}

    def behind(self, outputs: Sequence[str]) -> tuple[NodeProto, ...]:
        """The nodes that these tensors depend on, in order."""
        wanted, nodes = set(outputs), []
        for node in reversed(self.nodes):
            if wanted.intersection(node.output):
                wanted |= reads(node)
                nodes.append(node)
        return tuple(reversed(nodes))

    def shares(self, nodes: Sequence[NodeProto]) -> Iterator[tuple[NodeProto, ...]]:
        """The nodes in groups whose outputs take at most `_SHARE_BYTES`."""
        share: list[NodeProto] = []
        held = 0
        for node in nodes:
            size = sum(_bytes(self.tensors.get(name)) for name in node.output if name)
            if share and held + size > _SHARE_BYTES:
                yield tuple(share)
                share, held = [], 0
            share.append(node)
            held += size
        if share:
            yield tuple(share)


@lru_cache(maxsize=1)
def _at_own_batch(model: ModelFile, batch: int, dims: tuple[tuple[str, int], ...]) -> LayerTable:
    """The layers that all proofs of a model compare with."""
    return inspect(model, batch, dict(dims))


def _seeded(model: ModelProto) -> None:
    """Give layers that draw random numbers a fixed seed."""
    for node in walk(model.graph):
        if node.op_type not in MAY_DRAW:
            continue
        kept = [attribute for attribute in node.attribute if attribute.name != "seed"]
        del node.attribute[:]
        seed = int(_SEED) if node.op_type == "Dropout" else _SEED
        node.attribute.extend([*kept, onnx.helper.make_attribute("seed", seed)])


def _bytes(tensor: Tensor | None) -> int:
    """Estimated bytes of a tensor at two items; an axis of unknown size counts as 64."""
    count = 8
    for size in (tensor.shape if tensor is not None else None) or (1 << 16,):
        count *= size if isinstance(size, int) else 64
    return count
