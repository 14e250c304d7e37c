"""Models on systems over sizes of an axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from onnxprof.api.results.shown import Shown
from onnxprof.compare.scaling import Scaling

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class Scalings(Shown, Sequence[Scaling]):
    """What a call costs whatever its size and what an item adds: for each model on each system."""

    records: tuple[Scaling, ...]
    limit: int | None = 20
    """Blocks of layers that are shown; None for all."""
    latency_limit_ns: int | None = None
    """A latency for which the best size is named."""

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Scaling]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Scaling: ...

    @overload
    def __getitem__(self, index: slice) -> Scalings: ...

    def __getitem__(self, index: int | slice) -> Scaling | Scalings:
        """One of them, or a part."""
        if isinstance(index, slice):
            return Scalings(self.records[index], self.limit, self.latency_limit_ns)
        return self.records[index]

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof scaling` prints."""
        from onnxprof.publish.scaling import tables

        return tables.tables(self.records, self.limit, self.latency_limit_ns)

    def to_csv(self) -> str:
        """All blocks, as `onnxprof scaling --format csv`."""
        from onnxprof.publish.scaling import data

        return data.to_csv(self.records)

    def document(self) -> dict[str, Any]:
        """All blocks, as `onnxprof scaling --json`."""
        from onnxprof.publish.json.comparing import scaled

        return scaled(self.records, self.latency_limit_ns)

    def to_xlsx(self) -> bytes:
        """All blocks, as a workbook."""
        from onnxprof.publish.workbook.comparisons import scaling_book

        return scaling_book(self.records)

    def to_markdown(self) -> str:
        """As `onnxprof scaling --format md`."""
        from onnxprof.publish.scaling import tables

        return "\n".join(
            tables.markdown(one, self.limit, self.latency_limit_ns) for one in self.records
        )
