"""Pages of two systems over all models, and of what ran on a GPU."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import io
import math
import re
from pathlib import Path

import pytest
from support.pages.graded import THREE, with_latencies
from support.sites import failed_run, wrong_run

from onnxprof.analysis.reconcile import reconcile
from onnxprof.publish.pages import device
from onnxprof.publish.pages import pair as pairs_page
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.device import device_pages, write_tables
from onnxprof.publish.pages.pair import pair_csv, pair_pages
from onnxprof.publish.site import build
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.run import Run
from onnxprof.records.step import Granularity
from onnxprof.testing import sample_run

SLOW, FAST = "cpu:slow", "cpu:zfast"


def named(run: Run) -> Run:
    """The run on a device that is called like its identity."""
    name = run.request.device_id.partition(":")[2]
    return dataclasses.replace(run, device=dataclasses.replace(run.device, name=name))


def measured(model: str, batch: int, device: str, scale: float) -> Run:
    return named(sample_run(model, batch, device, scale=scale))


def latency(run: Run) -> int:
    return reconcile(run).total_ns


def test_the_mean_is_geometric_and_each_model_counts_once() -> None:
    a = [measured("m", b, FAST, 0.5) for b in (1, 8)] + [measured("n", 1, FAST, 0.25)]
    b = [measured("m", b, SLOW, 1.0) for b in (1, 8)] + [measured("n", 1, SLOW, 2.0)]
    ((pair,), left_out) = pair_pages(catalogue([*a, *b]))
    assert left_out == 0
    assert pair.names == ("slow · fake", "zfast · fake")
    first = [latency(fast) / latency(slow) for fast, slow in zip(a, b, strict=True)]
    of_m = math.sqrt(first[0] * first[1])
    assert [row.mean for row in pair.rows] == pytest.approx([of_m, first[2]])
    assert pair.whole.mean == pytest.approx(math.sqrt(of_m * first[2]))
    spread = math.exp(abs(math.log(of_m / first[2])) / math.sqrt(2))
    assert pair.whole.deviation == pytest.approx(spread)
    assert (pair.whole.least, pair.whole.most) == pytest.approx((first[2], of_m))
    assert [(batch, found.models) for batch, found in pair.by_batch] == [(1, 2), (8, 1)]
    assert pair.by_batch[1][1].deviation is None


def test_only_like_is_set_against_like() -> None:
    plain = measured("m", 1, SLOW, 1.0)
    ask = dataclasses.replace(plain.request, dims=(("seq", 8),))
    other = measured("m", 1, FAST, 1.0)
    written = dataclasses.replace(other.request, granularity=Granularity.WRITTEN)
    with_dims = dataclasses.replace(plain, request=ask)
    as_written = dataclasses.replace(other, request=written)
    assert pair_pages(catalogue([with_dims, other])) == ([], 0)
    assert pair_pages(catalogue([plain, as_written])) == ([], 0)
    assert len(pair_pages(catalogue([plain, other]))[0]) == 1


def asked(run: Run, **changes: object) -> Run:
    return dataclasses.replace(run, request=dataclasses.replace(run.request, **changes))


def test_runs_on_other_threads_are_not_compared() -> None:
    slow, other = measured("m", 1, SLOW, 1.0), measured("m", 1, FAST, 1.0)
    quick = asked(measured("m", 1, SLOW, 0.5), threads=4)
    ((pair,), _) = pair_pages(catalogue([slow, quick, other]))
    assert pair.rows[0].mean == pytest.approx(latency(other) / latency(slow))
    assert (pair.threads, pair.on) == (2, "2 threads")
    assert pair_pages(catalogue([quick, other])) == ([], 0)


def test_a_pair_stands_at_the_threads_that_most_models_share() -> None:
    two = [measured("m", 1, device, 1.0) for device in (SLOW, FAST)]
    four = [asked(measured(m, 1, d, 1.0), threads=4) for m in "mn" for d in (SLOW, FAST)]
    more = asked(measured("m", 8, SLOW, 1.0), threads=4), measured("m", 8, FAST, 1.0)
    both = [asked(measured("n", 8, d, 1.0), threads=4) for d in (SLOW, FAST)]
    ((pair, other), _) = pair_pages(catalogue([*two, *four, *more, *both]))
    assert (other.threads, len(other.rows)) == (2, 1)
    assert (pair.threads, len(pair.rows)) == (4, 2)
    assert [cell.why for cell in pair.rows[0].cells] == ["", "other settings"]


def test_of_threads_that_as_many_models_share_those_of_the_first_page_count() -> None:
    both = [asked(measured("m", 1, d, 1.0), threads=n) for n in (1, 2) for d in (SLOW, FAST)]
    assert [pair.threads for pair in pair_pages(catalogue(both))[0]] == [1, 2]
    assert [pair.threads for pair in pair_pages(catalogue(both), 2)[0]] == [2, 1]
    assert [pair.threads for pair in pair_pages(catalogue(both), 16)[0]] == [1, 2]


def test_two_systems_have_a_page_for_each_number_of_threads(tmp_path: Path) -> None:
    found = [
        asked(measured("m", 1, device, scale), threads=n)
        for device, scale in ((SLOW, 1.0), (FAST, 0.5))
        for n in (1, 2)
    ]
    found += [asked(measured("n", 1, device, 1.0), threads=1) for device in (SLOW, FAST)]
    build.build_site(found, tmp_path)
    first, other = sorted((tmp_path / "pairs").glob("*.html"), key=lambda path: len(path.name))
    assert other.stem == f"{first.stem}-at-2-threads"
    assert f'<a href="{other.name}">on 2 threads</a>' in first.read_text("utf-8")
    assert f'<a href="{first.name}">on 1 thread</a>' in other.read_text("utf-8")
    index = (tmp_path / "index.html").read_text("utf-8")
    assert f'data-pages="1={first.stem} 2={other.stem}"' in index
    assert f'href="pairs/{first.name}"' in index


def test_a_model_is_compared_at_one_choice_of_sizes() -> None:
    def at(batch: int, device: str, size: int, scale: float) -> Run:
        return asked(measured("m", batch, device, scale), dims=(("seq", size),))

    some = [at(b, d, 16, s) for b in (1, 8) for d, s in ((SLOW, 1.0), (FAST, 0.5))]
    apart = [at(1, d, 128, s) for d, s in ((SLOW, 80.0), (FAST, 8.0))]
    ((pair,), _) = pair_pages(catalogue([*some, *apart]))
    (row,) = pair.rows
    assert row.sizes == "seq=16"
    wanted = [latency(fast) / latency(slow) for slow, fast in (some[:2], some[2:])]
    assert [cell.ratio for cell in row.cells] == pytest.approx(wanted)
    (first, *_) = csv.DictReader(io.StringIO(pair_csv(pair)))
    assert (first["sizes"], first["threads"]) == ("seq=16", "2")


def test_threads_of_a_gpu_do_not_matter() -> None:
    gpu = asked(measured("m", 1, "cuda:0:x", 0.5), threads=16)
    ((pair,), _) = pair_pages(catalogue([measured("m", 1, SLOW, 1.0), gpu]))
    assert pair.on == "2 threads"


def test_of_several_runs_the_newest_right_one_counts_not_the_fastest() -> None:
    slow, other = measured("m", 1, SLOW, 1.0), measured("m", 1, FAST, 1.0)
    old = asked(measured("m", 1, SLOW, 0.5), timer="prefix")
    old = dataclasses.replace(old, created="2025-01-01T00:00:00Z")
    late = dataclasses.replace(asked(slow, seed=7), parity=wrong_run().parity)
    late = dataclasses.replace(late, created="2027-01-01T00:00:00Z")
    ((pair,), _) = pair_pages(catalogue([slow, old, late, other]))
    assert pair.rows[0].mean == pytest.approx(latency(other) / latency(slow))


def test_what_another_program_measured_is_a_system_of_its_own() -> None:
    ours = measured("m", 1, SLOW, 1.0)
    theirs = asked(measured("m", 1, SLOW, 0.5), timer="imported")
    ((pair,), _) = pair_pages(catalogue([ours, theirs]))
    assert pair.names == ("slow · fake", "slow · fake · imported")


def test_a_device_says_the_threads_of_each_line() -> None:
    one = measured("m", 1, SLOW, 1.0)
    many = asked(measured("n", 1, SLOW, 1.0), threads=16)
    (page,) = device_pages(catalogue([one, many]))
    assert [line.here for line in page.lines] == ["fake · 2 threads", "fake · 16 threads"]
    assert page.on == ""
    (page,) = device_pages(catalogue([one, measured("n", 1, SLOW, 1.0)]))
    assert [line.here for line in page.lines] == ["fake", "fake"]
    assert page.on == "2 threads"


def test_what_has_no_ratio_says_why() -> None:
    there = [measured("m", b, SLOW, 1.0) for b in (1, 2, 4, 8)]
    failed = dataclasses.replace(
        measured("m", 2, FAST, 1.0), timings=None, steps=(), failure="killed"
    )
    wrong = dataclasses.replace(measured("m", 4, FAST, 1.0), parity=wrong_run().parity)
    both = [measured("m", 1, FAST, 1.0), failed, wrong]
    more = [measured("n", b, d, 1.0) for b in (1, 2, 4, 16) for d in (SLOW, FAST)]
    ((pair,), _) = pair_pages(catalogue([*there, *both, *more, measured("o", 1, SLOW, 1.0)]))
    assert pair.batches == (1, 2, 4, 16), "batch 8 was not run on both"
    reasons = ["", "failed", "wrong outputs", "not measured"]
    assert [cell.why for cell in pair.rows[0].cells] == reasons
    assert [row.model.slug for row in pair.rows] == ["m", "n"]
    rows = list(csv.DictReader(io.StringIO(pair_csv(pair))))
    assert [row["model"] + row["batch"] for row in rows] == ["m1", "n1", "n2", "n4", "n16"]
    assert rows[0]["a"] == "slow · fake"
    assert float(rows[0]["times_as_fast"]) == pytest.approx(pair.rows[0].mean, rel=1e-5)


def test_a_ratio_in_the_csv_wears_the_worse_grade_of_its_two_latencies() -> None:
    steady = with_latencies(measured("m", 1, SLOW, 1.0), [2.0 + i / 1e4 for i in range(20)])
    few = with_latencies(measured("m", 1, FAST, 1.0), THREE, traced=3)
    ((pair,), _) = pair_pages(catalogue([steady, few]))
    (row,) = csv.DictReader(io.StringIO(pair_csv(pair)))
    assert tuple(row) == pairs_page.COLUMNS
    assert (row["grade"], row["a_grade"], row["b_grade"]) == ("rough", "solid", "rough")
    assert 0 < float(row["a_half_width"]) < 0.02
    assert row["b_half_width"] == "", "three samples have no interval"


def test_the_document_names_every_column_of_the_csv() -> None:
    text = (Path(__file__).parents[2] / "docs" / "site.md").read_text("utf-8")
    told = text[text.index("`pairs/*.csv` have") :]
    assert set(pairs_page.COLUMNS) <= set(re.findall(r"`(\w+)`", told))


def test_there_are_no_more_pages_than_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_page, "MOST_PAIRS", 4)
    devices = [f"cpu:{name}" for name in "abcd"]
    found = [measured("m", 1, device, 1.0) for device in devices]
    found += [measured("n", 1, device, 1.0) for device in devices[2:]]
    pairs, left_out = pair_pages(catalogue(found))
    assert (len(pairs), left_out) == (4, 2)
    assert pairs[0].names == ("c · fake", "d · fake"), "the most models in common come first"
    assert len({pair.slug for pair in pairs}) == 4


def test_a_ratio_leads_to_the_two_runs_side_by_side(tmp_path: Path) -> None:
    found = [measured("m", batch, device, 1.0) for batch in (1, 8) for device in (FAST, SLOW)]
    build.build_site(found, tmp_path)
    (text,) = (page.read_text("utf-8") for page in (tmp_path / "pairs").glob("*.html"))
    links = re.findall(r'href="\.\./models/m/index\.html(#[^"]*)"', text)
    assert links == [
        "#cpu-slow.fake/1~cpu-zfast.fake/1",  # of the name: the first
        "#cpu-slow.fake/1~cpu-zfast.fake/1",
        "#cpu-slow.fake/8~cpu-zfast.fake/8",
    ]


def test_systems_without_a_model_in_common_have_no_page() -> None:
    apart = [measured("m", 1, SLOW, 1.0), measured("n", 1, FAST, 1.0)]
    assert pair_pages(catalogue(apart)) == ([], 0)
    assert pair_pages(catalogue([measured("m", 1, SLOW, 1.0), failed_run("m", 1)])) == ([], 0)


def test_the_index_leads_to_every_pair(tmp_path: Path) -> None:
    found = [measured("<m>", 1, device, 1.0) for device in (SLOW, FAST)]
    made = build.build_site(found, tmp_path / "out")
    index = made.index.read_text("utf-8")
    links = re.findall(r'href="(pairs/[a-z0-9-]+\.html)"', index)
    assert len(set(links)) == 1
    page = (tmp_path / "out" / links[0]).read_text("utf-8")
    assert "geometric mean" in page
    assert "&lt;m&gt;" in page
    assert (tmp_path / "out" / links[0]).with_suffix(".csv").is_file()


KERNELS = tuple(KernelRow(f"gemm<{i}>", 10**6 * (20 - i), 4, 10, 10**6) for i in range(15))
CALLS = (ApiRow("cudaLaunchKernel", 5_000, 10, 100, 900),)


def gpu_run(batch: int) -> Run:
    return dataclasses.replace(sample_run("m", batch, "cuda:0:x"), kernels=KERNELS, api_calls=CALLS)


def test_the_page_of_a_gpu_lists_its_kernels_and_calls(tmp_path: Path) -> None:
    build.build_site([gpu_run(1), gpu_run(8), sample_run("m", 1)], tmp_path / "out")
    page = (tmp_path / "out/devices/cuda-0-x.html").read_text("utf-8")
    kernels = page.split('id="kernels"')[1].split("</table>")[0]
    assert kernels.count("<tr><th") == 10, "the ten longest, of the largest batch alone"
    assert "gemm&lt;0&gt;" in kernels
    assert "#cuda-0-x.fake/8" in kernels
    assert "cudaLaunchKernel" in page.split('id="calls"')[1]
    assert 'id="kernels"' not in (tmp_path / "out/devices/cpu-fake.html").read_text("utf-8")


def test_the_tables_of_a_gpu_hold_everything(tmp_path: Path) -> None:
    build.build_site([gpu_run(1), gpu_run(8)], tmp_path / "out")
    place = tmp_path / "out" / "devices"
    kernels = list(csv.DictReader(io.StringIO((place / "cuda-0-x.kernels.csv").read_text())))
    assert [row["batch"] for row in kernels] == ["1"] * 15 + ["8"] * 15
    assert {row["name"] for row in kernels} == {row.name for row in KERNELS}
    calls = list(csv.DictReader(io.StringIO((place / "cuda-0-x.api-calls.csv").read_text())))
    assert [row["calls"] for row in calls] == ["10", "10"]
    listed = (tmp_path / "out/downloads.html").read_text("utf-8")
    for name in ("cuda-0-x.csv", "cuda-0-x.kernels.csv", "cuda-0-x.api-calls.csv"):
        assert f'href="devices/{name}"' in listed


def test_a_device_that_only_failed_has_an_empty_table(tmp_path: Path) -> None:
    (page,) = device_pages(catalogue([failed_run("m")]))
    (table,) = write_tables(page, tmp_path)
    text = (tmp_path / "devices" / table.file).read_text("utf-8")
    assert text.count("\n") == 1
    assert text.startswith("model,device,")


def test_a_large_table_of_a_device_is_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [gpu_run(1), gpu_run(8)]
    build.build_site(runs, tmp_path / "plain")
    monkeypatch.setattr(device, "LARGEST_PLAIN", 100)
    build.build_site(runs, tmp_path / "packed")
    plain, packed = (tmp_path / name / "devices" for name in ("plain", "packed"))
    compressed = (packed / "cuda-0-x.csv.gz").read_bytes()
    assert gzip.decompress(compressed) == (plain / "cuda-0-x.csv").read_bytes()
    assert not list(packed.glob("cuda-0-x.csv")) + list(packed.glob("cuda-0-x.spreadsheet.csv"))
    for page in ("downloads.html", "devices/cuda-0-x.html"):
        text = (tmp_path / "packed" / page).read_text("utf-8")
        assert "cuda-0-x.csv.gz" in text
        assert "cuda-0-x.spreadsheet.csv" not in text
    build.build_site(runs, tmp_path / "again")
    assert (tmp_path / "again/devices/cuda-0-x.csv.gz").read_bytes() == compressed
