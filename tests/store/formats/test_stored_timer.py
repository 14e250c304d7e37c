"""The timer of a stored run, where its file names it and where it does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from onnxprof.analysis.step_times import divided
from onnxprof.errors import StoreError
from onnxprof.records import run as records
from onnxprof.records import step
from onnxprof.store import parquet
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


def timed_by(timer: step.Timer, *, cut: bool = False, hosted: bool = False) -> records.Run:
    """A run with prefixes or the host's times, or both, which the timer may need."""
    run = sample_run()
    assert run.timings is not None
    rounds = np.array([[1], [90], [140], [200]]) * 1_000 + np.arange(5)
    timings = dataclasses.replace(
        run.timings,
        timer=timer,
        prefix_ns=rounds if cut else run.timings.prefix_ns,
        prefix_steps=(0, 1, 2, 3) if cut else (),
        host_ns=run.timings.step_ns * 2 if hosted else run.timings.host_ns,
    )
    return dataclasses.replace(run, timings=timings)


def without_timer(run: records.Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """The file that a version wrote which did not store the timer."""
    written = parquet.encoding.run_to_json
    older = {k: v for k, v in written(run).items() if k != "timer"}
    monkeypatch.setattr(parquet.encoding, "run_to_json", lambda _: older)
    path = Store(folder).save(run)
    monkeypatch.undo()
    return path


@pytest.mark.parametrize(
    ("timer", "cut", "hosted"),
    [
        (step.Timer.TRACE, False, False),
        (step.Timer.PREFIX, True, False),
        (step.Timer.CUPTI, False, True),
        (step.Timer.CUPTI, True, True),
    ],
)
def test_runs_that_name_no_timer_have_the_one_whose_times_were_printed(
    timer: step.Timer, cut: bool, hosted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = timed_by(timer, cut=cut, hosted=hosted)
    older = parquet.read_run(without_timer(run, monkeypatch, tmp_path))
    assert older.timings is not None
    assert older.timings.timer is timer
    assert older.timer == timer.value
    assert np.array_equal(divided(older).step_ns, divided(run).step_ns)


def test_prefixes_that_were_asked_for_give_the_times_beside_a_device_that_has_its_own(
    tmp_path: Path,
) -> None:
    run = timed_by(step.Timer.PREFIX, cut=True, hosted=True)
    found = parquet.read_run(Store(tmp_path).save(run))
    assert found.timer == "prefix"
    bare = divided(timed_by(step.Timer.PREFIX, cut=True)).step_ns
    assert np.array_equal(divided(found).step_ns, bare)
    assert not np.array_equal(divided(timed_by(step.Timer.CUPTI, hosted=True)).step_ns, bare)


@pytest.mark.parametrize("timer", [step.Timer.AUTO, step.Timer.PREFIX, step.Timer.CUPTI])
def test_a_timer_without_its_times_is_neither_written_nor_read(
    timer: step.Timer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=f"the {timer} timer has no times"):
        Store(tmp_path).save(timed_by(timer))
    facts = parquet.encoding.run_to_json(sample_run()) | {"timer": timer.value}
    monkeypatch.setattr(parquet.encoding, "run_to_json", lambda _: facts)
    path = Store(tmp_path).save(sample_run())
    with pytest.raises(StoreError, match=f"the {timer} timer has no times"):
        parquet.read_run(path)
