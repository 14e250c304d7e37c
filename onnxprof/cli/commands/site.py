"""`onnxprof site`: stored runs as static pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli.choosing import WHICH, Json, Which, reads
from onnxprof.cli.output import deliver_document, note

if TYPE_CHECKING:
    from onnxprof.publish.site.build import Built

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Publish stored runs.")

OutOption = Annotated[str, typer.Option("--out", help="The site's folder.", metavar="DIR")]
_NO_MATCH = "No stored run matches these filters; onnxprof runs list shows what is stored."

Licence = Annotated[
    str,
    typer.Option(
        "--license",
        help="Licence of the results: an SPDX identifier such as CC-BY-4.0, or words.",
        metavar="LICENSE",
        show_default=False,
    ),
]


@app.command()
@reads("out", "title", "base_url", "project_url", "licence", "as_json", *WHICH)
def build(
    which: Which,
    out: OutOption = "public",
    title: Annotated[str, typer.Option(help="The site's title.")] = "onnxprof",
    base_url: Annotated[
        str,
        typer.Option(
            help="Where the site will be: for addresses in pages, pictures of models, a sitemap.",
            metavar="URL",
            show_default=False,
        ),
    ] = "",
    project_url: Annotated[
        str,
        typer.Option(
            help="The project that the results are of; every page links to it.",
            metavar="URL",
            show_default=False,
        ),
    ] = "",
    licence: Licence = "",
    as_json: Json = False,
) -> None:
    """Build the site: a plain folder for any web server, or the disk.

    It is built beside the old one, which stands until the new one is whole; a second build of
    the same folder waits for the first. What a build makes is kept in the user's cache.
    """
    from onnxprof.api.publishing import built
    from onnxprof.store.folder import Filters

    texts = {"title": title, "base_url": base_url, "project_url": project_url, "licence": licence}
    filters = which.filters
    made = built(which.store or (), out, filters, note, **texts)
    _tell(made, as_json, is_chosen=filters != Filters())


@app.command()
def serve(
    out: OutOption = "public",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Serve a built site to this machine alone, until Ctrl-C."""
    from onnxprof import folders
    from onnxprof.publish.disk.serve import server

    with server(folders.expanded(out), port) as httpd:
        typer.echo(f"http://127.0.0.1:{httpd.server_port}/  (Ctrl-C ends)")
        try:
            httpd.serve_forever()
        except KeyboardInterrupt:
            typer.echo("", err=True)


def _tell(built: Built, as_json: bool, is_chosen: bool) -> None:
    for problem in built.problems:
        note(f"left out: {problem}")
    if as_json:
        from onnxprof.publish.json.tools import site_build

        return deliver_document(site_build(built))
    from onnxprof.publish.site.words import contents
    from onnxprof.publish.text.safe import counted

    reused = f"; {counted(built.reused, 'model', 'models')} from the cache" if built.reused else ""
    typer.echo(f"{contents(built)}, {counted(built.files, 'file', 'files')}{reused}")
    typer.echo(str(built.index))
    if not built.runs and not built.problems:
        note(_NO_MATCH if is_chosen else "No run yet: onnxprof profile zoo:lenet measures one.")
    return None
