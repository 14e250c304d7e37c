"""Output of commands: any encoding, closed pipes, files, formats by file ending."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from onnxprof.cli import loudness

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_HANDLER = "onnxprof"
#: Variables by which a user has rich take a stream for a terminal, or not.
_FORCES = ("FORCE_COLOR", "TTY_COMPATIBLE")
#: Rich's width where nothing says one.
_USUAL_WIDTH = 80
#: Formats of a table, with the endings of their files.
TABLES: Mapping[str, tuple[str, ...]] = {
    "table": (".txt",),
    "csv": (".csv",),
    "json": (".json",),
    "md": (".md", ".markdown"),
}
#: The same and workbooks, for commands that write those.
BOOKS: Mapping[str, tuple[str, ...]] = {**TABLES, "xlsx": (".xlsx",)}
#: Endings that promise a form: no other form is written under them.
_PROMISING = (
    *(".csv", ".tsv", ".json", ".jsonl", ".md", ".markdown", ".xlsx", ".xls", ".ods", ".parquet"),
    *(".html", ".htm", ".xml", ".pdf", ".svg", ".png", ".yaml", ".yml", ".toml", ".onnx", ".npz"),
    *(".zip", ".gz", ".xz", ".zst", ".db", ".sqlite"),
)
#: ASCII replacements of our non-ASCII characters; those in tables stay one column wide.
_STAND_INS = {
    **dict.fromkeys("█▉▊▋▌", "#"),
    **dict.fromkeys("▍▎▏", " "),
    **dict.fromkeys("─━═╌╴╶╸╺", "-"),
    **dict.fromkeys("│┃║╎", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┡┢┩╇╭╮╰╯", "+"),
    **{"µ": "u", "μ": "u", "±": "+/-", "…": "...", "×": "x", "·": ".", "−": "-", "–": "-"},
    **{"●": "*", "◐": "+", "○": "o"},
    **{"→": "->", "←": "<-", "▲": "^", "▼": "v", "≤": "<=", "≥": ">=", "≈": "~", "²": "2"},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "\u00a0": " ", "\u202f": " ", "\u2009": " "},
}


def adapt_streams() -> None:
    """Replace characters that stdout or stderr cannot encode, instead of failing.

    Our own marks become ASCII, other characters `\\uXXXX`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_STAND_INS.get(c) or _escaped(c) for c in lost), error.end


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(_HANDLER, _stand_in)


def is_plain() -> bool:
    """Whether no escape is to be written at all: NO_COLOR, or a terminal that knows none.

    That holds for colours, bold text, progress and boards alike, whatever FORCE_COLOR says.
    """
    dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    return dumb or bool(os.environ.get("NO_COLOR"))


def _styles() -> dict[str, Any]:
    """Options of a console that writes no escape where none is wanted."""
    return {"force_terminal": False, "color_system": None} if is_plain() else {}


def stderr_console() -> Console:
    """A console on stderr, for progress and notes."""
    from rich.console import Console

    return Console(stderr=True, **_styles())


def stdout_console(**options: Any) -> Console:
    """A console on stdout that raises BrokenPipeError, for `main` to handle, on a closed pipe."""
    from rich.console import Console

    class Quiet(Console):
        """A console without rich's own reaction to a closed pipe, which is exit code 1."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Quiet(**_styles(), **options)


def say(message: str) -> None:
    """Print a line about the work's progress on stderr, after `onnxprof: `, escaped."""
    note(f"onnxprof: {message}")


def note(message: str) -> None:
    """Print a line on stderr that comments the output, as on what is left out, escaped.

    With `-qq` nothing is printed.
    """
    from onnxprof.publish.text.safe import printable

    if loudness.level() > loudness.SILENT:
        typer.echo(printable(message), err=True)


def complain(message: str) -> None:
    """Print a line about something that failed, after `onnxprof: `, also with `-qq`."""
    from onnxprof.publish.text.safe import printable

    typer.echo(f"onnxprof: {printable(message)}", err=True)


def detail(message: str) -> None:
    """Print a line on stderr about what is going on, for who asked for it with `-v`."""
    if loudness.level() >= loudness.DETAILED:
        say(message)


def display(*parts: RenderableType) -> None:
    """Print tables and texts on stdout, in the terminal's width and colours."""
    parts = tuple(parts)
    text = None if is_terminal(sys.stdout) else _without_rich(parts, terminal_width())
    if text is not None:
        typer.echo(text, nl=False)
        return
    console = stdout_console(highlight=False)
    for part in _encodable(parts):
        console.print(part, markup=False)


def _encodable(parts: Sequence[Any]) -> Sequence[Any]:
    """The parts, on a console that lacks characters with what stands in for them."""
    if _is_unicode(sys.stdout):
        return parts
    from onnxprof.publish.notebook.encodable import encodable

    name = getattr(sys.stdout, "encoding", None) or "ascii"

    def encode(text: str) -> str:
        return text.encode(name, _HANDLER).decode(name)

    return [encodable(part, encode) for part in parts]


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal that takes escapes, or may pass for one by rich's rules."""
    if is_plain():
        return False
    if stream is None or any(name in os.environ for name in _FORCES):
        return True
    return bool(stream.isatty())


def _without_rich(parts: Iterable[object], width: int) -> str | None:
    """Tables and texts as plain text; None where only rich, which takes long to import, can.

    That is for colours, for other characters than ASCII, and for an encoding without lines.
    """
    from onnxprof.publish.tables.grid import plain

    if sys.platform == "win32" or not _is_unicode(sys.stdout):
        return None
    found = [plain(part, width) for part in parts]
    return None if None in found else "".join(filter(None, found))


def _is_unicode(stream: Any) -> bool:
    return str(getattr(stream, "encoding", "") or "").lower().startswith("utf")


def terminal_width() -> int:
    """The width that rich would find, without importing it."""
    if os.environ.get("COLUMNS", "").isdigit():
        return int(os.environ["COLUMNS"])
    for descriptor in range(3):
        with suppress(ValueError, OSError):
            return os.get_terminal_size(descriptor).columns or _USUAL_WIDTH
    return _USUAL_WIDTH


def plain_text(*parts: RenderableType, width: int = 80) -> str:
    """Tables and texts as plain text, `width` columns wide."""
    from onnxprof.publish.notebook import plain

    return plain.plain_text(*parts, width=width)


def deliver(content: str | bytes, output: str | Path | None = None) -> None:
    """Write to a file, or to stdout if none is named; `-` means stdout.

    Raises UsageError where the file cannot be written.
    """
    deliver_parts([content], output)


def deliver_document(document: Mapping[str, Any], output: str | Path | None = None) -> None:
    """Write a document of `onnxprof.publish.json` to a file or to stdout, as `deliver` does."""
    from onnxprof.publish.json.documents import text

    deliver(text(document), output)


def deliver_parts(parts: Iterable[str | bytes], output: str | Path | None = None) -> None:
    """As `deliver`, a part at a time; a file changes once all of them are there."""
    from onnxprof.writing import unwritable

    if output is None or str(output) in ("", "-"):
        for part in parts:
            typer.echo(_encoded(part), nl=False)
        return
    try:
        _write(Path(output), map(_encoded, parts))
    except OSError as error:
        raise unwritable(output, error) from error


def _encoded(part: str | bytes) -> bytes:
    return part.encode("utf-8", "backslashreplace") if isinstance(part, str) else part


def _write(path: Path, parts: Iterable[bytes]) -> None:
    """Pipes, devices, links and what lies in a folder that is read-only are written in place."""
    import secrets
    import shutil

    replaceable = path.is_file() and os.access(path, os.W_OK) and not path.is_symlink()
    if (path.exists() and not replaceable) or not os.access(path.parent, os.W_OK):
        with path.open("wb") as file:
            file.writelines(parts)
        return
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.writelines(parts)
        if replaceable:
            shutil.copymode(path, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def abandon_stdout() -> None:
    """Redirect stdout to the null device after its pipe was closed, so that flushing succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def file_format(
    given: str,
    output: str | Path | None,
    endings: Mapping[str, tuple[str, ...]],
    usual: str,
    as_json: bool = False,
    folders: Sequence[str] = (),
) -> str:
    """The format named with --format or --json, else that of the ending, else the usual one.

    `endings` has every format with the endings of its files, the format that an ending means
    first; those among `folders` may write a folder. Raises UsageError for an ending of no format,
    or of another one than was named, for a format that does not exist, and for a file that cannot
    be written, so that no work is done for it.
    """
    chosen = _format(given, output, endings, usual, as_json)
    if chosen not in folders:
        from onnxprof.writing import refuse_unwritable

        refuse_unwritable(output)
    return chosen


def _format(
    given: str,
    output: str | Path | None,
    endings: Mapping[str, tuple[str, ...]],
    usual: str,
    as_json: bool,
) -> str:
    from onnxprof.errors import UsageError, choices, did_you_mean

    if as_json and given not in ("", "json"):
        raise UsageError(f"--json and --format {given} do not go together", remedy="Give one")
    if given and given not in endings:
        remedy = f"{did_you_mean(given, endings)}Choose {choices(endings)}"
        raise UsageError(f"no format {given!r}", remedy=remedy)
    named, given = ("--json", "json") if as_json else (f"--format {given}", given)
    ending = Path(output).suffix.lower() if output else ""
    fitting = [name for name, theirs in endings.items() if ending in theirs]
    if given and (given in fitting or (not fitting and ending not in _PROMISING)):
        return given
    listed = ", ".join(
        f"{name} ({', '.join(theirs)})" if theirs else name for name, theirs in endings.items()
    )
    if given:
        raise UsageError(
            f"{named} and the ending {ending} do not go together",
            where=str(output),
            remedy=f"Leave one of them out, or make them agree: {listed}",
        )
    if ending and not fitting:
        raise UsageError(
            f"no format has files that end in {ending}",
            where=str(output),
            remedy=f"End it as one of these, or add --format: {listed}",
        )
    return fitting[0] if fitting else usual
