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
    from onnxprof.errors import UsageError, did_you_mean
    from onnxprof.publish.json.every import DOCUMENTS, schema_text

    if not name:
        width = max(map(len, DOCUMENTS))
        lines = (f"{name:<{width}}  {each.title}\n" for name, each in DOCUMENTS.items())
        return deliver("".join(lines))
    if name not in DOCUMENTS:
        hint = did_you_mean(name, DOCUMENTS)
        raise UsageError(
            f"no kind of document {name!r}", remedy=f"{hint}onnxprof schema lists them"
        )
    return deliver(schema_text(DOCUMENTS[name]))
