"""What of a plan is done: told by the store's file names, no run is opened for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from onnxprof.records.run import Request
from onnxprof.store.answers import Answer, answers, answers_of
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Store


@dataclass(slots=True)
class Answers:
    """The runs of a store by the digest of their request; each folder is listed once."""

    store: Store
    _folders: dict[tuple[str, str, str], dict[str, list[Answer]]] = field(default_factory=dict)

    def to(self, request: Request) -> list[Answer]:
        """The runs that answered a request, the failed ones among them."""
        place = (request.model_name, request.device_id, request.backend)
        if place not in self._folders:
            self._folders[place] = _by_digest(answers(self.store, *place))
        return self._folders[place].get(request_digest(request), [])


def _by_digest(found: list[Answer]) -> dict[str, list[Answer]]:
    sorted_out: dict[str, list[Answer]] = {}
    for answer in found:
        sorted_out.setdefault(answer.digest, []).append(answer)
    return sorted_out


def _same(_: Request, __: Path) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Policy:
    """Which jobs are run although the store has something of them."""

    again: bool = False
    """All of them."""
    retry_failed: bool = False
    """Those that only failed."""
    is_current: Callable[[Request, Path], bool] = _same
    """Whether a stored run is of today's runtime and driver."""
    repeats: bool = False
    """A request may be run more than once in a sweep."""

    def wants(self, request: Request, answers: Answers) -> bool:
        """Whether the job of a request is to be run."""
        return self.again or self._standing(request, answers.to(request)) is None

    def standing(self, request: Request, answers: Answers) -> str | None:
        """`done`, `failed`, or None where the job is to be run."""
        return None if self.again else self._standing(request, answers.to(request))

    def _standing(self, request: Request, found: list[Answer]) -> str | None:
        current = [each for each in found if self.is_current(request, each.path)]
        if any(not each.failed for each in current):
            return "done"
        return "failed" if current and not self.retry_failed else None

    def unwanted(self, store: Store, model_name: str) -> frozenset[str]:
        """Digests of the requests of a model that are not to be run."""
        if self.again:
            return frozenset()
        found = _by_digest(answers_of(store, model_name))
        return frozenset(
            digest
            for digest, each in found.items()
            if not self.retry_failed or any(not answer.failed for answer in each)
        )
