"""Writes the files of a site."""

from __future__ import annotations

from pathlib import Path

from onnxprof.publish.text.csv import spreadsheet_name, spreadsheet_variant


def write(path: Path, content: str | bytes) -> None:
    """Write a file of the site, its folder too; text that is no Unicode as escapes.

    Beside a CSV stands its variant for spreadsheets, where these would read it otherwise.
    """
    data = encoded(content)
    try:
        path.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if path.suffix == ".csv" and (variant := spreadsheet_variant(data.decode())):
        path.with_name(spreadsheet_name(path.name)).write_bytes(variant.encode())


def encoded(content: str | bytes) -> bytes:
    """UTF-8, with lone surrogates as escapes."""
    if isinstance(content, bytes):
        return content
    return content.encode("utf-8", "backslashreplace")
