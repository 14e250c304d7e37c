"""What got slower, faster or stayed the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.api.results.shown import Shown
from onnxprof.compare import changes

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class Comparison(Shown):
    """What is slower, faster or the same in B, for each model and layer."""

    record: changes.Comparison
    """Every pair with its latency, its rows and what limits the verdicts."""
    limit: int | None = 12
    """Rows that are shown of a pair, those that changed always; None for all."""

    @property
    def regressed(self) -> bool:
        """Whether any model or layer is slower."""
        return self.record.regressed

    @property
    def pairs(self) -> tuple[changes.Pair, ...]:
        """One for each model at each batch size."""
        return self.record.pairs

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof compare` prints."""
        from onnxprof.publish.comparing import changes as renderers

        return [renderers.table(self.record, limit=self.limit)]

    def to_csv(self) -> str:
        """All rows, as `onnxprof compare --format csv`."""
        from onnxprof.publish.comparing import changes as renderers

        return renderers.to_csv(self.record)

    def document(self) -> dict[str, Any]:
        """All of it, as `onnxprof compare --json`."""
        from onnxprof.publish.json.comparing import compared

        return compared(self.record)

    def to_xlsx(self) -> bytes:
        """All of it, as a workbook."""
        from onnxprof.publish.workbook.comparisons import comparison_book

        return comparison_book(self.record)

    def to_markdown(self) -> str:
        """For a pull request, as `onnxprof compare --format md`."""
        from onnxprof.publish.comparing import changes as renderers

        return renderers.markdown(self.record)
