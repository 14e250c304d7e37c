"""The pages of a site, folded into the first of them.

The first page stands in the file as it is, so that it is there without scripts. All else is packed
behind it. Nothing but the site's own scripts and styles has its hash in the file's policy.
"""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Mapping
from hashlib import sha256
from html import escape, unescape
from typing import Any

from onnxprof.publish.pages.embed import embedded
from onnxprof.publish.pages.render import asset
from onnxprof.publish.report.archive import packed

ASSETS = "assets/"
SCRIPT = "report.js"
#: A table or picture of the first page up to which it is there without scripts, too.
_MOST_INLINE_BYTES = 1 << 20

_POLICY = re.compile(r'(<meta http-equiv="Content-Security-Policy" content=")[^"]*"')
_STYLE = re.compile(r'<link rel="stylesheet" href="([^"]+)">')
_SCRIPT = re.compile(r'<script src="([^"]+)" defer></script>\n?')
_LINK = re.compile(r"<a\b[^>]*>")
_PICTURE = re.compile(r'(<img\b[^>]* src=")([^"]+)"')
_HREF = re.compile(r' href="([^"#?][^"]*)"')
_CSV = re.compile(r'<a id="csv" download href="([^"]+)"')
_TITLE = re.compile(r"<title>([^<]*)</title>")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def folded(files: Mapping[str, bytes], first: str) -> str:
    """The site's files as one page, which opens with the page at `first`."""
    page = files[first].decode()
    scripts = [_place(first, path) for path in _SCRIPT.findall(page)]
    script = asset(SCRIPT).decode()
    page = _SCRIPT.sub("", page)
    page = _STYLE.sub(lambda found: _style(files, _place(first, found[1])), page)
    page = _leading(page, files, first)
    page = _POLICY.sub(lambda found: f'{found[1]}{policy(files, script)}"', page)
    title = _TITLE.search(page)
    facts: dict[str, Any] = {
        "first": first,
        "title": unescape(title[1]) if title else "",
        "scripts": scripts,
    }
    held = {path: files[path] for path in sorted(files) if path != first}
    return page.replace("</body>", "".join((_held(facts, packed(held)), _run(script), "</body>")))


def policy(files: Mapping[str, bytes], script: str) -> str:
    """What the file may do: run and show what the site came with, and ask for nothing."""
    scripts = [script.encode(), *_assets(files, ".js")]
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hashes(scripts)}",
            f"style-src {_hashes(_assets(files, '.css'))}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _assets(files: Mapping[str, bytes], ending: str) -> list[bytes]:
    return [
        content
        for path, content in sorted(files.items())
        if path.startswith(ASSETS) and path.endswith(ending)
    ]


def _hashes(contents: list[bytes]) -> str:
    found = (base64.b64encode(sha256(content).digest()).decode() for content in contents)
    return " ".join(f"'sha256-{digest}'" for digest in found)


def _place(page: str, address: str) -> str:
    """Where an address on a page leads to below the site's folder."""
    path = re.split("[?#]", unescape(address), maxsplit=1)[0]
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def _style(files: Mapping[str, bytes], path: str) -> str:
    return f"<style>{files[path].decode()}</style>"


def _held(facts: dict[str, Any], archive: str) -> str:
    return (
        f'<script type="application/json" id="held-first">{embedded(facts)}</script>\n'
        f'<script type="application/octet-stream" id="held">{archive}</script>\n'
    )


def _run(script: str) -> str:
    return f"<script>{script}</script>\n"


def _leading(page: str, files: Mapping[str, bytes], first: str) -> str:
    """The page with links that the script opens, and with what is shown and saved without it.

    A link without an address is none: only the script gives those their addresses that need it.
    """
    csv = _CSV.search(page)
    inline = _place(first, csv[1]) if csv else ""

    def link(found: re.Match[str]) -> str:
        tag = _HREF.sub(lambda href: _address(href[1], files, first, inline), found[0])
        return tag.replace(" download ", " ", 1) if ' download="' in tag else tag

    def picture(found: re.Match[str]) -> str:
        return f'{found[1]}{_data(files.get(_place(first, found[2]), b""), "image/svg+xml")}"'

    return _PICTURE.sub(picture, _LINK.sub(link, page))


def _address(href: str, files: Mapping[str, bytes], first: str, inline: str) -> str:
    if _SCHEME.match(href):
        return f' href="{href}"'
    path = _place(first, href)
    if path not in files:
        return ""
    if path == inline and len(files[path]) <= _MOST_INLINE_BYTES:
        name = escape(posixpath.basename(path))
        return f' href="{_data(files[path], "text/csv;charset=utf-8")}" download="{name}"'
    return f' data-href="{href}"'


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
