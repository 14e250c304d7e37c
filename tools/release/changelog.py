"""CHANGELOG.md: its section of what is unreleased becomes a version's."""

from __future__ import annotations

import re

from tools.release.errors import ReleaseError

HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.M)
UNRELEASED = "Unreleased"


def released(text: str, version: str, date: str) -> str:
    r"""The changelog with what was unreleased under the version, and an empty section above it.

    >>> released("# Log\n\n## [Unreleased]\n\n- New.\n", "1.0.0", "2026-01-02")
    '# Log\n\n## [Unreleased]\n\n## [1.0.0] - 2026-01-02\n\n- New.\n'
    """
    if version in versions(text):
        raise ReleaseError(f"CHANGELOG.md has a section for {version} already")
    if not notes(text, UNRELEASED):
        raise ReleaseError("CHANGELOG.md has nothing under Unreleased: there is nothing to release")
    old = f"## [{UNRELEASED}]\n"
    return text.replace(old, f"{old}\n## [{version}] - {date}\n", 1)


def versions(text: str) -> dict[str, str]:
    """Each section's name with its date, newest first."""
    return {match[1]: match[2] or "" for match in HEADING.finditer(text)}


def notes(text: str, version: str) -> str:
    """What a section says, without its heading; nothing where it has headings alone."""
    headings = list(HEADING.finditer(text))
    names = [match[1] for match in headings]
    if version not in names:
        raise ReleaseError(f"CHANGELOG.md has no section [{version}]")
    place = names.index(version)
    end = headings[place + 1].start() if place + 1 < len(headings) else len(text)
    body = text[headings[place].end() : end].strip()
    return body if re.search(r"^(?!#)\S", body, re.M) else ""
