"""`onnxprof compare`: did anything get slower, and which layer."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Tag
from onnxprof.cli.output import TABLES, deliver, display, file_format, plain_text, say
from onnxprof.cli.parameters import Own, takes
from onnxprof.jobs.options import Options
from onnxprof.records.step import Timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxprof.cli.commands.versions.conduct import Judge
    from onnxprof.compare.changes import Comparison, Pair
    from onnxprof.compare.pairing import Pairing
    from onnxprof.compare.quantised.gains import LayerError
    from onnxprof.compare.versions.bisecting import Bisection
    from onnxprof.jobs.job import Job
    from onnxprof.store.folder import Filters


class Format(StrEnum):
    """How to print a comparison."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    CSV = "csv"


_Threshold = Annotated[
    float, typer.Option(min=0.0, max=10.0, help="The smallest change that matters.")
]
_Format = Annotated[
    Format | None, typer.Option("--format", help="Default: as the file's name ends, else table.")
]
_Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="File to write.")
]
_Force = Annotated[bool, typer.Option("--force", help="Allow different batches, axes or inputs.")]
_LayerErrors = Annotated[
    bool,
    typer.Option(
        "--layer-errors",
        help="Of a float model and a quantised one: run both, and show each layer's error.",
    ),
]
_Models = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Of runs: only these models; repeatable.")
]
_Batches = Annotated[
    str,
    typer.Option(metavar="N,N", help="Of runs: only these; of models: those to measure."),
]
_Backend = Annotated[
    str, typer.Option(help="Of runs: only this one; of models: the one to use.  [default: ort]")
]
_Device = Annotated[
    str,
    typer.Option(
        help="Of runs: only this one; of models: the one to use.  [default: the backend's first]"
    ),
]
_Store = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where ids are looked up, and runs of models stored."),
]
_Side = Annotated[
    str,
    typer.Argument(
        metavar="A",
        help="An id or its first digits, a .parquet file or a folder of runs; or a model.",
    ),
]
_Other = Annotated[
    str, typer.Argument(metavar="B", help="What to compare it with.", show_default=False)
]
_Runtimes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PACKAGE==VERSION",
        help="Of one model: measure it with this version and another one, which is named"
        " likewise or is the installed one.",
    ),
]
_Bisect = Annotated[
    bool, typer.Option("--bisect", help="Of two --runtime: find the first version that is slower.")
]


@takes(
    *("a", "b", "threshold", "format_", "output", "all_", "force", "model", "batch", "backend"),
    *("device", "provider", "runtime", "bisect", "tag", "threads", "budget", "processes", "dim"),
    *("inputs", "layer_errors", "store"),
    threads=Own("Of models: threads; 0 for every usable core."),
    budget=Own(
        "Of models: seconds of measuring for each, starting processes not counted.", default=10.0
    ),
    processes=Own("Of models: pairs of fresh processes, in turns.", default=10),
    inputs=Own("Of models: a .npz file with an array for each input."),
)
def compare(
    asked: dict[str, Any],
    a: _Side,
    b: _Other = "",
    threshold: _Threshold = 0.02,
    format_: _Format = None,
    output: _Output = None,
    all_: Annotated[bool, typer.Option("--all", help="Every layer in the table.")] = False,
    force: _Force = False,
    model: _Models = None,
    batch: _Batches = "",
    backend: _Backend = "",
    device: _Device = "",
    runtime: _Runtimes = None,
    bisect: _Bisect = False,
    tag: Tag = None,
    layer_errors: _LayerErrors = False,
    store: _Store = None,
) -> int:
    """Say what is slower, faster or the same in B, per model and per layer.

    A and B are ids or files of runs, folders of runs, or two models that are measured in
    turn on the spot, or one model with two versions of a runtime. The exit code is 1 if anything is
    slower. A quantised model and its float original are matched layer by layer.
    """
    from onnxprof.cli.commands.versions.conduct import refuse_unclear
    from onnxprof.cli.commands.versions.in_turn import measured
    from onnxprof.cli.options import parse_batches, parse_filters

    chosen = _format(format_, output)
    batches = parse_batches(batch) if batch else ()
    limit = None if all_ else 12
    refuse_unclear(_is_model(a), b, runtime or (), bisect, layer_errors)
    in_turn = bool(runtime) or _are_models(a, b)
    if in_turn:
        asked |= {"batches": batches or (1,), "backend": backend or "ort", "device": device}
        options = _options(a, asked)
    if runtime:
        judge = partial(_compared, threshold=threshold, force=force, in_turn=True)
        report = partial(_report_versions, chosen=chosen, output=output, limit=limit)
        return _versions(options, runtime, bisect, store, judge, report)
    if in_turn:
        check = _refuse_not_quantised if layer_errors else None
        pairing, jobs = measured(a, b, options, store, check)
    else:
        _refuse_models_options(layer_errors, asked["inputs"])
        jobs = []
        filters = parse_filters(model, _given(device), _given(backend), batch, tag)
        pairing = _stored(a, b, store, filters)
    comparison = _compared(pairing, threshold, force, in_turn)
    if layer_errors:
        comparison = _with_errors(comparison, jobs)
    _tell(comparison)
    _report(comparison, chosen, output, limit)
    return int(comparison.regressed)


def _options(model: str, asked: dict[str, Any]) -> Options:
    """What is asked for of a model that is measured on the spot."""
    from onnxprof.cli.options import memory_limit
    from onnxprof.processes.confined import Limits

    limits = Limits(memory_bytes=memory_limit(0))
    return Options((model,), telemetry=False, timer=Timer.TRACE, limits=limits, **asked)


def _versions(
    options: Options,
    runtimes: list[str],
    bisect: bool,
    store: Path | None,
    judge: Judge,
    report: Callable[[Comparison, Bisection | None], None],
) -> int:
    from onnxprof.cli.commands.versions.conduct import compared

    comparison, bisection = compared(options, runtimes, bisect, store, judge)
    _tell(comparison)
    report(comparison, bisection)
    return int(comparison.regressed)


def _given(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _are_models(a: str, b: str) -> bool:
    from onnxprof.errors import UsageError

    if not b:
        raise UsageError(
            "compare takes two runs or two models, and one is named",
            where=a,
            remedy="Name the other one, or versions of a runtime for one model with --runtime",
        )
    models = [_is_model(a), _is_model(b)]
    if any(models) and not all(models):
        raise UsageError(
            "one is a model, the other a run",
            where=f"{a}, {b}",
            remedy="Measure the model with onnxprof profile first",
        )
    return all(models)


def _is_model(text: str) -> bool:
    return text.startswith(("zoo:", "hub:", "hf:")) or text.lower().endswith(".onnx")


def _stored(a: str, b: str, store: Path | None, filters: Filters) -> Pairing:
    from onnxprof.compare.pairing import pair
    from onnxprof.errors import UsageError
    from onnxprof.store.folder import load_good

    chosen = [_paths(text, store, filters) for text in (a, b)]
    if {path.resolve() for path in chosen[0]} & {path.resolve() for path in chosen[1]}:
        raise UsageError(
            "A and B have a run in common",
            where=f"{a}, {b}",
            remedy="Runs of one request share an id: name their .parquet files instead",
        )
    sides = [[run for _, run in load_good(paths, say)] for paths in chosen]
    pairing = pair(*sides)
    if not pairing.pairs:
        raise UsageError(
            "no model was measured at the same batch size on both sides",
            where=f"{a}, {b}",
            remedy="Name two runs instead of folders to compare them all the same",
        )
    return pairing


def _paths(text: str, store: Path | None, filters: Filters) -> list[Path]:
    from onnxprof import folders
    from onnxprof.store.select import Need, select

    summaries = select(text, [folders.store(store)], filters, Need.LATENCIES, say=say)
    return [summary.path for summary in summaries]


def _refuse_models_options(layer_errors: bool, inputs: str) -> None:
    """Raise UsageError for options that run models where there are only runs."""
    from onnxprof.errors import UsageError

    given = [name for name, on in (("--layer-errors", layer_errors), ("--inputs", inputs)) if on]
    if given:
        raise UsageError(
            f"{given[0]} needs the models, and these are runs",
            remedy="Name the two .onnx files instead",
        )


def _refuse_not_quantised(pairs: list[tuple[Job, Job]]) -> None:
    """Raise UsageError unless one of the models is quantised and the other is not."""
    from onnxprof.compare.quantised.operators import is_quantised
    from onnxprof.errors import UsageError

    ours, theirs = pairs[0]
    told = [is_quantised(job.table) for job in (ours, theirs)]
    if told[0] == told[1]:
        raise UsageError(
            f"--layer-errors: {'both' if told[0] else 'neither'} of the models"
            f" {'are' if told[0] else 'is'} quantised",
            where=f"{ours.facts.name}, {theirs.facts.name}",
            remedy="Compare a quantised model with the float model that it was made from",
        )


def _with_errors(comparison: Comparison, jobs: list[tuple[Job, Job]]) -> Comparison:
    """Run both models of each pair, in a process of their own, and add the error of each layer."""
    from dataclasses import replace

    pairs = []
    for pair, (ours, theirs) in zip(comparison.pairs, jobs, strict=True):
        gains = pair.quantised
        if gains is None:
            say("few layers of the two models are alike: no layer's error is known")
        else:
            both = (ours, theirs) if gains.float_side == 0 else (theirs, ours)
            gains = gains.with_errors(_errors(*both))
        pairs.append(replace(pair, quantised=gains))
    return replace(comparison, pairs=tuple(pairs))


def _errors(original: Job, quantised: Job) -> dict[str, LayerError]:
    from functools import partial

    from onnxprof.checks.quantised.errors import Question, layer_errors
    from onnxprof.processes.confined import confined

    options = original.options
    question = Question(
        original=original.model,
        quantised=quantised.model,
        batch=original.batch,
        dims=options.dims,
        seed=options.seed,
        inputs=options.inputs,
        threads=options.threads,
    )
    say("running both models for the error of each layer")
    work = partial(layer_errors, question)
    return confined(work, options.limits, "comparing layers", quantised.facts.name)


def _compared(pairing: Pairing, threshold: float, force: bool, in_turn: bool) -> Comparison:
    from dataclasses import replace

    from onnxprof.compare.changes import compare as judge

    comparison = judge(pairing.pairs, threshold, in_turn=in_turn)
    if not force:
        for pair in comparison.pairs:
            _refuse_incomparable(pair)
    return replace(comparison, unmatched_a=pairing.unmatched_a, unmatched_b=pairing.unmatched_b)


def _refuse_incomparable(pair: Pair) -> None:
    from onnxprof.errors import UsageError

    for fact in pair.differences:
        if fact.what in ("batch", "axes", "inputs"):
            raise UsageError(
                f"{fact.what} differs: {fact.a} in A, {fact.b} in B",
                where=pair.a[0].request.model_name,
                remedy="--force compares them all the same",
            )


def _tell(comparison: Comparison) -> None:
    from onnxprof.publish.comparing.changes import difference_texts

    for pair in comparison.pairs:
        for line in difference_texts(pair):
            say(f"{pair.a[0].request.model_name}: {line}")


def _format(given: Format | None, output: Path | None) -> Format:
    return Format(file_format(given or "", output, TABLES, Format.TABLE))


def _report(comparison: Comparison, chosen: Format, output: Path | None, limit: int | None) -> None:
    from onnxprof.publish.comparing import changes as renderers

    if chosen is Format.TABLE and output is None:
        display(renderers.table(comparison, limit=limit))
    else:
        deliver(_text(comparison, chosen, limit), output)


def _text(comparison: Comparison, chosen: Format, limit: int | None) -> str:
    from onnxprof.publish.comparing import changes as renderers

    if chosen is Format.JSON:
        return renderers.to_json_text(comparison)
    if chosen is Format.CSV:
        return renderers.to_csv(comparison)
    if chosen is Format.MARKDOWN:
        return renderers.markdown(comparison)
    return plain_text(renderers.table(comparison, limit=limit))


def _report_versions(
    comparison: Comparison,
    bisection: Bisection | None,
    *,
    chosen: Format,
    output: Path | None,
    limit: int | None,
) -> None:
    from onnxprof.publish.comparing import versions as renderers

    if chosen is Format.TABLE:
        table = renderers.table(comparison, bisection, limit=limit)
        if output is None:
            display(table)
        else:
            deliver(plain_text(table), output)
    elif chosen is Format.JSON:
        deliver(renderers.to_json_text(comparison, bisection), output)
    elif chosen is Format.CSV:
        deliver(renderers.to_csv(comparison, bisection), output)
    else:
        deliver(renderers.markdown(comparison, bisection), output)
