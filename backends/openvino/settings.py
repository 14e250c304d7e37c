"""Properties of OpenVINO: those that onnxprof sets for every measurement, and a user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from onnxprof.backends.openvino.runtime import ListedDevice, devices, reason, runtime
from onnxprof.errors import BackendError, UsageError
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.settings import (
    FILES,
    SESSION,
    SWITCH,
    Kind,
    Pairs,
    Refusal,
    checked,
    matching,
    refuse_level,
    refuse_provider_options,
)
from onnxprof.records.step import Setup

_REFUSED = (
    Refusal("^INFERENCE_NUM_THREADS$|CPU_THREADS", "onnxprof sets it", "Use --threads"),
    Refusal("DEVICE_ID|PRIORITIES|AVAILABLE_DEVICES", "onnxprof sets it", "Use --device"),
    Refusal("PERF_COUNT|PROFIL|LOG_LEVEL", "onnxprof watches the model through it"),
    Refusal(
        "CACHE_(DIR|MODE|ENCR)|BLOB|WEIGHTLESS|WEIGHTS_PATH|MODEL_PTR|CONFIG_FILE|TRUST",
        FILES.reason,
    ),
    FILES,
)
_TEXT = matching(r"[^\x00-\x1f\x7f]{1,200}", "a text")
_SET_BY_USERS = "RW"
#: Values that leave the choice to the runtime.
_OPEN = ("AUTO", "-1")


def configured(setup: Setup, provider: str) -> Setup:
    """The setup as it is stored, see `verbs.Configurable`.

    What properties there are, and what values they take, the runtime itself is asked where it is
    installed.
    """
    refuse_level(setup.level, "OpenVINO", "optimises every graph, and has no levels")
    refuse_provider_options(setup.provider, "OpenVINO", f"Its properties are given by {SESSION}")
    core, listed = _installed(provider)
    known: Mapping[str, Kind]
    if listed is None:  # nothing is measured here: names may be right
        known = {name: _TEXT for name, _ in setup.session if re.fullmatch(r"[A-Z][A-Z0-9_]*", name)}
    else:
        known = _known(core, listed.target)
    known = {n: kind for n, kind in known.items() if not any(r.meets(n) for r in _REFUSED)}
    session = checked(setup.session, known, _REFUSED, SESSION, "OpenVINO")
    if listed is not None:
        _refuse_values(core, listed.target, session)
    return Setup("", session)


def _installed(provider: str) -> tuple[Any, ListedDevice | None]:
    """The runtime's core and the device of this kind; None where they are not here."""
    try:
        core = runtime().Core()
        return core, next((d for d in devices(core) if d.device.kind == provider), None)
    except Exception:  # a broken wheel or driver can fail in any way; to open a model says why
        return None, None


def _known(core: Any, target: str) -> Mapping[str, Kind]:
    """The properties of a device that can be set, and what they take."""
    listed = core.get_property(target, "SUPPORTED_PROPERTIES")
    names = [str(name) for name, access in listed.items() if str(access) == _SET_BY_USERS]
    return {name: SWITCH if _is_switch(core, target, name) else _TEXT for name in names}


def _is_switch(core: Any, target: str, name: str) -> bool:
    try:
        return isinstance(core.get_property(target, name), bool)
    except Exception:  # it can be set but not read
        return False


def _refuse_values(core: Any, target: str, given: Pairs) -> None:
    """Raise UsageError for a value that the runtime does not take."""
    for name, value in given:
        try:
            core.set_property(target, {name: _native(core, target, name, value)})
        except Exception as error:
            raise UsageError(f"{SESSION} {name}={value}: OpenVINO: {reason(error)}") from None


def _native(core: Any, target: str, name: str, value: str) -> Any:
    """A value as the runtime takes it: texts are parsed by the runtime, but for switches."""
    return value == "1" if _is_switch(core, target, name) else value


def properties(workload: Workload, core: Any, target: str, count: bool) -> dict[str, Any]:
    """All properties that the measurement depends on; what a user set goes before what we set.

    On CPUs with AMX or AVX512-BF16 and on GPUs the default is to compute float32 models in half
    precision; here float32 stays float32. An NPU has no float32.
    """
    made: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "PERF_COUNT": count}
    kind = target.partition(".")[0]
    if kind in ("CPU", "GPU"):
        made["INFERENCE_PRECISION_HINT"] = "f32"
    if kind == "CPU":
        made["INFERENCE_NUM_THREADS"] = workload.threads
        if workload.concurrent:  # each session would take the same first cores
            made["ENABLE_CPU_PINNING"] = False
    given = dict(workload.setup.session)
    if kind == "NPU" or given.get("PERFORMANCE_HINT", "LATENCY") != "LATENCY":
        del made["NUM_STREAMS"]  # a hint of its own says how many
    return made | {name: _native(core, target, name, value) for name, value in given.items()}


def one_stream(asked: dict[str, Any], compiled: Any) -> dict[str, Any] | None:
    """The properties of a single stream of a compiled model; None where it has no more.

    A request runs on one stream, and counters are those of any: of several, they may be of one
    that did not run.
    """
    streams = int(compiled.get_property("NUM_STREAMS"))
    if streams < 2:
        return None
    threads = max(1, int(compiled.get_property("INFERENCE_NUM_THREADS")) // streams)
    return asked | {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}


def refuse_other_values(compiled: Any, given: Pairs) -> None:
    """Raise BackendError where the runtime silently took another value than a user's."""
    for name, value in given:
        taken = _taken(compiled, name)
        if taken and value.upper() not in _OPEN and not _are_equal(taken, value):
            raise BackendError(
                f"OpenVINO takes {name}={taken} here, not {value}",
                where="openvino",
                remedy=f"Leave out {SESSION} {name}",
            )


def _taken(compiled: Any, name: str) -> str:
    """A compiled model's property as a text; empty where it cannot be read."""
    try:
        value = compiled.get_property(name)
    except Exception:  # not every property of a device is one of its models
        return ""
    if isinstance(value, set | list | tuple | dict):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if hasattr(value, "get_type_name"):
        return str(value.get_type_name())
    return str(getattr(value, "name", value))


def _are_equal(taken: str, value: str) -> bool:
    try:
        return float(taken) == float(value)
    except ValueError:
        return taken.upper() == value.upper()
