"""`python -m tools.public` fetches the public models that the tests run, `--all` every one."""

from __future__ import annotations

import argparse
import sys

from tools.public.fetching import FetchError, UnreachableError, fetch
from tools.public.table import FOLDER, public_models


def main(words: list[str] | None = None) -> int:
    """0, or 1 with the reason on stderr."""
    given = _parser().parse_args(words)
    models = public_models(tested=not given.all)
    try:
        for fetched in fetch(models):
            print(f"fetched {fetched}")
    except UnreachableError as error:
        print(f"Public models: {error}", file=sys.stderr)
        return 0 if given.if_reachable else 1
    except FetchError as error:
        print(f"Public models: {error}", file=sys.stderr)
        return 1
    print(f"{len(models)} public models are in {FOLDER}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools.public", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every model of the list")
    parser.add_argument(
        "--if-reachable", action="store_true", help="a registry that does not answer is no error"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
