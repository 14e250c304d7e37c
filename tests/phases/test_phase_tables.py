"""Phases side by side: which runs, in print, as documents, on a page."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from support.habits.documents import checked
from typer.testing import CliRunner

import onnxprof as op
from onnxprof.cli.main import app
from onnxprof.compare.growth.orders import Order
from onnxprof.compare.growth.phases import Phases, phases
from onnxprof.compare.table import RowKind
from onnxprof.errors import UsageError
from onnxprof.publish.phases.cells import layer_cells, sentences, shown
from onnxprof.publish.phases.pages import sections
from onnxprof.records.layer import Layer, LayerKind, Tensor
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import Phase
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


def measured(phase: str, scale: float = 1.0, model: str = "tiny", sha256: str = "ab" * 32) -> Run:
    run = sample_run(model, scale=scale)
    request = replace(run.request, phase=phase, model_sha256=sha256)
    return replace(run, request=request, created=f"2026-01-02T03:04:{10 + int(scale)}Z")


def some() -> list[Run]:
    return [
        measured("decode:512", 2),
        measured("decode:256", 1),
        measured("prefill:512", 9),
        measured("decode:1024", 4),
    ]


def one(runs: list[Run]) -> Phases:
    [found] = phases(runs)
    return found


def test_prompts_come_first_then_tokens_by_length():
    found = one([*some(), sample_run("plain")])
    assert [str(column.phase) for column in found.columns] == [
        *("prefill:512", "decode:256", "decode:512", "decode:1024")
    ]
    assert found.columns[0].tokens_per_s == pytest.approx(512e9 / found.columns[0].latency_ns)
    assert found.columns[1].tokens_per_s == pytest.approx(1e9 / found.columns[1].latency_ns)


def test_rows_add_up_to_each_latency_in_print():
    found = one(some())
    for place, column in enumerate(found.columns):
        assert sum(row.times_ns[place] for row in found.rows) == column.latency_ns
    cells = layer_cells(found, range(4), 1, 20, 20)
    for place in range(4):
        *parts, total = (Decimal(row.cells[place].replace(",", "")) for row in cells)
        assert sum(parts) == total


def test_growth_is_of_one_kind_at_several_lengths():
    [growth] = one(some()).growths
    assert growth.sizes == (256, 512, 1024)
    assert growth.fit.order is Order.LINEAR
    assert {row.cost for row in growth.rows} == {Order.CONSTANT}
    assert {row.agrees for row in growth.rows} == {False}  # it grows, and its cost does not
    assert [row.blocks for row in growth.sums] == [len(growth.rows)]


@pytest.mark.parametrize(
    ("scales", "said"),
    [
        ((1, 1.01, 1.02), "takes the same time from 256 to 1,024"),
        ((1, 1.02, 1.08), "takes 8 % longer at 1,024 than at 256"),
        ((1, 2, 4), "grows linearly from 256 to 1,024"),
        ((4, 3, 1), "takes less time the more there are"),
    ],
)
def test_a_sentence_says_no_more_than_was_measured(scales, said):
    sizes = (256, 512, 1024)
    runs = [measured(f"decode:{n}", scale) for n, scale in zip(sizes, scales, strict=True)]
    assert said in " ".join(sentences(one(runs)))


def test_times_of_steps_of_half_a_microsecond_are_no_growth():
    """Their samples agree to a few per cent, and other runs of the same step do not."""
    runs = [measured("decode:256", 5e-5), measured("decode:512", 1e-4)]
    [growth] = one(runs).growths
    assert max(max(row.times_ns) for row in growth.rows) < 400
    assert {row.fit.order for row in growth.rows} == {Order.CONSTANT}


def half(
    phase: str, model: str, *, takes: bool, heads: int = 4, wide: int = 64, minute: int = 0
) -> Run:
    """A run of a file that makes a cache, or takes one as well: its input, weights, and what is."""
    run = measured(phase, model=model, sha256=f"{model:>8}".encode().hex() * 4)
    held = Tensor("past.key", "float32", (1, heads, Phase.of(phase).kept, 16))
    made = replace(held, name="present.key", shape=(1, heads, Phase.of(phase).total, 16))
    weight = Tensor("up", "float32", (wide, 4 * wide))
    given = [
        Layer("up", LayerKind.INITIALIZER, "Initializer", inputs=(weight,), outputs=(weight,)),
        Layer("past.key", LayerKind.INPUT, "Input", inputs=(held,), outputs=(held,)),
    ]
    keeps = Layer("keeps", LayerKind.NODE, "Concat", "Concat", inputs=(held,), outputs=(made,))
    layers = *given[: 1 + takes], *run.table.layers, keeps
    created = f"2026-01-02T03:{minute:02}:05Z"
    return replace(run, table=replace(run.table, layers=layers), created=created)


def told_models(*runs: Run) -> list[str]:
    return [found.model for found in phases(runs)]


def test_a_file_for_the_prompt_and_one_for_later_tokens_are_one_model():
    prompt = half("prefill:8", "prompt", takes=False)
    later = [half(f"decode:{size}", "later", takes=True) for size in (8, 16)]
    [found] = phases([*later, prompt])
    assert found.model == "prompt + later"
    assert [str(column.phase) for column in found.columns] == ["prefill:8", "decode:8", "decode:16"]
    assert told_models(prompt, *later, half("decode:8", "prompt", takes=False)) == [
        *("prompt", "later")
    ]


def test_unrelated_models_are_never_one():
    prompt = half("prefill:8", "prompt", takes=False)
    others = {
        "takes caches itself": half("prefill:8", "whole", takes=True),
        "other heads": half("decode:8", "other", takes=True, heads=2),
        "other weights": half("decode:8", "other", takes=True, wide=96),
        "takes no cache": half("decode:8", "other", takes=False),
        "steps": half("steps:8", "cell", takes=True),
    }
    later = half("decode:8", "later", takes=True)
    for why, other in others.items():
        first = later if why == "takes caches itself" else prompt
        assert len(phases([first, other])) == 2, why
    assert told_models(measured("decode:8", model="decoder"), measured("steps:8", sha256="c")) == [
        *("decoder", "tiny")
    ]


def test_pairs_are_told_on_every_system_and_by_the_time_of_measuring():
    halves = [
        half(phase, f"{name}{export}", takes=name == "later", minute=10 * export)
        for phase, name in (("prefill:8", "prompt"), ("decode:8", "later"))
        for export in (1, 2)
    ]
    elsewhere = [
        replace(run, request=replace(run.request, device_id="cpu:other")) for run in halves
    ]
    both = ["prompt1 + later1", "prompt2 + later2"]
    assert told_models(*halves, *elsewhere) == [*both, *both]
    assert told_models(*halves[:3]) == ["prompt1 + later1", "prompt2"]


def test_other_batches_and_sizes_are_apart():
    base = measured("decode:8")
    other = replace(base, request=replace(base.request, batch=4))
    longer = replace(base, request=replace(base.request, dims=(("encoder", 9),)))
    assert len(phases([base, other, longer])) == 3


def test_the_ends_of_each_kind_are_shown_first():
    runs = [measured(f"decode:{size}", size) for size in (1, 2, 3, 4, 5)]
    found = one([*runs, measured("prefill:9", 9)])
    assert [str(found.columns[i].phase) for i in shown(found)] == [
        *("prefill:9", "decode:1", "decode:2", "decode:5")
    ]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for run in some():
        Store(tmp_path / "runs").save(run)
    return tmp_path / "runs"


def told(store: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["phases", "--store", str(store), *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_tables_of_80_columns(store):
    out = told(store)
    assert max(map(len, out.splitlines())) <= 80
    for text in ("Time to the first token", "Time per token", "Growth of decode", "(total)"):
        assert text in out


def test_the_command_writes_documents(store):
    document = checked(told(store, "--json"), "phases")
    [model] = document["models"]
    assert model["columns"][0]["phase"] == "prefill:512"
    assert {row["kind"] for row in model["rows"]} >= {RowKind.BLOCK.value, RowKind.OVERHEAD.value}
    header, *rows = told(store, "--format", "csv").splitlines()
    assert header.startswith("model,system,batch,phase,kind,layers")
    assert len(rows) == 4 * (1 + len(model["rows"]))
    assert "| prefill:512 |" in told(store, "--format", "md")


def test_runs_without_a_phase_say_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="no run was measured in a phase"):
        op.phases([sample_run()])


def test_a_page_has_them_where_there_are_several():
    [section] = sections(some())
    assert [grid.id for grid in section.grids] == [
        *("phases-0", "phases-0-layers", "phases-0-decode")
    ]
    assert section.grids[1].sums[-1][0] == "(total)"
    assert not sections([measured("decode:4")])
    assert not sections([sample_run()])


def test_the_page_of_a_model_shows_them(tmp_path, store):
    pytest.importorskip("jinja2", reason="needs onnxprof[site]")
    op.site([store], tmp_path / "site")
    page = (tmp_path / "site" / "models" / "tiny" / "index.html").read_text("utf-8")
    assert '<h2 id="phases">Phases</h2>' in page
    assert "decode:1024" in page


def test_batches_of_a_phase_are_told_by_it(tmp_path):
    for batch in (1, 2):
        base = measured("decode:8", batch)
        run = replace(base, request=replace(base.request, batch=batch))
        Store(tmp_path / "runs").save(run)
    result = CliRunner().invoke(app, ["scaling", str(tmp_path / "runs")])
    assert result.exit_code == 0, result.output
    assert "decode:8: 2 sizes of batch" in result.output
