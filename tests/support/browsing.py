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
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
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


class Tab:
    """One page for all tests of a module: a process of its own for each takes twice the CPU.

    Every test finds it empty, in the size, scheme and place of the mouse that a new page has.
    """

    def __init__(self, browser: Any, **options: Any) -> None:
        self._context = browser.new_context(**options)
        self._page: Any = None

    def emptied(self) -> Any:
        """The page with nothing in it; a new one where the last test lost it."""
        try:
            if self._page is not None:
                self._emptied(self._page)
                return self._page
        except Exception:  # crashed, closed, or busy for good
            self._page.close()
        self._page = self._context.new_page()
        return self._page

    @staticmethod
    def _emptied(page: Any) -> None:
        page.unroute_all()
        if page.url != "about:blank":
            page.goto("about:blank")
        page.set_viewport_size({"width": 1280, "height": 720})
        page.emulate_media(color_scheme="light")
        page.mouse.move(0, 0)

    def close(self) -> None:
        """Close all that the tests opened."""
        self._context.close()


def _tab(browser: Any, **options: Any) -> Iterator[Tab]:
    kept = Tab(browser, **options)
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def tab(browser: Any, root: str) -> Iterator[Tab]:
    """What `page` is opened in; new for each address, whose pages have a process of their own."""
    yield from _tab(browser, accept_downloads=True)


@pytest.fixture(scope="module")
def plain_tab(browser: Any) -> Iterator[Tab]:
    yield from _tab(browser, java_script_enabled=False)


@pytest.fixture(scope="module")
def inspected_tab(browser: Any) -> Iterator[Tab]:
    # the policy of the pages would keep the checker out
    yield from _tab(browser, bypass_csp=True)


@pytest.fixture
def asked() -> list[str]:
    """The addresses that `page` asks for."""
    return []


@pytest.fixture
def page(tab: Tab, root: str, asked: list[str]) -> Iterator[Any]:
    """A page that must log nothing, open no dialog, fail no request and ask nobody else."""
    opened = tab.emptied()
    troubles: list[str] = []
    listeners = _listeners(root, asked, troubles)
    for event, heard in listeners.items():
        opened.on(event, heard)
    yield opened
    if not opened.is_closed():
        opened.goto("about:blank")
    for event, heard in listeners.items():
        opened.remove_listener(event, heard)
    assert troubles == []


def _listeners(
    root: str, asked: list[str], troubles: list[str]
) -> dict[str, Callable[[Any], None]]:
    """What listens to which event of a page."""

    def console(message: Any) -> None:
        # a bare SVG cannot say that it has no icon, so the browser may ask for one
        if not message.location.get("url", "").endswith("/favicon.ico"):
            troubles.append(message.text)

    def dialog(shown: Any) -> None:
        troubles.append(f"a dialog: {shown.message}")
        shown.dismiss()

    def failed(request: Any) -> None:
        # aborted: a download that ends its navigation, an image replaced before it came
        if request.failure != "net::ERR_ABORTED":
            troubles.append(f"{request.failure} {request.url}")

    def answered(got: Any) -> None:
        if got.status >= 400:
            troubles.append(f"{got.status} {got.url}")

    def request(sent: Any) -> None:
        asked.append(sent.url)
        if not sent.url.startswith((root, "data:", "about:blank")):
            troubles.append(f"left: {sent.url}")

    return {
        "console": console,
        "dialog": dialog,
        "pageerror": lambda error: troubles.append(str(error)),
        "requestfailed": failed,
        "response": answered,
        "request": request,
    }


@pytest.fixture
def plain(plain_tab: Tab) -> Any:
    """A page without JavaScript."""
    return plain_tab.emptied()


@pytest.fixture
def inspected(inspected_tab: Tab) -> Any:
    """A page that `violations` can look at."""
    return inspected_tab.emptied()


@pytest.fixture
def until(page: Any) -> Callable[[str], None]:
    """Wait for an expression to hold; the pages' policy forbids what `wait_for_function` does."""

    def wait(expression: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not page.evaluate(expression):
            assert time.monotonic() < end, expression
            page.wait_for_timeout(50)

    return wait
