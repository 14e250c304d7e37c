"""MLCommons' LoadGen: settings from its own rules, one run, its log.

Its `FromConfig` reads the rules once a process and silently does nothing afterwards, so a process
makes one run, and what was in effect is read back from the log.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from onnxprof.errors import BackendError, UsageError
from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.scenarios import log
from onnxprof.scenarios.orders import Order
from onnxprof.scenarios.serving import Answerer, Complete

PACKAGE = "mlcommons-loadgen"
WHEELS = "CPython 3.11 to 3.13 on Linux x86-64, on macOS with Apple silicon and on Windows x86-64"
#: LoadGen's names, of scenarios in its configuration and of its enumeration.
_NAMES = {
    Scenario.SINGLE_STREAM: "SingleStream",
    Scenario.MULTI_STREAM: "MultiStream",
    Scenario.SERVER: "Server",
    Scenario.OFFLINE: "Offline",
}
#: No model of MLPerf: the rules for all models hold.
_MODEL = "onnxprof"
#: The kind of configuration that comes with LoadGen and is read from no file.
_OWN_RULES = 0


def version() -> str:
    """The installed LoadGen's version. Raises UsageError where there is none."""
    try:
        return installed_version(PACKAGE)
    except PackageNotFoundError:
        raise missing() from None


def missing() -> UsageError:
    """The error where LoadGen is not installed."""
    here = f"{platform.python_implementation()} {platform.python_version()}"
    place = f"{platform.system()} {platform.machine()}"
    return UsageError(
        "scenarios are made by MLCommons' LoadGen, which is not installed",
        remedy=f'Run pip install "onnxprof[loadgen]", which has wheels for {WHEELS};'
        f" this is {here} on {place}",
    )


def module() -> Any:
    """LoadGen. Raises UsageError where it is not installed or does not load."""
    try:
        import mlperf_loadgen
    except ModuleNotFoundError:
        raise missing() from None
    except ImportError as error:
        remedy = f"Reinstall it: pip install --force-reinstall {PACKAGE}"
        raise UsageError(f"LoadGen cannot be loaded: {error}", remedy=remedy) from error
    return mlperf_loadgen


def run(order: Order, answering: Callable[[Complete], Answerer], folder: Path) -> Answer:
    """Make one run in this process; the log goes to `folder`.

    Raises BackendError where LoadGen did not do what it was told.
    """
    loadgen = module()
    respond, complete = loadgen.QuerySampleResponse, loadgen.QuerySamplesComplete

    def completed(ids: Sequence[int]) -> None:
        complete([respond(one, 0, 0) for one in ids])

    answerer = answering(completed)
    settings = _settings(loadgen, order)
    system = loadgen.ConstructFastSUT(lambda ids, _: answerer.issue(ids), answerer.flush)
    library = loadgen.ConstructQSL(1, 1, _ignore, _ignore)
    # A file of the usual name in the current folder would change the settings.
    audit = str(folder / "audit.config")
    try:
        loadgen.StartTestWithLogSettings(
            system, library, settings, _logging(loadgen, folder), audit
        )
    finally:
        answerer.close()
        loadgen.DestroyQSL(library)
        loadgen.DestroyFastSUT(system)
    found = log.read(folder)
    _check_effective(order, dict(found.settings))
    return found


def _ignore(_: Sequence[int]) -> None:
    """Samples are in the sessions' inputs already."""


def _logging(loadgen: Any, folder: Path) -> Any:
    made = loadgen.LogSettings()
    made.log_output.outdir = str(folder)
    made.enable_trace = False
    return made


def _settings(loadgen: Any, order: Order) -> Any:
    """LoadGen's rules for the scenario, with what the order says instead."""
    name = _NAMES[order.scenario]
    made = _rules(loadgen, name)
    made.scenario = getattr(loadgen.TestScenario, name)
    made.mode = loadgen.TestMode.PerformanceOnly
    made.min_duration_ms = round(order.duration_s * 1000)
    if order.min_queries:
        made.min_query_count = order.min_queries
    between_ns = round(1e9 / order.rate)
    if order.scenario is Scenario.SINGLE_STREAM:
        made.single_stream_expected_latency_ns = between_ns
    elif order.scenario is Scenario.MULTI_STREAM:
        made.multi_stream_expected_latency_ns = between_ns
    elif order.scenario is Scenario.SERVER:
        made.server_target_qps = order.rate
        made.server_target_latency_ns = order.target_latency_ns
        made.server_max_async_queries = order.most_outstanding
    else:
        made.offline_expected_qps = order.rate
    return made


def _rules(loadgen: Any, name: str) -> Any:
    """The settings by LoadGen's own configuration. Raises BackendError where it was not read."""
    plain, made = loadgen.TestSettings(), loadgen.TestSettings()
    made.FromConfig("", _MODEL, name, _OWN_RULES)
    seeds = ("qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed")
    unread = [each for each in seeds if getattr(made, each) == getattr(plain, each)]
    if unread or made.min_duration_ms == plain.min_duration_ms:
        what = "LoadGen did not read its rules, which it does once a process"
        raise BackendError(what, remedy=f"Report it, with the version of {PACKAGE}: {sys.version}")
    return made


def _check_effective(order: Order, effective: dict[str, str]) -> None:
    """Raise BackendError where the log says that other settings were in effect."""
    wanted: dict[str, float] = {"min_duration_ms": round(order.duration_s * 1000)}
    if order.scenario is not Scenario.MULTI_STREAM:
        wanted["samples_per_query"] = 1
    if order.scenario is Scenario.SERVER:
        wanted |= {"target_qps": order.rate, "target_latency_ns": order.target_latency_ns}
    if order.scenario is Scenario.OFFLINE:
        del wanted["samples_per_query"]
    for key, value in wanted.items():
        if not abs(float(effective.get(key, "nan")) - value) <= 1e-3 * max(1.0, value):
            told = f"LoadGen took {key} as {effective.get(key, 'nothing')} and not {value:g}"
            raise BackendError(told, where=f"LoadGen {version()}")
