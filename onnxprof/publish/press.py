"""Typst, run in this process or in workers, behind a cache that knows content by its digest.

Imports nothing of ours that is heavy: a worker process starts with this module.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

from onnxprof.contracts import OnnxprofError, UsageError

#: From so many documents on, starting workers is cheaper than doing without.
WORTH_WORKERS = 12
WORKERS = 2
#: The compiler keeps what it has seen; a fresh process forgets it.
DOCUMENTS_PER_WORKER = 60
_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Manuscript:
    """What a document is made of: a template's name, its data as JSON, its date."""

    template: str
    data: str
    created: str
    """ISO 8601; the document carries this time, so that its bytes do not depend on the clock."""

    def digest(self) -> str:
        """Of everything that the bytes of the document depend on."""
        parts = (_typst_version(), _source(self.template), self.data, self.created)
        whole = sha256()
        for part in parts:
            raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
            whole.update(len(raw).to_bytes(8, "big") + raw)
        return whole.hexdigest()


def compile_pdf(manuscript: Manuscript) -> bytes:
    """The PDF of a manuscript; the same bytes every time and everywhere.

    Only the fonts within the typst package are used. Raises UsageError if it is missing.
    """
    try:
        import typst
    except ImportError as error:
        raise UsageError(
            "PDFs need typst, which is not installed", remedy='pip install "onnxprof[site]"'
        ) from error
    try:
        made = typst.Compiler(_source(manuscript.template), ignore_system_fonts=True).compile(
            sys_inputs={"data": manuscript.data},
            format="pdf",
            timestamp=_timestamp(manuscript.created),
            pdf_tags=False,
        )
    except typst.TypstError as error:
        raise OnnxprofError(f"typst could not set this page: {error}") from error
    if not isinstance(made, bytes):
        raise OnnxprofError("typst made no PDF of this page")
    return made


def press(manuscripts: Sequence[Manuscript]) -> Iterator[bytes]:
    """The PDFs of all manuscripts, in order, from the cache where they are there."""
    folder = cache_folder()
    missing = [m for m in manuscripts if not _place(folder, m).is_file()]
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    fresh = dict(_compiled(missing))
    for manuscript in manuscripts:
        if manuscript in fresh:
            _keep(_place(folder, manuscript), fresh[manuscript])
            yield fresh[manuscript]
        else:
            yield _place(folder, manuscript).read_bytes()


def cache_folder() -> Path:
    """Where finished PDFs are kept: `ONNXPROF_CACHE`, else the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("ONNXPROF_CACHE")
    return (Path(chosen) if chosen else user_cache_path("onnxprof")) / "pdf"


def _compiled(manuscripts: Sequence[Manuscript]) -> Iterator[tuple[Manuscript, bytes]]:
    if len(manuscripts) < WORTH_WORKERS:
        yield from ((m, compile_pdf(m)) for m in manuscripts)
        return
    made = 0
    try:
        for pdf in _by_workers(manuscripts):
            yield manuscripts[made], pdf
            made += 1
    except BrokenProcessPool:  # a worker was killed, for want of memory perhaps
        yield from ((m, compile_pdf(m)) for m in manuscripts[made:])


def _by_workers(manuscripts: Sequence[Manuscript]) -> Iterator[bytes]:
    with ProcessPoolExecutor(
        WORKERS, mp_context=get_context("spawn"), max_tasks_per_child=DOCUMENTS_PER_WORKER
    ) as pool:
        yield from pool.map(compile_pdf, manuscripts)


def _place(folder: Path, manuscript: Manuscript) -> Path:
    return folder / f"{manuscript.digest()}.pdf"


def _keep(place: Path, pdf: bytes) -> None:
    """Put a PDF into the cache, whole or not at all; a cache that cannot be written is no loss."""
    with suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=place.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(pdf)
            Path(temporary).replace(place)
        except OSError:
            Path(temporary).unlink(missing_ok=True)


@cache
def _source(template: str) -> bytes:
    return (files("onnxprof") / "site" / "templates" / template).read_bytes()


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
