"""The layers of a model, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.api.results.shown import Shown
from onnxprof.records.cost import LayerCost
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.sequences.phase import titled

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxprof.cost.symbolic import SymbolicCost


@dataclass(frozen=True, slots=True, repr=False)
class Inspection(Shown):
    """Every layer of a model at batch sizes."""

    name: str
    tables: tuple[LayerTable, ...]
    """One for each batch size; several fall into one where the model keeps its batch."""
    parameters: int
    """Elements of all weights."""
    fed: Mapping[str, str]
    """The values that a measurement would give each input, in words."""
    notes: tuple[str, ...]
    """What a reader should know, such as why the model keeps its batch."""
    phase: str = ""
    """The phase whose sizes axes have; empty for none."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that are nodes of the graph, at the first batch size."""
        return self.tables[0].nodes

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof inspect` prints."""
        from onnxprof.publish.tables import layers

        return layers.parts(
            self.tables, titled(self.name, self.phase), "full", self.parameters, self.fed
        )

    def to_csv(self) -> str:
        """A row a layer, as `onnxprof inspect --format csv`."""
        from onnxprof.publish.tables import layers

        return layers.to_csv(self.tables)

    def document(self) -> dict[str, Any]:
        """What `onnxprof inspect --json` prints."""
        from onnxprof.publish.json.inspected import inspected

        return inspected(self.tables, self.name, self.parameters, self.fed, self.phase)

    def to_xlsx(self) -> bytes:
        """A sheet a batch size."""
        from onnxprof.publish.workbook.models import layers_book

        return layers_book(self.tables, "full", self.name)

    def to_markdown(self) -> str:
        """As `onnxprof inspect --format md`."""
        from onnxprof.publish.tables import layers

        return layers.to_markdown(self.tables, "full", titled(self.name, self.phase))


@dataclass(frozen=True, slots=True, repr=False)
class Costs(Shown):
    """Operations, bytes and parameters of each layer at batch sizes."""

    name: str
    costed: tuple[tuple[LayerTable, tuple[LayerCost, ...]], ...]
    """The layers at each batch size, and their costs in the order of the table's nodes."""
    notes: tuple[str, ...]
    phase: str = ""
    """The phase whose sizes axes have; empty for none."""

    @property
    def layers(self) -> tuple[LayerCost, ...]:
        """The costs at the first batch size."""
        return self.costed[0][1]

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof inspect --cost` prints."""
        from onnxprof.publish.reasons import costs

        return costs.parts(self.costed, titled(self.name, self.phase))

    def to_csv(self) -> str:
        """As `onnxprof inspect --cost --format csv`."""
        from onnxprof.publish.reasons import costs

        return costs.to_csv(self.costed)

    def document(self) -> dict[str, Any]:
        """What `onnxprof inspect --cost --json` prints."""
        from onnxprof.publish.json.inspected import costed

        return costed(self.costed, self.name, self.phase)

    def to_xlsx(self) -> bytes:
        """A sheet a batch size."""
        from onnxprof.publish.workbook.models import costs_book

        return costs_book(self.costed, self.name)

    def to_markdown(self) -> str:
        """As `onnxprof inspect --cost --format md`."""
        from onnxprof.publish.reasons import costs

        return costs.to_markdown(self.costed, titled(self.name, self.phase))


@dataclass(frozen=True, slots=True, repr=False)
class SymbolicCosts(Shown):
    """The same as expressions in the free axes."""

    name: str
    cost: SymbolicCost
    points: tuple[Mapping[str, int], ...]
    """Sizes of the axes at which the sums are shown."""
    notes: tuple[str, ...]
    phase: str = ""
    """The phase whose sizes axes have; empty for none."""

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof inspect --cost --symbolic` prints."""
        from onnxprof.publish.reasons import symbolic_costs

        return symbolic_costs.parts(self.cost, titled(self.name, self.phase), self.points)

    def to_csv(self) -> str:
        """As `onnxprof inspect --cost --symbolic --format csv`."""
        from onnxprof.publish.reasons import symbolic_costs

        return symbolic_costs.to_csv(self.cost)

    def document(self) -> dict[str, Any]:
        """What `onnxprof inspect --cost --symbolic --json` prints."""
        from onnxprof.publish.json.inspected import symbolic

        return symbolic(self.cost, self.name, self.points, self.phase)

    def to_markdown(self) -> str:
        """As `onnxprof inspect --cost --symbolic --format md`."""
        from onnxprof.publish.reasons import symbolic_costs

        return symbolic_costs.to_markdown(self.cost, titled(self.name, self.phase))
