"""Records that are one JSON file each: read with every doubt, listed from several stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from onnxprof.errors import StoreError
from onnxprof.store.encoding import from_json
from onnxprof.store.guard import check_file, facts_in

T = TypeVar("T")

SUFFIX = ".json"
#: Larger than any such record.
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of record."""

    cls: type[T]
    """A frozen record with `created`."""
    noun: str
    """What a message calls the content of a file."""
    schema: int
    pattern: str
    """The files below a store, as a glob."""
    check: Callable[[T], None]
    """Raises ValueError for what no measurement gives."""
    remedy: str
    """What to do about a file that cannot be read."""


def load(kind: Kind[T], path: Path) -> T:
    """Read one file. Raises StoreError, naming it, where it cannot be read."""
    try:
        check_file(path)
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        facts: dict[str, Any] = facts_in(path.read_bytes())
        if facts.get("schema") != kind.schema:
            raise ValueError(f"it has schema {str(facts.get('schema'))[:40]!r}")
        made = from_json(kind.cls, facts)
        kind.check(made)
        return made
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        what = f"its {kind.noun} cannot be read: {error}"
        raise StoreError(what, where=str(path), remedy=kind.remedy) from error


def files(kind: Kind[T], root: Path) -> list[Path]:
    """A store's files that look like records of the kind, by name."""
    return sorted(root.glob(kind.pattern))


def stored(kind: Kind[T], roots: Iterable[Path]) -> tuple[list[tuple[Path, T]], list[StoreError]]:
    """All records with their files, oldest first, and what could not be read."""
    good: list[tuple[Path, T]] = []
    bad: list[StoreError] = []
    for path in (path for root in roots for path in files(kind, root)):
        try:
            good.append((path, load(kind, path)))
        except StoreError as error:
            bad.append(error)
    return sorted(good, key=_created), bad


def _created(found: tuple[Path, Any]) -> str:
    return str(found[1].created)
