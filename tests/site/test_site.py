"""The site as files: what is there, what links where, what a build does with trouble."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import threading
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import numpy as np
import pytest
from support.sites import failed_run, hostile_run, runs
from typer.testing import CliRunner

from onnxprof.analysis.reconcile import reconcile
from onnxprof.cli.commands.site import app
from onnxprof.errors import UsageError
from onnxprof.publish.disk.serve import server
from onnxprof.publish.pages import embed, layer_rows
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.site import build as site
from onnxprof.publish.tables.layers import to_csv
from onnxprof.publish.tables.timings import timing_csv
from onnxprof.records.step import Granularity
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


class Page(HTMLParser):
    """Links, ids and tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            self.attributes.add(key)
            if key in ("href", "src"):
                self.links.append(value or "")
            if key == "id":
                self.ids.append(value or "")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "public"
    site.build_site(runs(), out, "Title <&>")
    return out


def pages(out: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in out.rglob("*.html")}


def data_of(path: Path) -> dict:
    text = path.read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def test_the_files_that_are_there(built: Path) -> None:
    assert (built / "index.html").is_file()
    assert (built / "method.html").is_file()
    alpha = built / "models" / "alpha"
    assert {p.name for p in (alpha / "plot").iterdir()} == {
        "graph-0.js",
        *(f"batch-{b}.{kind}" for b in (1, 2, 4, 8) for kind in ("svg", "pdf")),
    }
    stems = {p.stem for p in (alpha / "runs").iterdir()}
    assert stems == {
        *(f"alpha.cpu-fake.fake.b{b}" for b in (1, 2, 8)),
        *(f"alpha.cuda-0-x.other.b{b}" for b in (1, 8)),
    }
    assert len(list((built / "models").iterdir())) == 6
    devices = {p.name for p in (built / "devices").iterdir()}
    there = {f"{d}.{kind}" for d in ("cpu-fake", "cuda-0-x") for kind in ("csv", "html")}
    assert devices == {*there, "cpu-fake.spreadsheet.csv"}, "a model there has no ASCII name"


def test_every_link_is_relative_and_leads_somewhere(built: Path) -> None:
    found = pages(built)
    for path, page in found.items():
        for link in page.links:
            if link == "data:,":
                continue
            target, fragment = urldefrag(link)
            assert not urlsplit(link).scheme
            assert not link.startswith("/")
            file = (path.parent / unquote(target)).resolve() if target else path
            assert file.is_file(), link
            if fragment and "/" not in fragment:
                assert fragment in found[file].ids, link


def test_every_run_link_names_a_run(built: Path) -> None:
    for path, page in pages(built).items():
        for link in page.links:
            target, fragment = urldefrag(link)
            if "/" not in fragment:
                continue
            data = data_of((path.parent / target).resolve() if target else path)
            shown, _, layer = fragment.partition("&l=")
            for run in shown.partition("&")[0].split("~"):
                assert is_known(run, data), run
            names = {name for layers in data["sets"] for name, *_ in layers}
            assert not layer or unquote(layer) in names


def is_known(address: str, data: dict[str, Any]) -> bool:
    """Whether an address names a run of the page: the newest of a request, or an earlier one."""
    key, rest = address.rsplit("/", 1)
    batch, _, stamp = rest.partition("@")
    keys = [system["key"] for system in data["systems"]]
    found = [
        number
        for number, run in enumerate(data["runs"])
        if run["sys"] == keys.index(key) and run["batch"] == int(batch)
    ]
    earlier = [(number, known) for number, known, *_ in data["history"]["earlier"]]
    stamps = [*enumerate(data["history"]["stamps"]), *earlier]
    return bool(found) and (not stamp or any((number, stamp) in stamps for number in found))


def test_pages_hold_no_foreign_markup_and_no_inline_code(built: Path) -> None:
    for path, page in pages(built).items():
        text = path.read_text("utf-8")
        assert "Content-Security-Policy" in text
        assert "style" not in page.tags
        assert "style" not in page.attributes
        assert not [a for a in page.attributes if a.startswith("on")]
        assert text.count("<script") == len(
            re.findall(r"<script (src|type=\"application/json\")", text)
        )
        assert len(page.ids) == len(set(page.ids))
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", text)


def test_hostile_names_are_shown_as_text(built: Path) -> None:
    (path,) = [p for p in (built / "models").iterdir() if "script" in p.name]
    text = (path / "index.html").read_text("utf-8")
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text
    data = data_of(path / "index.html")
    assert data["sets"][0][0][0].startswith("</script><img")
    assert re.fullmatch(r"[a-z0-9-]+", path.name)


def test_a_page_is_useful_without_a_script(built: Path) -> None:
    text = (built / "models" / "alpha" / "index.html").read_text("utf-8")
    body = text.split('id="data"')[0]
    for part in ("conv_0", "timed, 2 layers", "(overhead)", "(total)", "add up to", "cpu-fake"):
        assert part in body
    assert "±2.3 %" in body, "warnings in plain words"


def test_the_csv_is_that_of_the_store(built: Path) -> None:
    made = (built / "models" / "alpha" / "runs" / "alpha.cpu-fake.fake.b8.csv").read_bytes()
    assert made == timing_csv([sample_run("alpha", 8, seed=8)]).encode()


def test_the_embedded_rows_add_up(built: Path) -> None:
    for run in data_of(built / "models" / "alpha" / "index.html")["runs"]:
        if "fail" not in run:
            assert sum(m or 0 for m in run["m"][:-1]) == run["m"][-1] == run["total"]


def test_the_script_of_the_layer_table_has_every_row_and_no_text_twice(built: Path) -> None:
    table = sample_run("alpha", 1).table
    text = (built / "models" / "alpha" / layer_rows.SCRIPT).read_text("utf-8")
    found = json.loads(text.removeprefix("onnxprof.layers(0,").removesuffix(");\n"))
    assert found["name"] == [layer.name for layer in table]
    assert [found["words"][i] for i in found["type"]] == [layer.layer_type for layer in table]
    made = [[found["tensors"][t] for t in tensors] for tensors in found["out"]]
    assert made == [[tensor.name for tensor in layer.outputs] for layer in table]
    given = [[found["tensors"][t] for t in tensors] for tensors in found["in"]]
    assert given == [[t.name for t in layer.inputs if layer.op_type] for layer in table]
    attributes = [found["attributes"][i] for i in found["attrs"]]
    assert attributes == [[list(pair) for pair in layer.attributes] for layer in table]
    assert len({*found["words"]}) == len(found["words"])
    csv_text = (built / "models" / "alpha" / layer_rows.CSV).read_bytes()
    assert csv_text == to_csv([table]).encode()


def test_the_script_of_hostile_layers_ends_no_element(built: Path) -> None:
    (folder,) = [p for p in (built / "models").iterdir() if "script" in p.name]
    text = (folder / layer_rows.SCRIPT).read_text("utf-8")
    assert not re.search("[<>&\u2028\x00-\x09\x0b-\x1f]", text)


def test_operators_and_shapes_are_embedded_once(built: Path) -> None:
    data = data_of(built / "models" / "alpha" / "index.html")
    assert len({*data["shapes"]}) == len(data["shapes"])
    nodes = sample_run("alpha", 1).table.nodes
    layers = data["sets"][data["tables"][0]["set"]]
    assert [data["names"][op] for _, op, _ in layers] == [layer.op_type for layer in nodes]


def test_the_newest_good_run_is_shown_and_the_others_are_listed(built: Path) -> None:
    (page,) = [p for p in catalogue(runs()) if p.slug == "alpha"]
    entry = next(e for e in page.entries if e.batch == 8 and e.system == 0)
    assert entry.run.created == "2026-01-02T03:04:05Z"
    assert [old.created for old in entry.older] == ["2025-12-31T23:59:59Z"]
    assert "2025-12-31T23:59:59Z" in (built / "models/alpha/index.html").read_text()


def test_a_later_failure_does_not_hide_a_good_run() -> None:
    late = dataclasses.replace(failed_run("a", 1), created="2027-01-01T00:00:00Z")
    (page,) = catalogue([sample_run("a", 1), late])
    assert page.entries[0].result is not None
    assert page.entries[0].older == (late,)


def test_a_failed_run_is_shown_with_its_reason(built: Path) -> None:
    text = (built / "models" / "gone" / "index.html").read_text("utf-8")
    assert "This measurement failed: killed &lt;by&gt; signal 9" in text
    failed = [r for r in data_of(built / "models/alpha/index.html")["runs"] if "fail" in r]
    assert [(r["batch"], r["fail"]) for r in failed] == [(4, "killed <by> signal 9")]


def test_systems_are_told_apart_by_what_differs() -> None:
    plain = sample_run("m")
    ask = plain.request
    variants = [
        plain,
        dataclasses.replace(plain, request=dataclasses.replace(ask, threads=1)),
        dataclasses.replace(
            plain, request=dataclasses.replace(ask, granularity=Granularity.WRITTEN)
        ),
        dataclasses.replace(plain, request=dataclasses.replace(ask, dims=(("seq", 128),))),
    ]
    (page,) = catalogue(variants)
    assert {system.settings for system in page.systems} == {
        ("2 threads",),
        ("1 thread",),
        ("2 threads", "as written"),
        ("2 threads", "seq=128"),
    }
    assert len({system.key for system in page.systems}) == 4
    assert page.systems[-1].settings[-1] == "as written"


def test_equal_names_with_different_bytes_have_a_page_each() -> None:
    one = sample_run("m")
    other = dataclasses.replace(
        one, request=dataclasses.replace(one.request, model_sha256="cd" * 32)
    )
    assert len({page.slug for page in catalogue([one, other])}) == 2


def test_constants_are_left_out_and_counted() -> None:
    result = reconcile(sample_run())
    assert embed.constants(result) == 2
    assert len(embed.body_rows(result)) == 4


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    made = site.build_site([], tmp_path / "out")
    assert made.models == 0
    assert "onnxprof profile" in made.index.read_text()


def test_a_build_replaces_a_site_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    site.build_site([sample_run("old")], out)
    site.build_site([sample_run("new")], out)
    assert [p.name for p in (out / "models").iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not a site"):
        site.build_site([], precious)
    assert [p.name for p in precious.iterdir()] == ["thesis.tex"]


def test_an_interrupted_build_leaves_the_old_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    site.build_site([sample_run("old")], out)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(site, "index_page", interrupt)
    with pytest.raises(KeyboardInterrupt):
        site.build_site([sample_run("new")], out)
    assert (out / "models" / "old" / "index.html").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_of_two_builds_at_once_one_stays_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    failures: list[BaseException] = []

    def build(name: str) -> None:
        try:
            for _ in range(3):
                site.build_site([sample_run(name)], out)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=build, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list((out / "models").iterdir())) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_run_whose_parts_do_not_fit_costs_only_itself(tmp_path: Path) -> None:
    bad = sample_run("bad")
    assert bad.timings is not None
    short = dataclasses.replace(bad.timings, step_ns=bad.timings.step_ns[:1])
    empty = dataclasses.replace(bad.timings, latency_ns=np.array([], np.int64))
    made = site.build_site(
        [dataclasses.replace(bad, timings=t) for t in (short, empty)] + [sample_run("good")],
        tmp_path / "out",
    )
    assert len(made.problems) == 2
    assert made.models == 1


def test_a_rebuild_has_the_same_bytes(built: Path, tmp_path: Path) -> None:
    site.build_site(reversed(runs()), tmp_path / "again", "Title <&>")
    for path in built.rglob("*"):
        if path.is_file():
            again = tmp_path / "again" / path.relative_to(built)
            assert path.read_bytes() == again.read_bytes(), path


def test_a_layer_without_a_name_and_a_model_of_one_layer(tmp_path: Path) -> None:
    run = hostile_run()
    one = dataclasses.replace(run, table=dataclasses.replace(run.table, layers=()), steps=())
    assert one.timings is not None
    bare = dataclasses.replace(one.timings, step_ns=np.zeros((0, 0), np.int64))
    assert site.build_site([dataclasses.replace(one, timings=bare)], tmp_path / "out").models == 1


def test_the_command_builds_from_stores_and_lists_what_it_left_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    store.save(sample_run("alpha"))
    (tmp_path / "runs" / "broken.parquet").write_bytes(b"not parquet")
    made = CliRunner().invoke(
        app, ["build", "--store", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    )
    assert made.exit_code == 0, made.output
    assert str(tmp_path / "out" / "index.html") in made.stdout
    assert "1 model, 1 run" in made.stdout
    assert "broken.parquet" in made.stderr


def test_the_server_serves_this_machine_alone(built: Path, tmp_path: Path) -> None:
    with server(built) as httpd:
        assert httpd.server_address[0] == "127.0.0.1"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{httpd.server_port}/") as answer:
            assert b"<!doctype html>" in answer.read()
        httpd.shutdown()
        thread.join()
    with pytest.raises(UsageError, match="onnxprof site build"):
        server(tmp_path)


def test_a_port_that_is_taken_is_an_error_that_says_so(built: Path) -> None:
    with server(built) as httpd, pytest.raises(UsageError, match="--port"):
        server(built, httpd.server_port)


def test_without_jinja_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxprof.publish.pages import render as publishing

    publishing._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError, match=r"onnxprof\[site\]"):
        site.build_site([], tmp_path / "out")
    publishing._environment.cache_clear()
