"""A web server for a built site, on the loopback interface only and without a log."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from onnxprof.errors import UsageError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""

    def send_head(self) -> Any:
        """Answer 400 to a path that no file can have, as one with a NUL."""
        try:
            return super().send_head()
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST, "Bad path")
            return None

    def end_headers(self) -> None:
        """Tell browsers not to cache pages, which the next build replaces."""
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024
    """Connections that may wait at once; a page opens more than the default of five."""


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server on the loopback interface that is bound but not yet serving.

    Raises UsageError if there is no site in the folder or the port is taken.
    """
    if not (folder / "index.html").is_file():
        raise UsageError(
            "there is no site",
            where=str(folder),
            remedy=f"Build one: onnxprof site build --out {folder}",
        )
    try:
        return _Server(("127.0.0.1", port), partial(_Quiet, directory=str(folder.resolve())))
    except OSError as error:
        raise UsageError(
            f"cannot listen on port {port}: {error.strerror}",
            remedy="Choose another with --port, or 0 for a free one",
        ) from error
