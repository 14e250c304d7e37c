"""A server of models on the loopback: Hugging Face's and the ONNX Model Zoo's in one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest

from support.networks import models

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = models.linear().SerializeToString()
DIGEST = hashlib.sha256(MODEL).hexdigest()


class Server:
    """Files by address, how to answer for them, and what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.status: dict[str, tuple[int, str]] = {}
        self.cut: set[str] = set()
        self.other: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = ""


@contextmanager
def serving() -> Iterator[Server]:
    """A server that answers for what a test puts there."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, whole: bool) -> None:
            path = unquote(self.path.partition("?")[0]).lstrip("/")
            for revision in ("main", "v1.0"):
                path = path.replace(f"/resolve/{revision}/", f"/resolve/{COMMIT}/")
            state.asked.append(f"{self.command} {path}")
            code, header = state.status.get(path, (200 if path in state.files else 404, ""))
            body = state.files.get(path, b"") if code == 200 else b"no"
            self.send_response(code)
            if code == 200:
                self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            if code == 404 and not header:
                header = "EntryNotFound"
            if header:
                self.send_header("X-Error-Code", header)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if whole:
                body = state.other.get(path, body)
                self.wfile.write(body[: len(body) // 2] if path in state.cut else body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@contextmanager
def alone(tmp_path: Path) -> Iterator[Server]:
    """A server that everything is asked of; what comes is kept in a folder of the test's own."""
    with serving() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
        patch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
        patch.setenv("HF_ENDPOINT", server.url)
        patch.setenv("ONNXPROF_HUB", server.url)
        names = ("ONNXPROF_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN", "ONNXPROF_MAX_DOWNLOAD")
        for name in (*names, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        yield server


def put(server: Server, file: str, data: bytes, repo: str = "org/net") -> str:
    path = f"{repo}/resolve/{COMMIT}/{file}"
    server.files[path] = data
    return path


def entry(name: str, opset: int = 12, path: str = "", **facts: object) -> dict[str, object]:
    metadata = {"model_sha": DIGEST, "model_bytes": len(MODEL), **facts}
    place = path or f"validated/{name.lower()}-{opset}.onnx"
    return {"model": name, "model_path": place, "opset_version": opset, "metadata": metadata}


def list_hub(server: Server, *entries: dict[str, object]) -> None:
    server.files["ONNX_HUB_MANIFEST.json"] = json.dumps(entries).encode()
    for each in entries:
        server.files.setdefault(str(each["model_path"]), MODEL)


def files(tmp_path: Path) -> list[Path]:
    """What the hub's cache holds, but for its list."""
    return [p for p in (tmp_path / "cache" / "hub").glob("*") if not p.name.startswith("manifest")]
