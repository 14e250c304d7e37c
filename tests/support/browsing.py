"""Fixtures that drive a real Chromium; a module names them with `pytest_plugins`.

The module has a fixture `out` of its own: the folder of the site to visit.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onnxprof.publish.disk.serve import server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module", params=["http", "file"])
def root(request: pytest.FixtureRequest, out: Path) -> Iterator[str]:
    """The site's address: below a path with a space in it, or on disk."""
    if request.param == "file":
        yield out.as_uri()
        return
    (out.parent / "index.html").touch()
    with server(out.parent) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/sub%20path"
        httpd.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    if os.environ.get("ONNXPROF_REQUIRE_BROWSER"):
        import playwright.sync_api as playwright
    else:
        playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, root: str) -> Iterator[Any]:
    """A page that must log nothing, fail no request and ask nobody else."""
    context = browser.new_context(accept_downloads=True)
    opened = context.new_page()
    troubles: list[str] = []
    # a bare SVG cannot say that it has no icon, so the browser may ask for one
    opened.on(
        "console",
        lambda message: (
            None
            if message.location.get("url", "").endswith("/favicon.ico")
            else troubles.append(message.text)
        ),
    )
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    opened.on(
        "requestfailed",
        # aborted: a download that ends its navigation, an image replaced before it came
        lambda asked: (
            None
            if asked.failure == "net::ERR_ABORTED"
            else troubles.append(f"{asked.failure} {asked.url}")
        ),
    )
    opened.on(
        "response",
        lambda got: troubles.append(f"{got.status} {got.url}") if got.status >= 400 else None,
    )
    opened.on(
        "request",
        lambda asked: (
            None if asked.url.startswith((root, "data:")) else troubles.append(f"left: {asked.url}")
        ),
    )
    yield opened
    context.close()
    assert troubles == []


@pytest.fixture
def until(page: Any) -> Callable[[str], None]:
    """Wait for an expression to hold; the pages' policy forbids what `wait_for_function` does."""

    def wait(expression: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not page.evaluate(expression):
            assert time.monotonic() < end, expression
            page.wait_for_timeout(50)

    return wait
