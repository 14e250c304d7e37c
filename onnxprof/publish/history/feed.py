"""`feed.xml`: changes and new runs as an Atom feed (RFC 4287).

Identities depend on what was measured alone, so that they stay when a site moves, a folder gets
another name or other runs join.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5
from xml.sax.saxutils import escape, quoteattr

from onnxprof.compare.verdict import Verdict
from onnxprof.publish.history.changes import Change, State
from onnxprof.publish.history.model_part import ratio_text
from onnxprof.publish.history.page import Listed
from onnxprof.publish.history.requests import is_dated
from onnxprof.publish.pages.render import SiteFacts
from onnxprof.publish.text.numbers import TYPESET, duration
from onnxprof.publish.text.safe import counted, in_page

NAME = "feed.xml"
#: Entries of the feed, the newest ones.
MOST_ENTRIES = 200
#: Of our identities; never to change.
_SPACE = UUID("6f0b7f3e-9a6d-5c0e-8f0c-6d1f3b2a9c41")
#: When a feed without entries was updated.
_NEVER = "1970-01-01T00:00:00Z"
_MOST_NEW = 6


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of the feed; texts are plain."""

    identity: str
    title: str
    updated: str
    path: str
    """Its page below the site's address."""
    text: str


def feed(rows: Sequence[Listed], site: SiteFacts) -> str:
    """The feed of a site whose address is known, the newest entries first."""
    items = [item for item in (*_changed(rows), *_new(rows)) if is_dated(item.updated)]
    items.sort(key=lambda item: item.identity)
    items.sort(key=lambda item: item.updated, reverse=True)
    shown = items[:MOST_ENTRIES]
    updated = shown[0].updated if shown else _NEVER
    address = site.base_url + NAME
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<id>{_text(address)}</id>",
        f"<title>{_text(site.title)}: what changed</title>",
        f"<updated>{updated}</updated>",
        f"<author><name>{_text(site.title)}</name></author>",
        f"<generator version={_attribute(site.version)}>onnxprof</generator>",
        f'<link rel="self" type="application/atom+xml" href={_attribute(address)}/>',
        f'<link rel="alternate" href={_attribute(site.base_url + "changes.html")}/>',
        *(_entry(item, site.base_url) for item in shown),
        "</feed>",
    ]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return escape(in_page(text))


def _attribute(text: str) -> str:
    return quoteattr(in_page(text))


def _entry(item: Item, base_url: str) -> str:
    return (
        f"<entry><id>{item.identity}</id><title>{_text(item.title)}</title>"
        f"<updated>{item.updated}</updated><published>{item.updated}</published>"
        f'<link rel="alternate" type="text/html" href={_attribute(base_url + item.path)}/>'
        f'<content type="text">{_text(item.text)}</content></entry>'
    )


def _identity(*parts: str) -> str:
    return uuid5(_SPACE, "\0".join(parts).encode("utf-8", "surrogatepass").hex()).urn


def _changed(rows: Sequence[Listed]) -> Iterator[Item]:
    """What got slower or faster, failed, or went wrong."""
    for row in rows:
        change = row.change
        if change.is_decided or change.state in (State.FAILED, State.WRONG):
            newest = change.newest
            before = change.against.earlier.created if change.against else ""
            yield Item(
                _identity("change", change.request, before, _stamp(newest.address)),
                f"{_where(row)}: {_outcome(change)}",
                newest.created,
                row.both,
                _told(row),
            )


def _stamp(address: str) -> str:
    return address.rpartition("@")[2]


def _where(row: Listed) -> str:
    return f"{row.model}, batch {row.change.batch}, {row.change.system}"


def _outcome(change: Change) -> str:
    if change.state is State.FAILED:
        return "failed"
    if change.state is State.WRONG:
        return "wrong outputs"
    ratio = change.against.ratio if change.against else None
    assert ratio is not None
    word = "slower" if change.verdict is Verdict.SLOWER else "faster"
    return f"{word}, {ratio:.3f} times the latency"


def _told(row: Listed) -> str:
    change = row.change
    parts = [change.trouble]
    if change.state is State.COMPARED and change.against:
        was, now = change.against.earlier.median_ns, change.newest.median_ns
        times = f"{duration(now or 0, TYPESET)} after {duration(was or 0, TYPESET)}"
        parts += [f"{times}: {ratio_text(change)} as long as on {change.against.earlier.created}"]
    if row.differs:
        parts.append(f"What differs: {row.differs}")
    if row.layers:
        parts.append(f"Layers: {row.layers}")
    return ". ".join(filter(None, parts)) + "."


def _new(rows: Sequence[Listed]) -> Iterator[Item]:
    """New runs that changed nothing, those of one model and day in one entry."""
    groups: dict[tuple[str, str, str], list[Listed]] = defaultdict(list)
    for row in rows:
        if row.change.state in (State.FIRST, State.COMPARED) and not row.change.is_decided:
            groups[row.model, row.sha256, row.change.newest.created[:10]].append(row)
    for (model, sha256, day), members in groups.items():
        newest = max(members, key=lambda row: row.change.newest.created)
        runs = counted(len(members), "new run", "new runs")
        yield Item(
            _identity("runs", model, sha256, day),
            f"{model}: {runs}",
            newest.change.newest.created,
            f"models/{newest.slug}/index.html",
            _listing(members),
        )


def _listing(members: Sequence[Listed]) -> str:
    texts = [
        f"{row.change.system}, batch {row.change.batch}: "
        f"{duration(row.change.newest.median_ns or 0, TYPESET)}"
        for row in members[:_MOST_NEW]
    ]
    rest = len(members) - _MOST_NEW
    return "; ".join([*texts, *([f"and {rest} more"] if rest > 0 else [])]) + "."
