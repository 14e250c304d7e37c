"""Which stored ceilings bound a run, and what is said where none do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.runs.ceilings import KEY, ceilings, point

from onnxprof.reasons.stored import Shelf
from onnxprof.records.run import Origin, Run
from onnxprof.store.beside.ceilings import save
from onnxprof.testing import sample_run


def fitting() -> Run:
    return replace(sample_run(), environment=(("runtime", "fakert 1.0"), ("cpu", "Fake CPU")))


def test_a_run_gets_the_ceilings_of_its_device_backend_and_threads(tmp_path: Path) -> None:
    save(tmp_path, ceilings())
    save(tmp_path, ceilings(key=replace(KEY, threads=8), created="2027-01-01T00:00:00Z"))
    shelf = Shelf([tmp_path])
    assert shelf.of(fitting()) == ceilings()
    assert shelf.missing(fitting()) == ""


def test_where_there_are_none_it_says_what_measures_them(tmp_path: Path) -> None:
    shelf = Shelf([tmp_path])
    assert shelf.of(fitting()) is None
    assert shelf.missing(fitting()) == (
        "there are no ceilings yet; onnxprof ceilings --backend fake --threads 2 measures what"
        " bounds each step, once"
    )
    asked = replace(fitting().request, provider="compile")
    assert "--provider compile" in shelf.missing(replace(fitting(), request=asked))


def test_those_of_another_runtime_do_not_fit(tmp_path: Path) -> None:
    save(tmp_path, ceilings(environment=(("runtime", "fakert 0.9"),)))
    shelf = Shelf([tmp_path])
    assert shelf.of(fitting()) is None
    assert "runtime was fakert 0.9 and is fakert 1.0" in shelf.missing(fitting())


def test_a_level_of_memory_is_as_fast_as_any_backend_saw_it(tmp_path: Path) -> None:
    own, other = ceilings(), replace(KEY, backend="other")
    fast = point("add", (64 << 20) / 30, moved=64 << 20)
    call = point("relu", 1, moved=512)
    save(tmp_path, own)
    save(tmp_path, ceilings(fast, call, key=other, environment=()))
    elsewhere = replace(own.device, name="Another CPU")
    save(tmp_path, ceilings(point("add", 1, moved=64 << 20), key=other, device=elsewhere))
    held = Shelf([tmp_path]).of(fitting())
    assert held is not None
    assert held.points == (*own.points, fast), "what a call costs is the backend's own"


def test_an_imported_run_is_not_asked_for(tmp_path: Path) -> None:
    imported = replace(fitting(), origin=Origin("trtexec", "IProfiler"))
    assert Shelf([tmp_path]).missing(imported) == ""
