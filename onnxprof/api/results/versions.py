"""Two versions of a runtime on one model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.api.results.comparison import Comparison
from onnxprof.compare.versions.bisecting import Bisection

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class VersionsCompared(Comparison):
    """A comparison with its operators, and the search for the first slow version."""

    bisection: Bisection | None = None
    """None where none was asked for, or nothing is slower."""

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof compare --runtime` prints."""
        from onnxprof.publish.comparing import versions as renderers

        return [renderers.table(self.record, self.bisection, limit=self.limit)]

    def to_csv(self) -> str:
        """All rows or, where versions were searched, a row for each of them."""
        from onnxprof.publish.comparing import versions as renderers

        return renderers.to_csv(self.record, self.bisection)

    def document(self) -> dict[str, Any]:
        """All of it, as `onnxprof compare --runtime --json`."""
        from onnxprof.publish.json.comparing import versions_compared

        return versions_compared(self.record, self.bisection)

    def to_xlsx(self) -> bytes:
        """All of it, as a workbook."""
        from onnxprof.publish.workbook.comparisons import versions_book

        return versions_book(self.record, self.bisection)

    def to_markdown(self) -> str:
        """For a pull request, as `onnxprof compare --runtime --format md`."""
        from onnxprof.publish.comparing import versions as renderers

        return renderers.markdown(self.record, self.bisection)
