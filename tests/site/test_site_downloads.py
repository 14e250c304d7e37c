"""What the site offers beside the models' pages: devices, downloads, the index's matrix."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.places import ROOT
from support.sites import failed_run, runs, wrong_run

from onnxprof.analysis.reconcile import reconcile
from onnxprof.errors import UsageError
from onnxprof.publish.pages import charts, downloads, embed, pair
from onnxprof.publish.pages.axes import axes
from onnxprof.publish.pages.catalogue import ModelPage, catalogue
from onnxprof.publish.pages.device import device_facts, device_pages
from onnxprof.publish.pages.origins import zoo_entry
from onnxprof.publish.site import build
from onnxprof.records.device import Device
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Run
from onnxprof.records.telemetry import Energy, Telemetry
from onnxprof.testing import sample_run, sample_table


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "public"
    build.build_site(runs(), out, base_url="https://example.org/a b")
    return out


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def page_of(*measured: Run) -> ModelPage:
    (page,) = catalogue(measured)
    return page


def test_the_parquet_file_has_the_columns_that_the_page_describes(built: Path) -> None:
    schema = pq.read_schema(built / downloads.PARQUET)
    assert schema.names == list(downloads.MEANINGS)
    page = text_of(built / "downloads.html")
    described = re.findall(
        r"<tr><th scope=\"row\"><code>(\w+)</code></th><td class=\"l soft\"><code>(\w+)</code>",
        page,
    )
    assert described == [(field.name, str(field.type)) for field in schema]


def test_the_document_of_the_site_names_every_column_with_its_type() -> None:
    text = text_of(ROOT / "docs" / "site.md")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [
        (field.name, str(field.type), downloads.MEANINGS[field.name])
        for field in downloads.parquet_schema()
    ]
    for name in pair.COLUMNS:
        assert f"`{name}`" in text


def test_the_parquet_file_holds_every_good_run_whole(built: Path) -> None:
    rows = pq.read_table(built / downloads.PARQUET).to_pylist()
    good = [run for run in runs() if run.timings is not None]
    totals = [row for row in rows if row["layer_name"] == "(total)"]
    assert len(totals) == len(good), "the earlier run of a repetition, too"
    assert sorted(round(row["median_ms"] * 1e6) for row in totals) == sorted(
        reconcile(run).total_ns for run in good
    )
    assert len(rows) == sum(len(reconcile(run).rows) for run in good)


def test_the_csv_of_a_device_holds_its_runs_and_no_others(built: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(text_of(built / "devices" / "cuda-0-x.csv"))))
    assert {(row["device"], row["model"]) for row in rows} == {("cuda:0:x", "alpha")}
    assert {row["batch"] for row in rows} == {"1", "8"}


def test_a_device_shows_every_model_at_every_batch(built: Path) -> None:
    page = text_of(built / "devices" / "cpu-fake.html")
    assert page.count('<th scope="row"><a href="../models/') == 6
    assert "not measured" in page
    assert re.search(r'class="none" title="killed &lt;by&gt; signal 9">failed', page)
    assert "<s>0.0" in page, "a latency of wrong outputs is struck"


def test_the_facts_of_a_device_leave_out_what_is_not_known() -> None:
    bare = Device("cpu:x", "cpu", "X")
    assert device_facts(bare) == [("Identity", "cpu:x"), ("Kind", "cpu")]
    full = dataclasses.replace(
        bare, kind="cuda", physical_cores=132, driver="570", base_clock_mhz=1980
    )
    assert ("Multiprocessors", "132") in device_facts(full)
    assert ("Base clock", "1,980 MHz") in device_facts(full)


def test_devices_of_one_name_have_a_page_each() -> None:
    found = device_pages(catalogue([sample_run("m", 1, "cpu:a"), sample_run("m", 1, "cpu:b")]))
    assert [page.slug for page in found] == ["cpu-a", "cpu-b"]
    assert [page.name for page in found] == ["Fake CPU (cpu:a)", "Fake CPU (cpu:b)"]


def test_a_model_of_the_zoo_shows_what_the_catalogue_knows(built: Path) -> None:
    page = text_of(built / "models" / "lenet" / "index.html")
    assert "digit recognition" in page
    assert "MACs at batch 1" in page
    facts = sample_run("lenet").model
    assert zoo_entry(facts) is not None
    assert zoo_entry(dataclasses.replace(facts, reference="lenet.onnx")) is None
    known = zoo_entry(facts)
    assert known is not None
    bytes_of_it = dataclasses.replace(facts, reference="x.onnx", sha256=known.sha256)
    assert zoo_entry(bytes_of_it) is known


def test_a_run_with_wrong_outputs_is_struck_with_the_reason(built: Path) -> None:
    page = text_of(built / "models" / "liar" / "index.html")
    assert re.search(r'<p id="sentence" class="lead wrong" aria-live="polite"><s>.* measured', page)
    assert "count for nothing: &lt;out&gt; not as the reference" in page
    index = text_of(built / "index.html")
    assert re.search(r'<td title="[^"]*wrong outputs: &lt;out&gt;[^"]*"><a [^>]*><s>', index)


def test_a_wrong_answer_is_not_the_best_one(tmp_path: Path) -> None:
    other = dataclasses.replace(wrong_run("m"), request=sample_run("m", 1, "cpu:fake", "b").request)
    made = build.build_site([sample_run("m", 1), other], tmp_path / "out")
    (row,) = [row for row in text_of(made.index).split("<tr") if "<s>" in row]
    struck, right = row.split("<s>")[0], row.split("<s>")[1]
    assert "win" not in struck + right, "a right one alone has nothing to beat"


def test_the_leaderboard_says_what_was_not_measured(built: Path) -> None:
    board = text_of(built / "index.html").split('id="models"')[1].split("</table>")[0]
    assert board.count("not measured") == 6 * 3 - 7, "alpha stands on two of three systems"
    assert board.count(">failed<") == 1


def test_a_fused_step_is_listed_with_all_its_layers() -> None:
    run = sample_run()
    row = embed.slowest(reconcile(run))[0]
    assert embed.covered(row) == ("/block/conv_0", "/block/relu_1")
    assert embed.culprit(row) == "/block/conv_0 + …/relu_1"
    assert embed.operators(row, run.table) == "Conv + Relu"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("a",), "a"),
        (("conv1", "conv1/relu"), "conv1 + …/relu"),
        (("conv", "relu"), "conv + relu"),
        (("a.b.c", "a.b.d", "a.e"), "a.b.c + ….d + a.e"),
        (("m/a", "m/b", "m/c", "m/d", "m/e"), "m/a + m/b + 3 more"),
        (("same", "same"), "same + same"),
    ],
)
def test_how_a_step_of_several_layers_is_called(names: tuple[str, ...], shown: str) -> None:
    run = sample_run()
    step = dataclasses.replace(run.steps[0], layers=names)
    row = dataclasses.replace(embed.slowest(reconcile(run))[0], step=step)
    assert embed.culprit(row) == shown


def test_charts_are_those_that_have_figures() -> None:
    def keys(*measured: Run) -> list[str]:
        page = page_of(*measured)
        return [chart.key for chart in charts.charts(page, axes(page))]

    one = sample_run("m", 1)
    assert keys(failed_run("m", 1)) == []
    assert keys(one) == ["operators", "slowest"]
    assert keys(one, sample_run("m", 1, backend="b")) == ["operators", "speedup", "slowest"]
    assert keys(one, sample_run("m", 8, backend="b")) == [
        *("latency", "throughput", "operators", "slowest", "scaling", "stack", "gain")
    ]
    read = Telemetry(1.0, 10, 5.0, energies=(Energy("rapl", 50.0),), peak_resident_bytes=1 << 20)
    assert keys(dataclasses.replace(one, telemetry=read))[-3:] == [*("energy", "power", "memory")]


def test_what_was_read_is_embedded_rounded() -> None:
    read = Telemetry(1.0, 3, 5.0, energies=(Energy("rapl", 10.0),), peak_resident_bytes=3 << 19)
    (found,) = embed.page_data(page_of(dataclasses.replace(sample_run("m"), telemetry=read)))[
        "runs"
    ]
    assert (found["mj"], found["w"], found["mib"]) == (3.333, 0.01, 1.5)


def test_the_library_is_that_of_the_installed_package(built: Path) -> None:
    assert (built / "assets" / charts.LIBRARY).read_bytes() == charts.library().read_bytes()
    assert b"plotly.js v" in charts.library().read_bytes()[:200]
    assets = ROOT / "site" / "assets"
    assert not [path for path in assets.iterdir() if "plotly" in path.name], "none is committed"


def test_without_plotly_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"onnxprof\[site\]"):
        build.build_site([sample_run()], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_build_does_not_import_plotly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "plotly", raising=False)
    assert charts.library().is_file()
    assert "plotly" not in sys.modules


def test_pages_name_their_address_where_it_is_known(built: Path, tmp_path: Path) -> None:
    page = text_of(built / "models" / "alpha" / "index.html")
    assert '<link rel="canonical" href="https://example.org/a%20b/models/alpha/index.html">' in page
    places = re.findall("<loc>(.*?)</loc>", text_of(built / "sitemap.xml"))
    assert len(places) == len(list(built.rglob("*.html")))
    made = build.build_site([], tmp_path / "out")
    assert "canonical" not in text_of(made.index)
    assert not (tmp_path / "out" / "sitemap.xml").exists()


@pytest.mark.parametrize(
    "url", ["example.org", "javascript:x", "ftp://x/", "https://", "https://x/?a"]
)
def test_an_address_that_is_none_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--base-url"):
        build.build_site([], tmp_path / "out", base_url=url)
    assert list(tmp_path.iterdir()) == []


def test_operators_of_many_layers_are_cut() -> None:
    table: LayerTable = sample_table(1, ["A", "B", "C", "D"])
    row = embed.slowest(reconcile(sample_run()))[0]
    step = dataclasses.replace(sample_run().steps[0], layers=tuple(n.name for n in table.nodes))
    assert embed.operators(dataclasses.replace(row, step=step), table) == "A + B + C + …"


def test_an_empty_site_has_nothing_to_download(tmp_path: Path) -> None:
    build.build_site([], tmp_path / "out")
    assert "onnxprof profile" in text_of(tmp_path / "out" / "downloads.html")
    assert not (tmp_path / "out" / downloads.PARQUET).exists()
