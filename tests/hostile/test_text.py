"""Control characters of a model's names reach no terminal and no file as they are."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.networks import models

from onnxprof.cli.main import _run
from onnxprof.plugins.registry import Plugin
from onnxprof.publish.overlays import model_explorer
from onnxprof.publish.overlays.chrome import chrome_trace
from onnxprof.publish.site.build import build_site
from onnxprof.publish.tables.gpu import steps_csv
from onnxprof.publish.tables.runs import everything, list_csv, list_json
from onnxprof.publish.tables.timings import timing_csv
from onnxprof.records.device import Availability, Device
from onnxprof.records.layer import LayerTable
from onnxprof.store.summary import summarise
from onnxprof.testing import sample_run

#: NUL, ESC, BEL, NEL, C1's CSI, marks that turn text round, line separators, a byte-order mark.
MARKS = "\x00\x1b[31m\x07\x85\x9b2J\u202e\u2066\u2028\u2029\ufeff\r"
NAME = f"conv{MARKS}end"


def is_clean(text: str) -> bool:
    return not set(MARKS.replace("[31m", "").replace("2J", "")) & set(text.replace("\r\n", "\n"))


@pytest.mark.parametrize("format_", ["table", "csv", "json", "md"])
@pytest.mark.parametrize("layout", ["full", "classic"])
def test_inspect(format_: str, layout: str, tmp_path: Path) -> None:
    made = models.linear()
    made.graph.node[0].name = NAME
    made.graph.node[0].output[0] = made.graph.output[0].name = f"y{NAME}"
    path, out = models.save(made, tmp_path), tmp_path / "out"
    words = ["inspect", str(path), "--format", format_, "--layout", layout, "-o", str(out)]
    assert _run(words) == 0
    text = out.read_bytes().decode()
    assert "conv" in text
    assert is_clean(text)


def named() -> tuple[object, ...]:
    run = sample_run()
    first = run.table.nodes[0].name
    layers = tuple(replace(x, name=NAME) if x.name == first else x for x in run.table)
    steps = tuple(replace(s, name=NAME, layers=tuple(NAME if n == first else n for n in s.layers))
                  for s in run.steps)  # fmt: skip
    request = replace(run.request, model_name=f"m{NAME}", device_id=f"cpu:{NAME}")
    model = replace(run.model, name=f"m{NAME}")
    table = LayerTable(layers, run.table.batch)
    return (replace(run, table=table, steps=steps, request=request, model=model),)


def test_tables_of_runs() -> None:
    (run,) = named()
    for text in (timing_csv([run]), steps_csv([run]), list_csv([summarise(run)])):
        assert is_clean(text), text
    assert is_clean(list_json([summarise(run)]))


def test_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["inspect", str(tmp_path / f"{NAME}.onnx".replace("\x00", ""))]) == 2
    assert is_clean(capsys.readouterr().err)


def test_exports_for_other_viewers() -> None:
    (run,) = named()
    made = model_explorer.files([run])
    for text in (chrome_trace([run]), everything([run]), *made, *made.values()):
        assert is_clean(text)
        assert "conv" in text


def test_the_site(tmp_path: Path) -> None:
    (run,) = named()
    build_site([run, replace(run, request=replace(run.request, batch=4))], tmp_path / "site")
    files = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert {".html", ".js", ".svg", ".csv", ".pdf"} <= {path.suffix for path in files}
    for path in files:
        assert is_clean(str(path))
        if path.suffix == ".pdf":
            assert is_clean(_text_of(path))
        elif path.suffix not in (".parquet", ".woff2", ".png") and path.parent.name != "assets":
            # the variant for spreadsheets begins with a byte order mark, and has no other
            marked = path.name.endswith(".spreadsheet.csv")
            assert is_clean(path.read_text("utf-8-sig" if marked else "utf-8")), path


def _text_of(path: Path) -> str:
    from pypdf import PdfReader

    reader = PdfReader(path)
    facts = "".join(map(str, (reader.metadata or {}).values()))
    return facts + "".join(page.extract_text().replace("\n", " ") for page in reader.pages)


@pytest.mark.parametrize("format_", ["table", "json"])
def test_doctor(
    format_: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = Availability(f"own{MARKS}", f"cpu:{NAME}", False, f"why{MARKS}", f"do{MARKS}")
    device = Device(f"cpu:{NAME}", "cpu", NAME, physical_cores=1, logical_cores=1)
    backend = SimpleNamespace(
        name=f"own{MARKS}", availability=lambda: (state,), devices=lambda: (device,)
    )
    plugins = {
        f"own{MARKS}": Plugin("own", "own", f"own{MARKS}", backend),
        f"lost{MARKS}": Plugin("lost", "lost", f"d{MARKS}", None, f"no{MARKS}", f"do{MARKS}"),
    }
    monkeypatch.setattr(import_module("onnxprof.doctor"), "backends", lambda: plugins)
    monkeypatch.setenv("ONNXPROF_STORE", f"/nowhere/{NAME}".replace("\x00", ""))
    _run(["doctor", "--format", format_])
    told = capsys.readouterr()
    assert "nowhere" in told.out
    assert is_clean(told.out + told.err)
