"""Phases of models with states, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from onnxprof.api.results.shown import Shown
from onnxprof.compare.growth.phases import Phases

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class Phased(Shown, Sequence[Phases]):
    """Times to the first token and per token, layer by layer: for each model on each system."""

    records: tuple[Phases, ...]
    limit: int | None = 10
    """Blocks of layers that are shown; None for all."""

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Phases]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Phases: ...

    @overload
    def __getitem__(self, index: slice) -> Phased: ...

    def __getitem__(self, index: int | slice) -> Phases | Phased:
        """One of them, or a part."""
        if isinstance(index, slice):
            return Phased(self.records[index], self.limit)
        return self.records[index]

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof phases` prints."""
        from onnxprof.publish.phases.tables import table

        return [part for one in self.records for part in table(one, self.limit)]

    def to_csv(self) -> str:
        """All blocks, as `onnxprof phases --format csv`."""
        from onnxprof.publish.phases.data import to_csv

        return to_csv(self.records)

    def document(self) -> dict[str, Any]:
        """All blocks, as `onnxprof phases --json`."""
        from onnxprof.publish.json.comparing import phases_side_by_side

        return phases_side_by_side(self.records)

    def to_markdown(self) -> str:
        """As `onnxprof phases --format md`."""
        from onnxprof.publish.phases.markdown import markdown

        return "\n".join(markdown(one, self.limit) for one in self.records)
