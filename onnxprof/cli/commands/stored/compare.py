"""`onnxprof compare`: did anything get slower, and which layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import BookForm, Json, Output, Tag
from onnxprof.cli.commands.stored.compared import format_of, outcome, report
from onnxprof.cli.output import say
from onnxprof.cli.parameters import Own, takes
from onnxprof.compare.gates.requirement import Requirement
from onnxprof.jobs.options import Options
from onnxprof.records.step import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxprof.api.results.comparison import Comparison
    from onnxprof.api.results.versions import VersionsCompared
    from onnxprof.api.versions.conduct import Judge
    from onnxprof.compare.changes import Comparison as Compared
    from onnxprof.compare.pairing import Pairing
    from onnxprof.store.folder import Filters


_Threshold = Annotated[
    float, typer.Option(min=0.0, max=10.0, help="The smallest change that matters.")
]
_Require = Annotated[
    Requirement | None,
    typer.Option(
        "--require",
        help="Exit code 1 unless B's latency is known to be so; undecided is not enough.",
    ),
]
_Force = Annotated[bool, typer.Option("--force", help="Allow different batches, axes or inputs.")]
_Phases = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND:SIZES",
        help="Of runs: only in this phase; of models with states: those to measure, as in"
        " prefill:128; repeatable.",
    ),
]
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
    *("a", "b", "threshold", "require", "format_", "as_json", "output", "all_", "force", "model"),
    *("batch", "backend", "device", "provider", "runtime", "bisect", "tag", "threads", "budget"),
    *("processes", "dim", "phase", "inputs", "layer_errors", "store"),
    *("optimization_level", "session_option"),
    threads=Own("Of models: threads; 0 for every usable core."),
    budget=Own(
        "Of models: seconds of measuring for each, starting processes not counted.", default=10.0
    ),
    processes=Own("Of models: pairs of fresh processes, in turns.", default=10),
    inputs=Own("Of models: a .npz file with an array for each input."),
    dim=Own("Of runs: only at these sizes; of models: those to measure, as in past=0,128."),
)
def compare(
    asked: dict[str, Any],
    a: _Side,
    b: _Other = "",
    threshold: _Threshold = 0.02,
    require: _Require = None,
    format_: BookForm = None,
    as_json: Json = False,
    output: Output = None,
    all_: Annotated[bool, typer.Option("--all", help="Every layer in the table.")] = False,
    force: _Force = False,
    model: _Models = None,
    batch: _Batches = "",
    backend: _Backend = "",
    device: _Device = "",
    runtime: _Runtimes = None,
    bisect: _Bisect = False,
    phase: _Phases = None,
    tag: Tag = None,
    layer_errors: _LayerErrors = False,
    store: _Store = None,
) -> int:
    """Say what is slower, faster or the same in B, per model and per layer.

    A and B are ids or files of runs, folders of runs, or two models that are measured in
    turn on the spot, or one model with two versions of a runtime. Each batch, size of an axis and
    phase has a verdict of its own. The exit code is 1 if anything is slower, or if --require is not
    met. A quantised model and its float original are matched layer by layer.
    """
    from onnxprof.api.comparing import compared, is_model
    from onnxprof.api.results.comparison import Comparison
    from onnxprof.cli.commands.versions.refused import refuse_unclear
    from onnxprof.cli.options import parse_batches, parse_filters
    from onnxprof.model.dims import grammar

    chosen = format_of(format_, output, as_json)
    batches = parse_batches(batch) if batch else ()
    limit = None if all_ else 12
    refuse_unclear(is_model(a), b, runtime or (), bisect, layer_errors)
    in_turn = bool(runtime) or _are_models(a, b)
    judge = partial(compared, threshold=threshold, force=force, in_turn=in_turn)
    asked |= {"batches": batches or (1,), "backend": backend or "ort", "device": device}
    how = _How(store, judge, phase or (), force=force, layer_errors=layer_errors)
    if runtime:
        made: Comparison = _of_versions(_options(a, asked), runtime, bisect, how, limit)
    elif in_turn:
        made = Comparison(_of_models(a, b, _options(a, asked), how), limit)
    else:
        _refuse_models_options(layer_errors, asked["inputs"])
        sizes = list(grammar.each(asked["dims"]))
        filters = parse_filters(model, _given(device), _given(backend), batch, tag, sizes, phase)
        made = Comparison(judge(_stored(a, b, store, filters)), limit)
    _tell(made.record)
    report(made, chosen, output)
    return outcome(made.record, require)


def _options(model: str, asked: dict[str, Any]) -> Options:
    """What is asked for of a model that is measured on the spot."""
    from onnxprof.cli.options import memory_limit
    from onnxprof.processes.limits import Limits

    limits = Limits(memory_bytes=memory_limit(0))
    return Options((model,), telemetry=False, timer=Timer.TRACE, limits=limits, **asked)


@dataclass(frozen=True, slots=True)
class _How:
    """How what is measured on the spot is compared, and where it is stored."""

    store: Path | None
    judge: Judge
    phases: Sequence[str]
    force: bool
    layer_errors: bool


def _of_versions(
    options: Options, runtimes: list[str], bisect: bool, how: _How, limit: int | None
) -> VersionsCompared:
    from onnxprof.api.results.versions import VersionsCompared
    from onnxprof.api.versions.conduct import Sides, compared
    from onnxprof.cli.commands.versions.in_turn import measured

    def measure(sides: Sides, *, brief: bool, hear: Callable[[str], None]) -> Pairing:
        return measured(sides, how.store, phases=how.phases, brief=brief, hear=hear)[0]

    found = compared(options, runtimes, bisect, measure, how.judge, say, how.phases)
    comparison, bisection = found
    return VersionsCompared(comparison, limit, bisection)


def _of_models(a: str, b: str, options: Options, how: _How) -> Compared:
    from onnxprof.api.in_turn import of_models, refuse_not_quantised, with_errors
    from onnxprof.cli.commands.versions.in_turn import measured

    pairing, jobs = measured(
        of_models(a, b, options),
        how.store,
        phases=how.phases,
        force=how.force,
        check=refuse_not_quantised if how.layer_errors else lambda _: None,
    )
    found = how.judge(pairing)
    return with_errors(found, jobs, say) if how.layer_errors else found


def _given(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _are_models(a: str, b: str) -> bool:
    from onnxprof.api.comparing import is_model
    from onnxprof.errors import UsageError

    if not b:
        raise UsageError(
            "compare takes two runs or two models, and one is named",
            where=a,
            remedy="Name the other one, or versions of a runtime for one model with --runtime",
        )
    models = [is_model(a), is_model(b)]
    if any(models) and not all(models):
        raise UsageError(
            "one is a model, the other a run",
            where=f"{a}, {b}",
            remedy="Measure the model with onnxprof profile first",
        )
    return all(models)


def _stored(a: str, b: str, store: Path | None, filters: Filters) -> Pairing:
    from onnxprof.api.comparing import in_common, paired, stored

    named = [stored(text, store, filters, say) for text in (a, b)]
    files = [{path.resolve() for path, _ in side} for side in named]
    if files[0] & files[1]:
        raise in_common(f"{a}, {b}")
    sides = [[run for _, run in side] for side in named]
    return paired(sides[0], sides[1], f"{a}, {b}")


def _refuse_models_options(layer_errors: bool, inputs: str) -> None:
    """Raise UsageError for options that run models where there are only runs."""
    from onnxprof.errors import UsageError

    given = [name for name, on in (("--layer-errors", layer_errors), ("--inputs", inputs)) if on]
    if given:
        raise UsageError(
            f"{given[0]} needs the models, and these are runs",
            remedy="Name the two .onnx files instead",
        )


def _tell(comparison: Compared) -> None:
    from onnxprof.publish.comparing.changes import difference_texts

    told = (
        f"{pair.a[0].request.model_name}: {line}"
        for pair in comparison.pairs
        for line in difference_texts(pair)
    )
    for text in dict.fromkeys(told):
        say(text)
