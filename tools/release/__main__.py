"""`python -m tools.release 1.2.3` makes a release, `--verify v1.2.3` builds what a tag has."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.release.conduct import Released, release, verified
from tools.release.errors import ReleaseError


def main(words: list[str] | None = None) -> int:
    """0, or 1 with the reason on stderr."""
    parser = _parser()
    given = parser.parse_args(words)
    root = given.root.resolve()
    if not given.version and not given.verify:
        parser.error("give a version, as in: make release VERSION=1.2.3")
    try:
        if given.verify:
            _told(verified(root, given.verify, root / "dist", offline=given.offline, say=_say))
        else:
            done = release(root, given.version, offline=given.offline, say=_say)
            _told(done)
            print(
                f"Committed and tagged. Publish it: git push origin {done.branch} v{done.version}"
            )
    except ReleaseError as error:
        print(f"No release: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools.release", description=__doc__)
    parser.add_argument("version", nargs="?", default="", help="1.2.3, or 1.2.3rc1")
    parser.add_argument("--verify", metavar="TAG", help="build and try this tag; change nothing")
    parser.add_argument(
        "--offline", action="store_true", help="use this Python's packages, no index"
    )
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)


def _told(done: Released) -> None:
    for path in done.files:
        print(path)


if __name__ == "__main__":
    sys.exit(main())
