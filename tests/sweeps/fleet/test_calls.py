"""The near side of a conversation, with a worker that says whatever the test has it say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.fleets.sweeps import task

from onnxprof.errors import FleetError
from onnxprof.records.run import Run
from onnxprof.store import encoding
from onnxprof.store.folder import Store
from onnxprof.store.parquet import to_bytes
from onnxprof.sweeps import events
from onnxprof.sweeps.fleet.near.calls import Call, Pulse, Sent, greet
from onnxprof.sweeps.fleet.near.stock import Stock
from onnxprof.sweeps.fleet.near.tally import Tally
from onnxprof.sweeps.fleet.wire.frames import PROTOCOL, Frame
from onnxprof.sweeps.fleet.wire.reports import of_event
from onnxprof.sweeps.ledger import Ledger
from onnxprof.sweeps.places import PlaceLostError
from onnxprof.sweeps.resume import Policy
from onnxprof.sweeps.tasks import Task
from onnxprof.testing import sample_run

DEVICE = "cpu:fake"


@dataclass(slots=True)
class Script:
    """A line whose other end says these frames, whatever it hears."""

    frames: list[Frame]
    sent: list[Frame] = field(default_factory=list)

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    def next(self) -> Frame:
        if not self.frames:
            raise PlaceLostError("its connection broke", where="board")
        return self.frames.pop(0)


def asked(**given: object) -> Task:
    return replace(task(backend="fake", **given), device_id=DEVICE, device_kind="cpu")


def run_frame(run: Run, made: Task, batch: int, reason: str = "") -> Frame:
    facts = {"job": encoding.to_json(made.job(batch)), "seconds": 1.5, "reason": reason}
    return Frame("run", facts, to_bytes(run))


class Talk:
    """A call and what came of it."""

    def __init__(self, tmp_path: Path, made: Task, frames: Iterable[Frame]) -> None:
        self.heard: list[events.Event] = []
        self.store = Store(tmp_path / "runs")
        self.ledger = Ledger(self.store, Policy(), self.heard.append)
        self.line = Script(list(frames))
        self.tally = Tally()
        self.call = Call(self.line, "board", made, self.ledger, Stock(), Sent(), self.tally)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.heard]


def test_a_run_is_stored_as_the_bytes_that_came(tmp_path: Path) -> None:
    made = asked(batches=(1,))
    frame = run_frame(sample_run(), made, 1)
    talk = Talk(tmp_path, made, [frame, Frame("done")])
    talk.call.run()
    (path,) = talk.store.paths()
    assert path.read_bytes() == frame.body
    (finished,) = talk.heard
    assert isinstance(finished, events.Finished)
    assert finished.job == made.job(1, "board")
    assert finished.seconds == 1.5


def test_a_run_that_comes_twice_is_stored_once(tmp_path: Path) -> None:
    made = asked(batches=(1,))
    frame = run_frame(sample_run(), made, 1)
    talk = Talk(tmp_path, made, [frame, frame, Frame("done")])
    talk.call.run()
    assert len(list(talk.store.paths())) == 1
    assert talk.kinds() == ["finished"]


def test_what_had_ended_is_not_asked_for_again(tmp_path: Path) -> None:
    made = asked(batches=(1, 2))
    talk = Talk(tmp_path, made, [run_frame(sample_run(), made, 1)])
    with pytest.raises(PlaceLostError):
        talk.call.run()
    talk.line.frames = [run_frame(sample_run(batch=2), made, 2), Frame("done")]
    talk.call.run()
    assert Task.from_json(talk.line.sent[-1].facts["task"]).options.batches == (2,)
    assert len(list(talk.store.paths())) == 2
    talk.line.frames = []
    talk.call.run()  # nothing is left: the worker is not even asked


def other(run: Run, **changes: object) -> Run:
    return replace(run, request=replace(run.request, **changes))


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (lambda t: replace(run_frame(sample_run(), t, 1), body=b"PAR1 no"), "sent a run that"),
        (lambda t: run_frame(other(sample_run(), backend="ort"), t, 1), "for another task"),
        (lambda t: run_frame(other(sample_run(), device_id="cpu:x"), t, 1), "for another task"),
        (lambda t: run_frame(sample_run(), t, 64), "is not its own"),
        (lambda t: Frame("run", {"job": 3}, to_bytes(sample_run())), "cannot be understood"),
        (lambda t: Frame("event", {"event": "party", "facts": {}}), "cannot be understood"),
        (lambda t: Frame("event", {"event": "started", "facts": []}), "cannot be understood"),
        (lambda t: Frame("need", {"sha256": "0" * 64}), "not of its task"),
        (lambda t: Frame("surprise"), "cannot be understood"),
        (lambda t: Frame("failed", {"what": 3}), "cannot be understood"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_not_stored(tmp_path: Path, frame, why: str) -> None:
    made = asked(batches=(1,))
    talk = Talk(tmp_path, made, [frame(made), Frame("done")])
    with pytest.raises(FleetError, match=why):
        talk.call.run()
    assert list(talk.store.paths()) == []


def test_how_the_sweep_goes_is_not_the_workers_to_say(tmp_path: Path) -> None:
    made = asked(batches=(1,))
    told = [
        events.Planned(9, 0, 9),
        events.Ended(9, 0, 0, 0),
        events.Noted("is warm"),
        events.Started(made.job(1)),
        events.Failed(made.job(1), "no memory"),
        events.Failed(made.job(1), "again"),
    ]
    talk = Talk(tmp_path, made, [*map(of_event, told), Frame("done")])
    talk.call.run()
    assert talk.kinds() == ["noted", "started", "failed"]
    assert talk.heard[0].text == "board: is warm"
    assert talk.heard[1].job.node == "board"


def test_a_task_that_the_worker_cannot_read_fails_with_its_reason(tmp_path: Path) -> None:
    facts = {"what": "this is no task", "where": "", "remedy": "Update it"}
    made = asked(batches=(1, 2))
    talk = Talk(tmp_path, made, [Frame("failed", facts)])
    talk.call.run()
    assert [event.reason for event in talk.heard] == ["board: this is no task. Update it"] * 2


def test_a_job_that_nothing_was_said_of_is_failed(tmp_path: Path) -> None:
    talk = Talk(tmp_path, asked(batches=(1,)), [Frame("done")])
    talk.call.run()
    assert "without a word" in talk.heard[0].reason


def test_a_worker_of_another_version_is_named() -> None:
    frames = [Frame("hello", {"protocol": PROTOCOL + 1, "survey": {}})]
    with pytest.raises(FleetError, match="board: its worker speaks another version"):
        greet(Script(frames), "board", ("fake",), Pulse())
    with pytest.raises(FleetError, match="cannot be understood"):
        greet(Script([Frame("hello", {"protocol": PROTOCOL})]), "board", ("fake",), Pulse())
