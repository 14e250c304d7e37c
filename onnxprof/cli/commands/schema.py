"""`onnxprof schema`: the JSON Schema of what `--json` prints."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.output import deliver


def schema(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A kind of document; without one, all of them.")
    ] = "",
) -> None:
    """Print the JSON Schema of a kind of document that --json prints, or list the kinds."""
    from difflib import get_close_matches

    from onnxprof.errors import UsageError
    from onnxprof.publish.json.every import DOCUMENTS, schema_text

    if not name:
        width = max(map(len, DOCUMENTS))
        lines = (f"{name:<{width}}  {each.title}\n" for name, each in DOCUMENTS.items())
        return deliver("".join(lines))
    if name not in DOCUMENTS:
        close = get_close_matches(name, DOCUMENTS, n=1)
        hint = f"Did you mean {close[0]}?" if close else "onnxprof schema lists them"
        raise UsageError(f"no kind of document {name!r}", remedy=hint)
    return deliver(schema_text(DOCUMENTS[name]))
