"""Settings of a runtime, settled before anything is measured: one form, or a reason why not."""

from __future__ import annotations

from typing import Any

import pytest

from onnxprof.errors import UsageError
from onnxprof.jobs.job import asked_of
from onnxprof.jobs.options import Options, command_line
from onnxprof.jobs.setting import settled
from onnxprof.plugins import registry
from onnxprof.records.device import Device
from onnxprof.records.run import Request
from onnxprof.records.step import Granularity, Setup
from onnxprof.store.encoding import request_digest
from onnxprof.sweeps.devices import spread
from onnxprof.sweeps.tasks import Task
from onnxprof.testing import FakeBackend

CPU = Device("cpu:x", "cpu", "x")


class Settable(FakeBackend):
    """A runtime with two levels and a few options, in capitals."""

    def configured(self, setup: Setup, provider: str) -> Setup:
        if setup.level not in ("", "basic", "extended"):
            raise UsageError(f"no level {setup.level}")
        pairs = sorted((name.upper(), value) for name, value in setup.session)
        return Setup(setup.level, tuple(pairs), tuple((provider, v) for _, v in setup.provider))


@pytest.fixture(autouse=True)
def backend(monkeypatch: pytest.MonkeyPatch) -> Settable:
    made = Settable()
    monkeypatch.setattr(registry, "backend", lambda name: made)
    return made


def asked(**given: Any) -> Options:
    return settled(Options(("m",), backend="fake", threads=1, **given), CPU)


def request_of(options: Options) -> Request:
    return asked_of(
        options, model_name="m", model_sha256="ab", provider="cpu", device_id="cpu:x", batch=1
    )


def test_what_means_the_same_is_the_same_request() -> None:
    plain, everything = asked(), asked(optimization_level="all")
    assert everything == plain
    written = asked(granularity=Granularity.WRITTEN)
    assert asked(optimization_level="disable") == written
    assert asked(optimization_level="disable", granularity=Granularity.WRITTEN) == written
    one = asked(session_options=(("b", "1"), ("a", "2")))
    other = asked(session_options=(("A", "2"), ("B", "1")))
    assert one == other
    assert request_digest(request_of(one)) == request_digest(request_of(other))
    digests = {request_digest(request_of(each)) for each in (plain, written, one)}
    assert len(digests) == 3


def test_settled_options_stay_as_they_are() -> None:
    made = asked(optimization_level="basic", session_options=(("a", "1"),))
    assert settled(made, CPU) == made
    assert "--optimization-level basic --session-option A=1" in command_line(made)


def test_options_of_a_provider_are_for_the_device_that_is_meant() -> None:
    assert asked(provider_options=(("x", "1"),)).provider_options == (("cpu", "1"),)
    made = asked(provider="cuda", provider_options=(("x", "1"),))
    assert made.provider_options == (("cuda", "1"),)


@pytest.mark.parametrize("level", ["all", "basic"])
def test_a_graph_as_written_is_not_optimised(level: str) -> None:
    with pytest.raises(UsageError, match=f"--optimization-level {level} asks for it"):
        asked(granularity=Granularity.WRITTEN, optimization_level=level)


def test_a_backend_is_asked_only_where_something_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "backend", lambda name: pytest.fail("looked up"))
    assert asked() == Options(("m",), backend="fake", threads=1)


def test_tasks_are_settled_or_refused_with_the_reason() -> None:
    tasks = [
        Task(Options(("m",), backend="fake", optimization_level=level))
        for level in ("all", "basic", "odd")
    ]
    found = spread(tasks, lambda *_: [CPU])
    assert [task.options.optimization_level for task in found.tasks] == ["", "basic"]
    [(task, error)] = found.refused
    assert task is tasks[2]
    assert "no level odd" in str(error)
    assert Task.from_json(found.tasks[1].to_json()) == found.tasks[1]
