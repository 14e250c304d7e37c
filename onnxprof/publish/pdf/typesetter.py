"""Typesetting by typst in this process, with a cache by digests of the documents' inputs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.publish.disk import package
from onnxprof.publish.disk.cache import Cache, digest

if TYPE_CHECKING:
    from typst import Compiler

_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
#: Typst keeps what documents share until ten more have been set without it, 80 MiB for one of 600
#: rows. After this many characters of data ten empty documents make it forget.
_MOST_DATA = 250_000
_KEPT_FOR = 10
#: Pixels an inch of a picture; an inch has 72 points.
_PPI = 144


class Form(StrEnum):
    """What a document is set as."""

    PDF = "pdf"
    PNG = "png"
    """A picture of its one page, two pixels a point."""


@dataclass(frozen=True, slots=True)
class Manuscript:
    """The inputs of a document: a template's name, data as JSON, a date."""

    template: str
    data: str
    created: str
    """ISO 8601; the document carries this time, so that its bytes do not depend on the clock."""
    form: Form = Form.PDF

    def digest(self) -> str:
        """Digest of everything that the bytes of the document depend on."""
        form = () if self.form is Form.PDF else (self.form.value,)
        return digest(_typst_version(), _source(self.template), self.data, self.created, *form)


def compile_pdf(manuscript: Manuscript) -> bytes:
    """The PDF of a manuscript, or its picture; the same bytes every time and everywhere.

    Only the fonts within the typst package are used. Raises UsageError if it is missing.
    """
    try:
        import typst
    except ImportError as error:
        raise UsageError(
            "PDFs need typst, which is not installed", remedy='pip install "onnxprof[site]"'
        ) from error
    _forget(len(manuscript.data))
    try:
        made = _compiler().compile(
            _source(manuscript.template),
            sys_inputs={"data": manuscript.data},
            format=manuscript.form.value,
            timestamp=_timestamp(manuscript.created),
            **({"pdf_tags": False} if manuscript.form is Form.PDF else {"ppi": _PPI}),
        )
    except typst.TypstError as error:
        raise OnnxprofError(f"typst could not set this page: {error}") from error
    if not isinstance(made, bytes):
        raise OnnxprofError("typst made no document of this page")
    return made


def pressed(manuscript: Manuscript, kept: Cache) -> bytes:
    """The document of a manuscript, from the cache where it is there."""
    key = manuscript.digest()
    pdf = kept.get(key)
    if pdf is None:
        pdf = compile_pdf(manuscript)
        kept.put(key, pdf)
    return pdf


@dataclass(slots=True)
class _Seen:
    """Characters of data that this process has passed to typst since its cache was emptied."""

    characters: int = 0


_SEEN = _Seen()
_KEPT = threading.local()


def _compiler() -> Compiler:
    """This thread's compiler, which reads the fonts once."""
    import typst

    if not hasattr(_KEPT, "compiler"):
        _KEPT.compiler = typst.Compiler(ignore_system_fonts=True)
    compiler: Compiler = _KEPT.compiler
    return compiler


def _forget(characters: int) -> None:
    """Empty typst's cache if much data has passed through it, then count the next document's."""
    if _SEEN.characters > _MOST_DATA:
        _SEEN.characters = 0
        for _ in range(_KEPT_FOR):
            _compiler().compile(b" ", sys_inputs={}, format="pdf")
    _SEEN.characters += characters


@cache
def _source(template: str) -> bytes:
    return (package.folder("site") / "templates" / template).read_bytes()


@cache
def _typst_version() -> str:
    try:
        return version("typst")
    except PackageNotFoundError:
        return ""


def _timestamp(created: str) -> datetime:
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return _EPOCH
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
