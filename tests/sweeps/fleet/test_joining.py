"""A machine as part of a Ray cluster, and what a relay hands to the worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onnxprof.errors import FleetError, UsageError
from onnxprof.sweeps.fleet.cluster import joining, nodes, relay
from onnxprof.sweeps.fleet.wire.survey import Survey

DEVICES = ("cpu:a", "cuda:0:b")


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def test_a_head_announces_its_devices_and_sends_nothing() -> None:
    words = joining.command(DEVICES)
    assert json.loads(after(words, "--resources")) == {
        "onnxprof:cpu:a": 1,
        "onnxprof:cuda:0:b": 1,
    }
    assert "--head" in words
    assert "--disable-usage-stats" in words
    assert after(words, "--include-dashboard") == "false"


def test_a_machine_joins_under_its_name() -> None:
    words = joining.command(DEVICES, "head:6379", "board1", "192.0.2.7")
    assert after(words, "--address") == "head:6379"
    assert after(words, "--node-name") == "board1"
    assert after(words, "--node-ip-address") == "192.0.2.7"
    assert "--head" not in words


@pytest.mark.parametrize("join", ["head", "ray://head:1", "head:", "-x:1 y"])
def test_an_address_without_a_port_is_refused(join: str) -> None:
    with pytest.raises(UsageError, match="--join"):
        joining.command(DEVICES, join)


def test_a_machine_without_devices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "survey", lambda names: Survey("1", "3.11"))
    with pytest.raises(FleetError, match="See onnxprof doctor"):
        joining.devices_here()


def test_nothing_that_ray_sets_reaches_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("RAY_JOB_ID", "1")
    found = relay.environment()
    assert not [name for name in found if name.startswith("RAY_")]
    monkeypatch.setattr(relay, "Path", lambda path: (_ for _ in ()).throw(OSError(path)))
    assert not {"OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "RAY_JOB_ID"} & set(relay.environment())


def test_a_token_is_shown_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert "RAY_AUTH_MODE" not in nodes.settings()
    assert nodes.settings()["RAY_USAGE_STATS_ENABLED"] == "0"
    nodes.token_file().parent.mkdir()
    nodes.token_file().write_text("abc")
    assert nodes.settings()["RAY_AUTH_MODE"] == "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert nodes.settings()["RAY_AUTH_MODE"] == "disabled"


@pytest.mark.parametrize("words", [[], ["--stdio", "--head"], ["--head", "--join", "a:1"]])
def test_a_worker_is_one_thing_at_a_time(words: list[str]) -> None:
    import typer

    from onnxprof.cli.commands.worker import worker

    app = typer.Typer()
    app.command()(worker)
    found = CliRunner().invoke(app, words)
    assert isinstance(found.exception, UsageError)
