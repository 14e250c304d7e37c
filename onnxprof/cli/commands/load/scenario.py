"""`onnxprof scenario`: a model under one of LoadGen's loads, measured and stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import TABLES, deliver, display, file_format, plain_text, say
from onnxprof.cli.parameters import ONE_SIZE, Own, takes
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from onnxprof.records.scenarios.asked import Scenario
    from onnxprof.records.scenarios.run import ScenarioRun
    from onnxprof.scenarios.plan import Load, Plan

_FORMATS = {name: TABLES[name] for name in ("table", "csv", "json")}


Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="An ONNX file, zoo:NAME, hub:NAME or hf:…")
]
Name = Annotated[
    str,
    typer.Option(
        "--scenario",
        metavar="NAME",
        help="single-stream, multi-stream (queries of 8 samples), server or offline.",
    ),
]
TargetLatency = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="MS",
        show_default=False,
        help="Server: 99 % of the queries are to be this fast.",
    ),
]
Rate = Annotated[
    float,
    typer.Option(
        min=0,
        show_default=False,
        help="Server: queries a second, instead of a search for the highest.",
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="5 seconds; the result is marked as quick.")]
Duration = Annotated[
    float | None,
    typer.Option(
        min=0,
        show_default=False,
        help="Least seconds of the run [default: 600, as the rules have it].",
    ),
]
Sessions = Annotated[
    int, typer.Option(min=1, max=1024, help="Sessions that infer at the same time.")
]
MaxBatch = Annotated[int, typer.Option(min=1, max=4096, help="The most samples of one inference.")]
MaxWait = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="MS",
        show_default=False,
        help="Server: how long a sample waits for others of its batch.",
    ),
]
Format = Annotated[
    str, typer.Option(help="table, csv or json; by default that of the output file.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file.")]
Store = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where results are stored [default: runs].")
]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds after which loading is given up.")]
Memory = Annotated[float, typer.Option(min=0, help="GiB that a run may use; 0 for what is free.")]
Wait = Annotated[
    bool,
    typer.Option("--wait/--no-wait", help="Wait for a device that onnxprof is measuring on."),
]


@takes(
    *("model", "scenario_", "target_latency", "rate", "quick", "duration", "backend", "device"),
    *(
        "provider",
        "runtime",
        "sessions",
        "threads",
        "max_batch",
        "max_wait",
        "dim",
        "inputs",
        "seed",
    ),
    *("optimization_level", "session_option", "provider_option"),
    *("format", "as_json", "output", "store", "timeout", "memory", "wait"),
    dim=ONE_SIZE,
    device=Own("A device's id or kind [default: the provider's first]."),
    threads=Own("Threads of each session; 0 shares out the usable cores."),
)
def scenario(
    asked: dict[str, Any],
    model: Model,
    scenario_: Name,
    target_latency: TargetLatency = 0.0,
    rate: Rate = 0.0,
    quick: Quick = False,
    duration: Duration = None,
    sessions: Sessions = 1,
    max_batch: MaxBatch = 1,
    max_wait: MaxWait = 0.0,
    format: Format = "",
    as_json: Json = False,
    output: Output = None,
    store: Store = None,
    timeout: Timeout = 900.0,
    memory: Memory = 0.0,
    wait: Wait = True,
) -> int:
    """Put a model under load with MLCommons' LoadGen: latency, rate or throughput.

    The result is LoadGen-style, not an MLPerf result. Exit code 1 where LoadGen calls it invalid.
    """
    from onnxprof import folders
    from onnxprof.cli.options import memory_limit
    from onnxprof.processes.confined import Limits
    from onnxprof.records.scenarios.asked import RULES_S
    from onnxprof.scenarios.plan import QUICK_S, Load

    chosen = file_format(format, output, _FORMATS, "table", as_json)
    load = Load(
        _named(scenario_),
        target_latency_ms=target_latency,
        rate=rate,
        sessions=sessions,
        max_batch=max_batch,
        max_wait_ms=max_wait,
        duration_s=_seconds(duration, QUICK_S if quick else RULES_S),
    )
    limits = Limits(timeout, memory_limit(memory))
    options = Options(models=(model,), limits=limits, **asked)
    run = _measured(load, options, folders.store(store), None if wait else 0.0)
    if as_json:
        from onnxprof.cli.output import deliver_document
        from onnxprof.publish.json.loads import scenarios

        deliver_document(scenarios([run]), output)
    elif run.answer is not None:
        _write(run, chosen, output)
    return 2 if run.answer is None else int(not run.answer.valid)


def _seconds(duration: float | None, usual: float) -> float:
    from onnxprof.errors import UsageError

    if duration == 0:
        raise UsageError("--duration 0 is no time at all", remedy="Write seconds: --duration 60")
    return usual if duration is None else duration


def _named(text: str) -> Scenario:
    from onnxprof.errors import UsageError, choices, did_you_mean
    from onnxprof.records.scenarios.asked import Scenario

    try:
        return Scenario(text)
    except ValueError:
        known = [each.value for each in Scenario]
        remedy = f"{did_you_mean(text, known)}Choose {choices(known)}"
        raise UsageError(f"no scenario {text!r}", remedy=remedy) from None


def _measured(load: Load, options: Options, root: Path, wait_s: float | None) -> ScenarioRun:
    from onnxprof.cli.output import stderr_console
    from onnxprof.cli.progress import fetching, steps
    from onnxprof.processes.device_lock import held
    from onnxprof.scenarios.parent import measured
    from onnxprof.scenarios.plan import confirmed, planned
    from onnxprof.store.beside.scenarios import save
    from onnxprof.store.folder import Store

    console = stderr_console()
    with fetching(console) as downloads:
        plan = planned(load, options, downloads, say)
    Store(root).check_writable()
    _announce(plan)
    device = plan.asked.device_id
    with held(device, say, wait_s), steps(console, str(load.scenario)) as progress:
        plan = confirmed(plan, lambda _, phase, share: progress(phase, share))
        run = measured(plan, options.limits, progress)
    path = save(root, run)
    say(f"stored in {path}" if run.answer is not None else f"{run.failure}; stored in {path}")
    return run


def _announce(plan: Plan) -> None:
    """Say what is begun, and how long it takes at least."""
    from onnxprof.publish.text.sentences import threads
    from onnxprof.records.scenarios.asked import Scenario

    asked = plan.asked
    searched = plan.asked.scenario is Scenario.SERVER and not asked.rate
    head = f"{asked.duration_s:g} s at least"
    parts = [f"{head}, after a search for the rate" if searched else head, threads(asked.threads)]
    parts += [f"{asked.sessions} sessions"] if asked.sessions > 1 else []
    parts += [f"batches up to {asked.max_batch}"] if asked.max_batch > 1 else []
    say(f"{asked.scenario} load on {asked.model_name}: {', '.join(parts)}")


def _write(run: ScenarioRun, chosen: str, output: Path | None) -> None:
    from onnxprof.publish.tables import scenarios as shown

    if chosen == "table":
        if output is None:
            return display(*shown.summary(run))
        text = plain_text(*shown.summary(run))
    else:
        text = shown.to_csv([run]) if chosen == "csv" else shown.json_text([run])
    deliver(text, output)
