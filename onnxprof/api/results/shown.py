"""What all results have in common: text, HTML for a notebook, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxprof import folders
from onnxprof.errors import UsageError
from onnxprof.writing import unwritable

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Endings of files, and the format that each means.
ENDINGS: Mapping[str, str] = {
    ".csv": "csv",
    ".json": "json",
    ".md": "md",
    ".markdown": "md",
    ".txt": "table",
    ".xlsx": "xlsx",
}


class Printed:
    """A result that prints itself as its command does."""

    __slots__ = ()

    def parts(self) -> Iterable[RenderableType]:
        """Tables and texts, for `rich.print`."""
        raise NotImplementedError

    def table(self, width: int = 80) -> str:
        """The result as plain text, `width` columns wide."""
        from onnxprof.publish.notebook.plain import plain_text

        return plain_text(*self.parts(), width=width)

    def __str__(self) -> str:
        return self.table().rstrip("\n")

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from onnxprof.publish.notebook.html import preformatted

        return preformatted(self.table(width=100))


class Shown(Printed):
    """A result that is written in several formats, too."""

    __slots__ = ()

    def to_csv(self) -> str:
        """The result as CSV."""
        raise NotImplementedError

    def document(self) -> dict[str, Any]:
        """What `--json` prints, as dicts and lists (docs/json.md)."""
        raise NotImplementedError

    def to_json(self) -> str:
        """The same as text."""
        from onnxprof.publish.json.documents import text

        return text(self.document())

    def to_xlsx(self) -> bytes:
        """The result as a workbook. Raises UsageError where XlsxWriter is not installed."""
        raise UsageError("this has no form as a workbook", remedy="Save it as .csv")

    def to_markdown(self) -> str:
        """The result as Markdown."""
        raise NotImplementedError

    def content(self, kind: str) -> str | bytes:
        """The result as `csv`, `json`, `md`, `table` or `xlsx`."""
        writers: dict[str, Callable[[], str | bytes]] = {
            "csv": self.to_csv,
            "json": self.to_json,
            "md": self.to_markdown,
            "table": self.table,
            "xlsx": self.to_xlsx,
        }
        return writers[kind]()

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a file, whose ending says the format: `.csv`, `.json`, `.md`, `.txt` or `.xlsx`.

        Returns the path. Raises UsageError for another ending, and where it cannot be written.
        """
        place = folders.expanded(Path(path))
        kind = chosen(place, ENDINGS)
        return written(place, lambda: self.content(kind))


def chosen(path: Path, endings: Mapping[str, str]) -> str:
    """The format that a path's ending means. Raises UsageError for one that means none."""
    found = endings.get(path.suffix.lower())
    if found is None:
        raise UsageError(
            f"no format has files that end in {path.suffix!r}",
            where=str(path),
            remedy=f"End it in one of {', '.join(endings)}",
        )
    return found


def written(path: Path, content: Callable[[], str | bytes]) -> Path:
    """Write a file of UTF-8, lone surrogates as escapes. Raises UsageError where that fails."""
    made = content()
    data = made.encode("utf-8", "backslashreplace") if isinstance(made, str) else made
    try:
        path.write_bytes(data)
    except OSError as error:
        raise unwritable(path, error) from error
    return path
