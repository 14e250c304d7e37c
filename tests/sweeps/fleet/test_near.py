"""What `--fleet` may say, which machines may measure, what their devices mean, how lines end."""

from __future__ import annotations

import pytest
from support.fleets.sweeps import task

from onnxprof import __version__
from onnxprof.errors import UsageError
from onnxprof.records.device import Device
from onnxprof.sweeps.devices import spread
from onnxprof.sweeps.fleet.near.addresses import RayAddress, SshAddress, parse
from onnxprof.sweeps.fleet.near.devices import Machines, fits
from onnxprof.sweeps.fleet.near.tally import MOST_LOSSES, Tally
from onnxprof.sweeps.fleet.near.versions import Standard
from onnxprof.sweeps.fleet.wire.frames import Frame, encoded
from onnxprof.sweeps.fleet.wire.lines import Heard
from onnxprof.sweeps.fleet.wire.survey import Runtime, Survey
from onnxprof.sweeps.places import PlaceLostError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("ssh://board", (SshAddress("board"),)),
        ("ssh://pi@board:2222", (SshAddress("board", "pi", 2222),)),
        ("ssh://pi@a,b", (SshAddress("a", "pi"), SshAddress("b"))),
        ("ssh://a, ssh://b", (SshAddress("a"), SshAddress("b"))),
        ("ssh://[::1]:22/opt/x/onnxprof", (SshAddress("::1", "", 22, "/opt/x/onnxprof"),)),
        ("ssh://h/~/v/bin/onnxprof", (SshAddress("h", program="~/v/bin/onnxprof"),)),
        ("ray://head:10001", RayAddress("ray://head:10001")),
        ("local:4", RayAddress(jobs=4)),
    ],
)
def test_a_fleet_is_read(text: str, meant: object) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "board", "ssh://", "ssh://a,,b", "ssh://a:99999", "ssh://a b", "ssh://-o@x y", "ssh://a,a",
     "ray://head", "ray://head:x", "local:", "local:0", "local:-1", "local:²", "http://a:1"],
)  # fmt: skip
def test_what_names_no_fleet_is_refused_with_what_does(text: str) -> None:
    with pytest.raises(UsageError, match="--fleet") as caught:
        parse(text)
    assert caught.value.remedy


def test_too_many_jobs_are_refused_with_how_many_there_may_be() -> None:
    with pytest.raises(UsageError, match="Write local:1 to local:1024"):
        parse("local:9999")


def test_a_path_is_quoted_for_the_far_shell() -> None:
    assert SshAddress("h").command == "exec onnxprof worker --stdio"
    odd = SshAddress("h", program="/a b/$(x)").command
    assert odd == "exec '/a b/$(x)' worker --stdio"
    home = SshAddress("h", program="~/a b/onnxprof").command
    assert home == "exec \"$HOME\"/'a b/onnxprof' worker --stdio"
    assert SshAddress("h", "me", 22).node == "h:22"


CPU, GPU, OTHER = (Device(id, id.partition(":")[0], id) for id in ("cpu:a", "cuda:0:b", "cpu:c"))


def machine(version: str, *devices: Device, onnxprof: str = __version__) -> Survey:
    return Survey(onnxprof, "3.11", (Runtime("farm", version, devices),))


def test_each_different_device_is_meant_once() -> None:
    machines = Machines(
        {"x": machine("1", CPU, GPU), "y": machine("1", CPU), "z": machine("1", OTHER)}
    )

    def meant(device: str) -> list[str]:
        return [each.device_id for each in spread([task(device=device)], machines.devices_of).tasks]

    assert meant("") == ["cpu:a", "cpu:c"]
    assert meant("all") == ["cpu:a", "cuda:0:b", "cpu:c"]
    assert meant("cuda") == ["cuda:0:b"]
    assert meant("cpu:c") == ["cpu:c"]
    found = spread([task(device="npu")], machines.devices_of)
    assert "no machine of the fleet has a device 'npu' of farm: x has cpu:a" in str(
        found.refused[0][1]
    )


def test_a_task_fits_where_its_device_and_runtime_are() -> None:
    machines = Machines({"x": machine("1", CPU)})
    made = spread([task()], machines.devices_of).tasks[0]
    assert fits(made, machine("1", CPU), "cpu:a")
    assert not fits(made, machine("1", OTHER), "cpu:c")
    assert not fits(made, Survey("", "", (Runtime("ort", "1", (CPU,)),)), "cpu:a")


def test_versions_are_those_of_here_else_of_the_first() -> None:
    standard = Standard(machine("rt 1", CPU))
    assert standard.differences("x", machine("rt 1", GPU)) == ()
    assert standard.differences("x", machine("rt 2", CPU)) == ("rt 2, here rt 1",)
    assert standard.differences("x", machine("")) == ()
    assert standard.differences("x", machine("rt 1", onnxprof="0.0.1")) == (
        f"onnxprof 0.0.1, here {__version__}",
    )
    bare = Standard(Survey(__version__, "3.11"))
    assert bare.differences("x", machine("rt 2")) == ()
    assert bare.differences("y", machine("rt 1")) == ("rt 1, x rt 2",)


def test_a_task_goes_on_where_it_stopped() -> None:
    tally, made = Tally(), task(batches=(1, 2, 4))
    assert tally.end(made, 2)
    assert not tally.end(made, 2)
    assert tally.left(made) == (1, 4)
    assert tally.left(task(batches=(1, 2, 4), seed=9)) == (1, 2, 4)


def test_a_task_that_costs_workers_or_machines_is_given_up() -> None:
    tally, made = Tally(), task()
    assert [bool(tally.lose(made, is_crash=True)) for _ in range(3)] == [False, False, True]
    other = task(seed=1)
    given_up = [bool(tally.lose(other, is_crash=False)) for _ in range(MOST_LOSSES)]
    assert given_up == [False] * (MOST_LOSSES - 1) + [True]


def test_a_line_is_lost_after_a_silence() -> None:
    now = 0.0
    heard = Heard("board", 5.0, clock=lambda: now)
    heard.add(encoded(Frame("beat")) + encoded(Frame("done")))
    assert heard.next().kind == "done"
    now = 6.0
    with pytest.raises(PlaceLostError, match="board: said nothing for 5 s"):
        heard.next()


def test_a_line_that_ended_gives_what_came_before() -> None:
    heard = Heard("board")
    heard.add(encoded(Frame("done")))
    heard.over("its connection broke")
    assert heard.is_ready
    assert heard.next().kind == "done"
    with pytest.raises(PlaceLostError, match="board: its connection broke"):
        heard.next()
    other = Heard("board")
    other.add(b"Welcome to this machine!\n")
    with pytest.raises(PlaceLostError, match="cannot be understood"):
        other.next()
