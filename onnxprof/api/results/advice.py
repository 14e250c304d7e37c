"""What to change in networks, and what that is expected to gain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from onnxprof.api.results.shown import Shown
from onnxprof.reasons.advice.advise import Advice as Advised

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, repr=False)
class Advice(Shown, Sequence[Advised]):
    """The findings on each run, the largest expected gain first."""

    records: tuple[Advised, ...]
    limit: int | None = 12
    """Findings that are shown of a run; None for all, small ones as well."""

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Advised]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> Advised: ...

    @overload
    def __getitem__(self, index: slice) -> Advice: ...

    def __getitem__(self, index: int | slice) -> Advised | Advice:
        """The advice on one run, or on some."""
        if isinstance(index, slice):
            return Advice(self.records[index], self.limit)
        return self.records[index]

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof advise` prints."""
        from onnxprof.publish.reasons import advice

        return advice.tables(self.records, self.limit)

    def to_csv(self) -> str:
        """All findings, as `onnxprof advise --format csv`."""
        from onnxprof.publish.reasons import advice

        return advice.to_csv(self.records)

    def document(self) -> dict[str, Any]:
        """All findings, as `onnxprof advise --json`."""
        from onnxprof.publish.json.reasons import advised

        return advised(self.records)

    def to_markdown(self) -> str:
        """As `onnxprof advise --format md`."""
        from onnxprof.publish.reasons import advice

        return "\n".join(advice.markdown(one, self.limit) for one in self.records)
