"""Runs on disk: whole, or not there."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies
from support.store.same import assert_same

from onnxprof import folders
from onnxprof.errors import StoreError
from onnxprof.records import step
from onnxprof.records.run import Run
from onnxprof.store import folder as store
from onnxprof.store import parquet
from onnxprof.store.answers import answers
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Filters, Store
from onnxprof.store.formats import archive
from onnxprof.store.names import path_part
from onnxprof.testing import sample_run


def failed(run: Run, why: str = "killed at 2 GiB") -> Run:
    return dataclasses.replace(run, timings=None, failure=why, steps=())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@settings(max_examples=60)
@given(strategies.runs())
def test_what_is_saved_comes_back(run: Run) -> None:
    with TemporaryDirectory() as folder:
        path = Store(Path(folder)).save(run)
        assert_same(store.load(path), run)
        (summary,), problems = store.scan([Path(folder)])
        assert problems == []
        assert summary == dataclasses.replace(parquet.summarise(run), file=str(path))


def test_steps_of_several_processes_without_latencies(tmp_path: Path) -> None:
    run = sample_run()
    assert run.timings is not None
    none = np.zeros(0, np.int64)
    bare = dataclasses.replace(
        run.timings,
        latency_ns=none,
        latency_block=none.astype(np.int32),
        traced_block=np.zeros(run.timings.traced_ns.size, np.int32),
        block_process=(0,),
    )
    path = Store(tmp_path).save(dataclasses.replace(run, timings=bare))
    assert parquet.read_summary(path).median_ns is None
    assert parquet.read_summary(path).layer_sum_ns


def test_where_a_run_is_stored(tmp_path: Path) -> None:
    path = Store(tmp_path).save(sample_run("net", 8))
    assert re.fullmatch(
        r"net/cpu-fake/fake/b0008-t2-[0-9a-f]{12}-20260102T030405Z\.parquet",
        path.relative_to(tmp_path).as_posix(),
    )


def test_prefixes_are_rows_that_say_how_many_steps(tmp_path: Path) -> None:
    run = sample_run()
    assert run.timings is not None
    prefixed = dataclasses.replace(
        run.timings,
        timer=step.Timer.PREFIX,
        prefix_ns=np.arange(6).reshape(2, 3),
        prefix_steps=(0, 3),
    )
    path = Store(tmp_path).save(dataclasses.replace(run, timings=prefixed))
    rows = [row for row in pq.read_table(path).to_pylist() if row["kind"] == "prefix"]
    assert [row["step"] for row in rows] == ["(first 0 steps)"] * 3 + ["(first 3 steps)"] * 3
    assert [row["sample"] for row in rows] == [0, 1, 2, 0, 1, 2]
    assert [row["duration_ns"] for row in rows] == list(range(6))


def test_columns_for_other_programs(tmp_path: Path) -> None:
    run = sample_run()
    steps = (run.steps[0], dataclasses.replace(run.steps[1], name=run.steps[0].name), run.steps[2])
    table = pq.read_table(Store(tmp_path).save(dataclasses.replace(run, steps=steps)))
    assert tuple(table.column_names) == archive.SAMPLES
    assert [str(t) for t in table.schema.types[2:]] == ["int32", "int32", "int64"]
    assert all(pa.types.is_dictionary(t) for t in table.schema.types[:2])
    rows = table.to_pylist()
    assert tuple(dict.fromkeys(row["kind"] for row in rows)) == parquet.KINDS[:4]
    named = dict.fromkeys(row["step"] for row in rows if row["step"])
    assert list(named) == ["/block/conv_0_step", "/block/conv_0_step#2", "reorder_1"]
    assert {row["kind"] for row in rows if row["block"] is not None} == {"latency"}
    assert {row["sample"] for row in rows if row["kind"] == "step"} == set(range(50))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    runs = [sample_run(seed=seed) for seed in range(3)]
    paths = [Store(tmp_path).save(run) for run in runs]
    assert [path.stem[-3:] for path in paths] == ["05Z", "Z-2", "Z-3"]
    for run, path in zip(runs, paths, strict=True):
        assert_same(store.load(path), run)


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    paths = [Store(tmp_path).save(sample_run()) for _ in range(2)]
    assert len(set(paths)) == len(names(tmp_path)) == 2


def test_find_tells_by_the_name_what_is_done(tmp_path: Path) -> None:
    here, run = Store(tmp_path), sample_run()
    assert here.find(run.request) == []
    first = here.save(run)
    bad = here.save(failed(run))
    second = here.save(dataclasses.replace(run, created="2026-01-02T03:04:06Z"))
    here.save(sample_run(batch=2))
    first.write_bytes(b"not opened")
    assert here.find(run.request) == [first, second]
    assert here.find(run.request, failed=True) == [bad]


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..",
        ".",
        "",
        ".hidden",
        "/absolute/model.onnx",
        "C:\\nul",
        "con",
        "COM1.onnx",
        "<script>alert('x')</script>",
        "卷积 网络",
        "a\x00b\n\x1b[31m",
        "\ud800",
        "x" * 5000,
        "网" * 500,
        "trailing. ",
        "model=3",
        "%2e%2e",
    ],
)
def test_any_name_is_stored_inside_the_store(tmp_path: Path, name: str) -> None:
    root = tmp_path / "runs"
    run = sample_run(name, device=name, backend=name)
    path = Store(root).save(run)
    assert path.resolve().is_relative_to(root.resolve())
    assert len(path.relative_to(root).parts) == 4
    assert names(tmp_path) == [path.name]
    assert_same(store.load(path), run)
    assert Store(root).find(run.request) == [path]


@given(st.text())
def test_a_part_of_a_path_is_plain(text: str) -> None:
    part = path_part(text)
    assert 0 < len(part.encode()) <= 81
    assert not set(part) & set('/\\:*?"<>|=%&\x00 \n')
    assert part[0] not in ".-"
    assert part[-1] not in ". "


def test_names_that_differ_in_case_alone_are_kept_apart(tmp_path: Path) -> None:
    paths = [Store(tmp_path).save(sample_run(name)) for name in ("LeNet", "lenet")]
    assert paths[0].name != paths[1].name


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    kept = Store(tmp_path).save(sample_run())
    before = kept.read_bytes()
    monkeypatch.setattr(os, call, full)
    with pytest.raises(StoreError, match=r"No space left on device.*Free some space") as caught:
        Store(tmp_path).save(sample_run())
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == [kept.name]
    assert kept.read_bytes() == before


def test_a_write_that_stops_halfway_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StoreError, match="cannot be saved"):
            Store(tmp_path).save(sample_run())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Store(tmp_path).save(sample_run())
    assert names(tmp_path) == []


def test_a_store_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    told = r"cannot be saved: this is a file, and a store is a folder.*--store"
    with pytest.raises(StoreError, match=told):
        Store(tmp_path / "runs").save(sample_run())
    with pytest.raises(StoreError, match=told):
        Store(tmp_path / "runs").check_writable()


def test_a_run_that_contradicts_itself_is_not_written(tmp_path: Path) -> None:
    run = sample_run()
    assert run.timings
    odd = dataclasses.replace(run.timings, latency_block=np.zeros(3, np.int32))
    for bad, message in (
        (dataclasses.replace(run, steps=run.steps[:1]), "1 steps have times of shape"),
        (dataclasses.replace(run, timings=odd), "blocks differ"),
        (dataclasses.replace(run, timings=None), "neither times nor a reason"),
        (dataclasses.replace(run, schema=2), "schema version 2"),
    ):
        with pytest.raises(StoreError, match=message):
            Store(tmp_path).save(bad)
    assert names(tmp_path) == []


def test_stores_merge_oldest_first(tmp_path: Path) -> None:
    for i, folder in enumerate("bac"):
        Store(tmp_path / folder).save(sample_run(folder, created=f"2026-01-0{3 - i}T00:00:00Z"))
    runs, _ = store.load_all([tmp_path / folder for folder in "abc"])
    assert [run.request.model_name for run in runs] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (Filters(), 3),
        (Filters(model=("NET",)), 2),
        (Filters(model=("net*",)), 1),
        (Filters(model=("*n?t*",)), 2),
        (Filters(model=("[a]", "nope")), 1),
        (Filters(model=("[a]*",)), 1),
        (Filters(device=("h200",)), 1),
        (Filters(device=("fake cpu",)), 3),
        (Filters(backend=("ort",), batch=(1, 2)), 1),
        (Filters(batch=(3,)), 0),
    ],
)
def test_filters(tmp_path: Path, filters: Filters, count: int) -> None:
    Store(tmp_path).save(sample_run("LeNet", 1))
    Store(tmp_path).save(sample_run("net-2", 2, device="cuda:0:h200", backend="ort"))
    Store(tmp_path).save(sample_run("[a]", 8))
    assert len(store.scan([tmp_path], filters)[0]) == count


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONNXPROF_STORE", raising=False)
    assert folders.store() == Path("runs")
    monkeypatch.setenv("ONNXPROF_STORE", "elsewhere")
    assert folders.store() == Path("elsewhere")


def test_a_failed_run_is_stored_with_its_reason(tmp_path: Path) -> None:
    run = failed(sample_run(), "卷积 crashed")
    path = Store(tmp_path).save(run)
    assert path.stem.endswith("-failed")
    assert pq.read_metadata(path).num_rows == 0
    assert_same(store.load(path), run)
    (summary,), _ = store.scan([tmp_path])
    assert (summary.failure, summary.median_ns, summary.half_width) == ("卷积 crashed", None, None)


def test_a_big_run_stays_small(tmp_path: Path) -> None:
    from onnxprof.testing import sample_table

    table = sample_table(1, ["Conv", "Relu", "Gemm"] * 600)
    path = Store(tmp_path).save(dataclasses.replace(sample_run(), table=table))
    assert path.stat().st_size < 250_000


def test_a_summary_that_another_version_derived_is_derived_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list shows the figures that `runs show` shows, whoever wrote the file."""
    run = sample_run()
    monkeypatch.setattr("onnxprof.store.summary.ESTIMATOR", 0)
    path = Store(tmp_path).save(run)
    monkeypatch.undo()
    assert parquet.read_summary(path) == dataclasses.replace(parquet.summarise(run), file=str(path))


def test_the_name_of_a_file_has_the_sizes_of_axes(tmp_path: Path) -> None:
    store, sample = Store(tmp_path), sample_run()
    dims = (("past", 0), ("a-failed/x", 3))
    run = dataclasses.replace(sample, request=dataclasses.replace(sample.request, dims=dims))
    path = store.save(run)
    digest = request_digest(run.request)
    assert path.name == f"b0001-t2-{digest}-a_failed_x=3,past=0-20260102T030405Z.parquet"
    assert store.find(run.request) == [path]
    before = path.with_name(f"b0001-t2-{digest}-20260101T030405Z.parquet")  # as it was called once
    before.write_bytes(path.read_bytes())
    assert store.find(run.request) == [before, path]
    found = answers(store, "sample", "cpu:fake", "fake")
    assert [(answer.digest, answer.failed) for answer in found] == [(digest, False)] * 2
    many = tuple((f"axis_of_some_length_{i}", i) for i in range(40))
    long = dataclasses.replace(sample, request=dataclasses.replace(sample.request, dims=many))
    assert len(store.save(long).name) < 160
