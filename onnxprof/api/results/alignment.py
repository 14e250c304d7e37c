"""Runs of one model side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.api.results.shown import Shown
from onnxprof.compare import table as tables
from onnxprof.compare.over_batches import Batches

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxprof.publish.comparing.alignment import Choice


@dataclass(frozen=True, slots=True, repr=False)
class Alignment(Shown):
    """Runs side by side, a row for each block of layers that any run executes as one step."""

    record: tables.Alignment | Batches
    """Columns, rows and sums; over batches, their points."""
    choice: Choice
    """Which blocks are shown, and in which order."""

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof align` prints."""
        return [self.laid_out(80)]

    def table(self, width: int = 80) -> str:
        """The alignment as plain text, `width` columns wide."""
        from onnxprof.publish.notebook.plain import plain_text

        return plain_text(self.laid_out(width), width=width)

    def laid_out(self, width: int) -> RenderableType:
        """The table for a terminal of that width."""
        from onnxprof.publish.comparing import alignment_table, over_batches

        if isinstance(self.record, Batches):
            return over_batches.table(self.record, self.choice, width)
        return alignment_table.table(self.record, self.choice)

    def to_csv(self) -> str:
        """All blocks, as `onnxprof align --format csv`."""
        from onnxprof.publish.comparing import alignment_text, over_batches

        if isinstance(self.record, Batches):
            return over_batches.to_csv(self.record)
        return alignment_text.to_csv(self.record)

    def document(self) -> dict[str, Any]:
        """All blocks, as `onnxprof align --json`."""
        from onnxprof.publish.json.comparing import aligned

        return aligned(self.record)

    def to_xlsx(self) -> bytes:
        """All blocks, as a workbook."""
        from onnxprof.publish.workbook.comparisons import alignment_book

        return alignment_book(self.record)

    def to_markdown(self) -> str:
        """As `onnxprof align --format md`."""
        from onnxprof.publish.comparing import alignment_text, over_batches

        if isinstance(self.record, Batches):
            return over_batches.markdown(self.record, self.choice)
        return alignment_text.markdown(self.record, self.choice)
