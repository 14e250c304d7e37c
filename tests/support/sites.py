"""Runs that make a site worth testing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.render import SiteFacts
from onnxprof.publish.site.model_files import undrawn
from onnxprof.records.layer import Layer, LayerTable
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run, sample_table

HOSTILE = "名前/<script>alert('x')</script> \"q\" & \u202e\x07\ud800" + "long_name." * 30


def hostile_run() -> Run:
    """A run in which model, device and layers have names that someone made up on purpose."""
    run = sample_run(HOSTILE)
    names = {
        layer.name: f"</script><img src=x onerror=alert(1)>{layer.name}" for layer in run.table
    }

    def renamed(layer: Layer) -> Layer:
        return dataclasses.replace(layer, name=names[layer.name])

    steps = tuple(
        dataclasses.replace(
            step, name=f"{step.name}\u2028<!--", layers=tuple(names[name] for name in step.layers)
        )
        for step in run.steps
    )
    table = LayerTable(tuple(map(renamed, run.table)), run.table.batch)
    device = dataclasses.replace(run.device, name="<b>CPU</b> & 'co'")
    return dataclasses.replace(run, table=table, steps=steps, device=device, command=HOSTILE)


def failed_run(model: str = "alpha", batch: int = 4) -> Run:
    """A run that ended without times."""
    return dataclasses.replace(
        sample_run(model, batch), timings=None, steps=(), failure="killed <by> signal 9"
    )


def wrong_run(model: str = "liar") -> Run:
    """A fast run whose outputs are not those of the reference."""
    output = OutputParity("<out>", 0.5, 0.25, tolerance=1e-3, passed=False)
    return dataclasses.replace(
        sample_run(model, 1, scale=0.01),
        parity=Parity("onnxruntime", (output,)),
        warnings=(RunWarning(WarningKind.PARITY_FAILED, 0.25, "<out>"),),
    )


def runs() -> list[Run]:
    """Three plain models on several systems, one hostile, one that only failed, a repeat.

    `lenet` is known to the zoo; `liar` is fast and wrong.
    """
    warned = dataclasses.replace(
        sample_run("alpha", 1), warnings=(RunWarning(WarningKind.WIDE_INTERVAL, 0.023),)
    )
    return [
        warned,
        *(sample_run("alpha", batch, seed=batch) for batch in (2, 8)),
        failed_run("alpha", 4),
        sample_run("alpha", 8, scale=2.0, created="2025-12-31T23:59:59Z"),
        *(sample_run("alpha", b, "cuda:0:x", "other", scale=0.5, fused=False) for b in (1, 8)),
        sample_run("beta", 1, scale=30.0),
        failed_run("gone", 1),
        sample_run("lenet", 1),
        wrong_run(),
        hostile_run(),
    ]


def long_run(layers: int, operator: str = "Conv") -> Run:
    """A run of one step a layer."""
    run = sample_run(fused=False)
    table = sample_table(1, [operator] * layers)
    step = run.steps[0]
    steps = tuple(
        dataclasses.replace(step, name=f"s{i}", layers=(layer.name,))
        for i, layer in enumerate(table.nodes)
    )
    assert run.timings is not None
    timings = dataclasses.replace(
        run.timings, step_ns=np.repeat(run.timings.step_ns[:1], layers, axis=0)
    )
    return dataclasses.replace(run, table=table, steps=steps, timings=timings)


def scoped_run(layers: int, *, size: int = 50, stages: int = 5) -> Run:
    """A run of so many layers, whose names say to which block of which stage they belong."""
    run = long_run(layers)
    blocks = layers // size
    names = {
        layer.name: f"net/stage{i // size * stages // blocks}/block{i // size}/op_{i}"
        for i, layer in enumerate(run.table.nodes)
    }
    table = tuple(
        dataclasses.replace(layer, name=names.get(layer.name, layer.name)) for layer in run.table
    )
    steps = tuple(
        dataclasses.replace(step, layers=tuple(names[name] for name in step.layers))
        for step in run.steps
    )
    return dataclasses.replace(
        run,
        table=dataclasses.replace(run.table, layers=table),
        steps=steps,
        request=dataclasses.replace(run.request, model_name="scoped"),
    )


def called(run: Run, name: str) -> Run:
    """The run as one of a model of that name."""
    return dataclasses.replace(run, request=dataclasses.replace(run.request, model_name=name))


def write_page(folder: Path, found: Sequence[Run]) -> None:
    """Put a model's page into a site, with what its scripts ask for."""
    (page,) = catalogue(found)
    for path, content in undrawn(page, SiteFacts("t", "0", "")).items():
        place = folder / "models" / page.slug / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def open_layers(page: Any) -> None:
    """Open the layer table of a model's page."""
    # by key: a click can miss what moves while the plot is drawn
    page.locator("#information ~ details summary").first.press("Enter")


#: A dark page is asked about its colours alone: the rest is that of the light one, which every
#: test that looks at a dark page looks at, too.
_RULES = (
    "matchMedia('(prefers-color-scheme: dark)').matches"
    " ? {runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}} : {}"
)


def violations(page: Any) -> list[Any]:
    """What axe finds wrong with the page as it stands."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found: list[Any] = page.evaluate(
        f"axe.run(document, {{resultTypes: ['violations'], ...({_RULES})}})"
        ".then((r) => r.violations.map("
        "(v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))]))"
    )
    return found


def settled(page: Any) -> None:
    """Wait until the page has heard of the last event, and has drawn what that changed.

    The address changes before the page hears of it.
    """
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>"
        " requestAnimationFrame(() => setTimeout(done)))))"
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
