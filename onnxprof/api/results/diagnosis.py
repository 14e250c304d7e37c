"""What works on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.api.results.shown import Printed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from onnxprof.doctor import Diagnosis as Diagnosed


@dataclass(frozen=True, slots=True, repr=False)
class Diagnosis(Printed):
    """Which backends and devices work here, what the others need, what keeps measurements apart."""

    record: Diagnosed

    @property
    def works(self) -> bool:
        """Whether any backend works on any device."""
        return self.record.works

    def parts(self) -> Iterable[RenderableType]:
        """What `onnxprof doctor` prints."""
        return [self.table()]

    def table(self, width: int = 80) -> str:
        """The same as text, which is for 80 columns."""
        from onnxprof.publish.diagnosis.lines import lines

        del width
        return "\n".join(lines(self.record)) + "\n"

    def document(self) -> dict[str, Any]:
        """What `onnxprof doctor --json` prints, as dicts and lists."""
        from onnxprof.publish.json.tools import doctor

        return doctor(self.record)

    def to_json(self) -> str:
        """The same as text."""
        from onnxprof.publish.json.documents import text

        return text(self.document())
