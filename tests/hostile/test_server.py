"""The site's server answers whatever is asked of it, and many at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxprof.publish.disk.serve import server


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "index.html").write_text("here")
    (tmp_path.parent / "secret").write_text("secret")
    with server(tmp_path) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield httpd.server_port
        httpd.shutdown()


def read(channel: socket.socket) -> bytes:
    return b"".join(iter(lambda: channel.recv(65536), b""))


def asked(port: int, path: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as channel:
        channel.sendall(b"GET " + path + b" HTTP/1.0\r\n\r\n")
        return read(channel)


@pytest.mark.parametrize(
    "path", [b"/%00", b"/a%00b", b"/%", b"/" + b"a" * 5000, b"/../secret", b"/%2e%2e/secret", b"//"]
)
def test_odd_paths_have_an_answer(path: bytes, port: int, capfd: pytest.CaptureFixture) -> None:
    answer = asked(port, path)
    assert answer.startswith(b"HTTP/1.0 ")
    assert b"secret" not in answer.split(b"\r\n\r\n")[1] or b"404" in answer
    assert (b"400" in answer.split(b"\r\n")[0]) == (b"%00" in path)
    assert capfd.readouterr().err == ""


def test_two_hundred_at_once(port: int) -> None:
    channels = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(200)]
    for channel in channels:
        channel.sendall(b"GET / HTTP/1.0\r\n\r\n")
    for channel in channels:
        with channel:
            assert read(channel).endswith(b"here")
