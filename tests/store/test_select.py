"""Which stored runs a text means, for every command alike."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import pytest

from onnxprof.cli.lazy import load
from onnxprof.cli.main import COMMANDS
from onnxprof.errors import NoRunError, StoreError, UsageError
from onnxprof.records.run import Run
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Filters, Store
from onnxprof.store.select import Need, select
from onnxprof.testing import sample_run


def failed(run: Run) -> Run:
    return dataclasses.replace(run, timings=None, failure="it broke", created="2027")


def bare(run: Run) -> Run:
    """Times of steps alone, as an imported run may have."""
    assert run.timings is not None
    return dataclasses.replace(
        run,
        created="2028",
        timings=dataclasses.replace(
            run.timings,
            latency_ns=run.timings.latency_ns[:0],
            latency_block=run.timings.latency_block[:0],
        ),
    )


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two runs of one request, one that failed; another batch; another model."""
    store = Store(tmp_path / "runs")
    for day in (2, 1):
        store.save(sample_run("net", created=f"2026-01-0{day}T00:00:00Z"))
    store.save(failed(sample_run("net")))
    store.save(sample_run("net", 8, created="2026-01-03T00:00:00Z"))
    store.save(sample_run("other", created="2026-01-04T00:00:00Z"))
    return store.root


NET = request_digest(sample_run("net").request)


def test_a_file_is_its_run_whatever_the_filters(root: Path, said: list[str]) -> None:
    path = next(root.rglob("b0008*.parquet"))
    [run] = select(str(path), [root / "no"], Filters(model=("other",)), say=said.append)
    assert (run.path, said) == (path, [])


def test_a_folder_is_its_runs_that_pass_oldest_first(root: Path, said: list[str]) -> None:
    found = select(str(root), [root / "no"], Filters(model=("net",)), say=said.append)
    assert [run.created[:10] for run in found] == [*(f"2026-01-0{i}" for i in (1, 2, 3)), "2027"]
    assert select("", [root], Filters(model=("net",)), say=said.append) == found
    inner = select(str(root / "other"), [root], say=said.append)
    assert [run.request.model_name for run in inner] == ["other"]


@pytest.mark.parametrize("text", [NET, NET[:7], NET[:7].upper()])
def test_an_id_is_the_newest_run_that_has_it(root: Path, text: str, said: list[str]) -> None:
    [run] = select(text, [root], say=said.append)
    assert run.failure == "it broke"
    assert f"3 runs are called {text}; the newest is {run.path}" in said
    [good] = select(text, [root], need=Need.LATENCIES, say=said.append)
    assert good.created.startswith("2026-01-02")
    assert any("1 run without latencies" in line for line in said)
    with pytest.raises(UsageError, match=f"{text} in .*no stored run matches"):
        select(text, [root], Filters(model=("other",)), say=said.append)


def test_ids_are_looked_up_in_every_store(root: Path, tmp_path: Path, said: list[str]) -> None:
    path = Store(tmp_path / "more").save(sample_run("more"))
    name = request_digest(sample_run("more").request)[:7]
    [run] = select(name, [root, tmp_path / "more"], say=said.append)
    assert run.path == path


def test_what_is_needed_is_there_or_missed_by_name(tmp_path: Path, said: list[str]) -> None:
    store = Store(tmp_path)
    whole, steps, lost = (
        store.save(run)
        for run in (
            sample_run("whole"),
            bare(sample_run("steps")),
            failed(sample_run("lost")),
        )
    )

    def names(need: Need) -> set[str]:
        found = select("", [tmp_path], need=need, say=said.append)
        return {run.request.model_name for run in found}

    assert names(Need.NOTHING) == {"whole", "steps", "lost"}
    assert names(Need.TIMES) == {"whole", "steps"}
    assert names(Need.LATENCIES) == {"whole"}
    assert said == [
        f"1 run without times in {tmp_path} left out",
        f"2 runs without latencies in {tmp_path} left out",
    ]
    assert select(str(whole), [], need=Need.LATENCIES, say=said.append)
    assert select(str(steps), [], need=Need.TIMES, say=said.append)
    with pytest.raises(StoreError, match="no latencies: no un-profiled samples"):
        select(str(steps), [], need=Need.LATENCIES, say=said.append)
    with pytest.raises(StoreError, match="no times: it broke"):
        select(str(lost), [], need=Need.TIMES, say=said.append)
    with pytest.raises(UsageError, match="1 run without times and no other match: it broke"):
        select("", [tmp_path], Filters(model=("lost",)), Need.TIMES, say=said.append)


def test_every_filter_that_no_run_passes_is_named(root: Path, said: list[str]) -> None:
    never: dict[str, tuple[Any, ...]] = dict.fromkeys(("model", "device", "backend"), ("never",))
    never |= {"tag": ("never",), "phase": ("decode:7",), "batch": (77,), "dims": (("past", (7,)),)}
    assert set(never) == {field.name for field in dataclasses.fields(Filters)}
    for name, value in never.items():
        with pytest.raises(NoRunError, match=r"no stored run matches: none has .*(never|7)"):
            select("", [root], Filters(**{name: value}), say=said.append)


def test_a_mistyped_phase_has_those_that_there_are(tmp_path: Path, said: list[str]) -> None:
    made = sample_run()
    for phase in ("decode:16", "prefill:16", ""):
        request = dataclasses.replace(made.request, phase=phase)
        Store(tmp_path).save(dataclasses.replace(made, request=request))
    with pytest.raises(NoRunError, match="none has the phase decode:17") as caught:
        select("", [tmp_path], Filters(phase=("decode:17",)), say=said.append)
    assert caught.value.remedy.endswith("There is: decode:16, prefill:16")


@pytest.mark.parametrize("text", ["", "abcdef0", "no/such/folder", "."])
def test_nothing_that_matches(text: str, tmp_path: Path, said: list[str], monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"no stored run matches.*Give an id of"):
        select(text, [tmp_path / "runs"], say=said.append)


def test_a_file_that_is_not_there_or_no_run_is_an_error(tmp_path: Path, said: list[str]) -> None:
    with pytest.raises(StoreError, match=r"gone\.parquet"):
        select("gone.parquet", [tmp_path], say=said.append)
    (tmp_path / "model.txt").write_bytes(b"no run")
    with pytest.raises(StoreError, match=r"model\.txt"):
        select(str(tmp_path / "model.txt"), [tmp_path], say=said.append)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("zoo:lenet", "lenet"),
        ("hf:who/decoder@main:onnx/model.onnx", "decoder"),
        ("gone.onnx", "gone"),
        ("my model.ONNX", "'my model'"),
    ],
)
def test_a_model_is_no_run_and_that_is_said(
    text: str, name: str, tmp_path: Path, said: list[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my model.ONNX").write_bytes(b"no run")
    with pytest.raises(UsageError, match="is a model, and a run of one is needed") as caught:
        select(text, [tmp_path], say=said.append)
    assert caught.value.where == text
    assert f"runs list --model {name}`" in caught.value.remedy
    assert f"onnxprof profile {shlex.quote(text)}`" in caught.value.remedy


def test_a_run_may_be_in_a_file_that_is_called_like_a_model(root: Path, said: list[str]) -> None:
    [first, *_] = select("", [root], say=said.append)
    renamed = first.path.rename(root.parent / "run.onnx")
    [run] = select(str(renamed), [root], say=said.append)
    assert run.request == first.request


def test_unreadable_files_are_named_up_to_five(root: Path, said: list[str]) -> None:
    for i in range(7):
        (root / f"bad{i}.parquet").write_bytes(b"no")
    assert len(select("", [root], say=said.append)) == 5
    assert [line.startswith("skipped ") for line in said] == [True] * 6
    assert said[-1] == "skipped 2 more files"
    (root / "bad0.parquet").unlink()
    select("", [root], say=said.append)
    assert said[-1] == "skipped 1 more file"


def test_a_tilde_is_the_home_folder(root: Path, said: list[str], monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(select("~/runs", [], say=said.append)) == 5


@pytest.mark.parametrize("command", ["compare", "align", "runs show", "runs export"])
def test_every_command_says_the_same_of_its_runs(command: str) -> None:
    name, _, child = command.partition(" ")
    entry = load(name, COMMANDS[name])
    found = getattr(entry, "commands", {}).get(child, entry)
    arguments = [p for p in found.params if p.param_type_name == "argument"]
    helps = [getattr(p, "help", "") or "" for p in arguments]
    rule = "An id or its first digits, a .parquet file or a folder of runs; "
    assert any(text.startswith(rule) for text in helps)
