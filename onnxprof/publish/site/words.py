"""What a site or a report holds, in words."""

from __future__ import annotations

from typing import Protocol

from onnxprof.publish.text.safe import counted


class Held(Protocol):
    """What is counted of a site."""

    @property
    def models(self) -> int:
        """Its models."""

    @property
    def runs(self) -> int:
        """The newest runs of each request."""

    @property
    def failed(self) -> int:
        """Those of them that failed."""

    @property
    def earlier(self) -> int:
        """Runs before the newest of their request."""


def contents(held: Held) -> str:
    """`4 models, 19 runs (6 failed) and 3 earlier ones of the same requests`."""
    failed = f" ({held.failed} failed)" if held.failed else ""
    some = counted(held.earlier, "earlier one of a request", "earlier ones of the same requests")
    earlier = f" and {some}" if held.earlier else ""
    return f"{counted(held.models, 'model', 'models')}, {counted(held.runs, 'run', 'runs')}" + (
        f"{failed}{earlier}"
    )
