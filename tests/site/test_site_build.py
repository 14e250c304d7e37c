"""What a build makes anew, what it takes from its cache, and what it does with trouble."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.sites import contents, long_run, runs
from typer.testing import CliRunner

from onnxprof.cli.commands.site import app
from onnxprof.errors import UsageError
from onnxprof.publish.disk import process_pool
from onnxprof.publish.disk.cache import user_cache
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.site import build, model_files
from onnxprof.publish.site.cards import card, from_card, light
from onnxprof.records.run import Run
from onnxprof.store.folder import Store
from onnxprof.store.formats import reading
from onnxprof.store.parquet import RUN_KEY, SCHEMA_KEY, SUMMARY_KEY
from onnxprof.store.upkeep.pack import pack
from onnxprof.testing import sample_run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "site"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "runs")
    for run in (sample_run("a", 1), sample_run("a", 2), sample_run("b", 1)):
        store.save(run)
    return store


def made_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models whose runs are read from now on."""
    read: list[str] = []
    plain = model_files._readable

    def spy(volume):
        read.append(volume.slug)
        return plain(volume)

    monkeypatch.setattr(model_files, "_readable", spy)
    return read


def test_nothing_is_read_where_nothing_changed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build.build_from_stores([store.root], tmp_path / "one")
    read = made_of(monkeypatch)
    again = build.build_from_stores([store.root], tmp_path / "two")
    assert (first.reused, again.reused) == (0, 2)
    assert read == []
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_rows_of_a_run_are_counted_once_for_all_its_tables(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, int]] = []
    plain = model_files.timing_rows

    def spy(run, *rest):
        counted.append((run.request.model_name, run.request.batch))
        return plain(run, *rest)

    monkeypatch.setattr(model_files, "timing_rows", spy)
    build.build_from_stores([store.root], tmp_path / "out")
    assert sorted(counted) == [("a", 1), ("a", 2), ("b", 1)]


def test_a_new_run_costs_its_model_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.build_from_stores([store.root], tmp_path / "out")
    store.save(sample_run("b", 2))
    read = made_of(monkeypatch)
    assert build.build_from_stores([store.root], tmp_path / "out").reused == 1
    assert read == ["b"]
    assert (tmp_path / "out/models/b/runs/b.cpu-fake.fake.b2.pdf").is_file()


def test_a_cached_build_has_the_bytes_of_a_fresh_one(store: Store, tmp_path: Path) -> None:
    build.build_from_stores([store.root], tmp_path / "out")
    store.save(sample_run("b", 2))
    build.build_from_stores([store.root], tmp_path / "out")
    shutil.rmtree(tmp_path / "cache")
    build.build_from_stores([store.root], tmp_path / "fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_runs_in_memory_and_in_files_make_the_same_site(tmp_path: Path) -> None:
    kept = Store(tmp_path / "runs")
    measured = [run for run in runs() if "\ud800" not in run.request.model_name]
    for run in measured:
        kept.save(run)
    build.build_site(measured, tmp_path / "one")
    build.build_from_stores([kept.root], tmp_path / "two")
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


@pytest.mark.parametrize("option", [{"title": "other"}, {"base_url": "https://example.org/"}])
def test_what_every_page_says_is_part_of_the_key(
    store: Store, tmp_path: Path, option: dict[str, str]
) -> None:
    build.build_from_stores([store.root], tmp_path / "out")
    assert build.build_from_stores([store.root], tmp_path / "out", **option).reused == 0


def test_other_code_makes_everything_anew(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.build_from_stores([store.root], tmp_path / "out")
    monkeypatch.setattr(model_files, "code", lambda: "another version")
    assert build.build_from_stores([store.root], tmp_path / "out").reused == 0


def test_damaged_entries_are_made_again(store: Store, tmp_path: Path, cache: Path) -> None:
    build.build_from_stores([store.root], tmp_path / "one")
    for i, entry in enumerate(sorted(cache.iterdir())):
        whole = entry.read_bytes()
        entry.write_bytes(whole[: len(whole) // 2] if i % 2 else whole[:-1] + b"\0\1")
    assert build.build_from_stores([store.root], tmp_path / "two").reused == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert build.build_from_stores([store.root], tmp_path / "two").reused == 2


def test_a_pdf_that_was_pruned_is_made_again(store: Store, tmp_path: Path, cache: Path) -> None:
    build.build_from_stores([store.root], tmp_path / "one")
    documents = [path for path in cache.iterdir() if path.read_bytes()[32:37] == b"%PDF-"]
    assert len(documents) == 3 + 3, "one a run, one a plot"
    documents[0].unlink()
    assert build.build_from_stores([store.root], tmp_path / "two").reused == 1
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_cache_that_cannot_be_written_is_no_loss(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "file"))
    assert build.build_from_stores([store.root], tmp_path / "out").models == 2
    assert build.build_from_stores([store.root], tmp_path / "out").reused == 0


def test_workers_make_the_same_bytes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.build_from_stores([store.root], tmp_path / "one")
    shutil.rmtree(tmp_path / "cache")
    monkeypatch.setattr(build, "WORTH_WORKERS", 1)
    build.build_from_stores([store.root], tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert build.build_from_stores([store.root], tmp_path / "two").reused == 2


def test_an_archive_is_unpacked_once_for_a_model(tmp_path: Path) -> None:
    """Its runs lie in several archives, and in the order of time in each of them by turns."""
    stores = [Store(tmp_path / name) for name in "ab"]
    for number in range(8):
        created = f"2026-01-0{number + 1}T00:00:00Z"
        stores[number % 2].save(sample_run("m", number + 1, created=created))
    packed = [tmp_path / f"{store.root.name}.parquet" for store in stores]
    for store, archive in zip(stores, packed, strict=True):
        pack([store.root], archive)
    build.build_from_stores([store.root for store in stores], tmp_path / "plain")
    reading._group.cache_clear()
    build.build_from_stores(packed, tmp_path / "packed")
    assert reading._group.cache_info().misses == 4, "each for its digests, and for the pages"
    assert contents(tmp_path / "packed") == contents(tmp_path / "plain")


def pid(_: int) -> int:
    return os.getpid()


def dies_elsewhere(parent: int) -> int:
    if os.getpid() != parent:
        os._exit(9)
    return os.getpid()


def complains(_: int) -> int:
    raise UsageError("no")


def test_work_is_done_in_processes_that_are_replaced_once_they_hold_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    light = list(process_pool.spread(pid, range(3), workers=1))
    assert len(set(light)) == 1
    assert os.getpid() not in light
    monkeypatch.setattr(process_pool, "MOST_BYTES", 0)
    heavy = list(process_pool.spread(pid, range(3), workers=1))
    assert len({*heavy, os.getpid()}) == 4


def test_the_model_with_most_steps_is_begun_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of several processes is left with it when the others are done."""
    asked: list[str] = []

    def listing(work: Callable[[Any], Any], orders: Sequence[Any]) -> Iterator[Any]:
        asked.extend(order.volume.slug for order in orders)
        return map(work, orders)

    monkeypatch.setattr(build, "WORTH_WORKERS", 1)
    monkeypatch.setattr(process_pool, "spread", listing)
    many = [sample_run("small", batch) for batch in (1, 2)]
    build.build_site([*many, sample_run("middle"), long_run(400)], tmp_path / "out")
    assert asked == [long_run(400).request.model_name, "small", "middle"]


@pytest.mark.parametrize(
    ("cores", "free", "limit", "workers"),
    [(8, 64, None, 8), (8, 3, None, 3), (8, 64, 2, 2), (1, 64, None, 1), (8, 0, None, 1)],
)
def test_there_are_as_many_workers_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, free: int, limit: int | None, workers: int
) -> None:
    room = process_pool.WORKER_BYTES
    monkeypatch.setattr(process_pool.kernel, "usable_cores", lambda _: cores)
    monkeypatch.setattr(process_pool.memory, "available_bytes", lambda: free * room)
    monkeypatch.setattr(
        process_pool.kernel, "memory_limit", lambda _: None if limit is None else limit * room
    )
    assert process_pool.fitting() == workers


def test_a_worker_that_dies_costs_time_only() -> None:
    me = os.getpid()
    assert list(process_pool.spread(dies_elsewhere, [me, me], workers=1)) == [me, me]


def test_what_a_worker_raises_is_raised() -> None:
    with pytest.raises(UsageError):
        list(process_pool.spread(complains, [1, 2], workers=1))


def test_a_card_holds_what_other_pages_need() -> None:
    for page in catalogue(runs()):
        small = light(page)
        assert from_card(card(small)) == small
        assert [e.latency_ns for e in small.entries] == [e.latency_ns for e in page.entries]
        assert [e.wrong for e in small.entries] == [e.wrong for e in page.entries]
        assert small.first.stem == page.first.stem
        assert len(card(small)) < 20_000


def test_a_copied_file_counts_once(store: Store, tmp_path: Path) -> None:
    shutil.copytree(store.root, tmp_path / "copy")
    made = build.build_from_stores([store.root, tmp_path / "copy"], tmp_path / "out")
    assert made.runs == 3
    assert "earlier run of the same" not in (tmp_path / "out/models/a/index.html").read_text()


def newer(path: Path) -> None:
    """Make a stored run one of a later schema."""
    table = pq.read_table(path)
    facts = pq.read_metadata(path).metadata
    kept = {key: facts[key] for key in (RUN_KEY, SUMMARY_KEY)}
    pq.write_table(table.replace_schema_metadata({**kept, SCHEMA_KEY: b"99"}), path)


def test_what_cannot_be_read_is_listed_and_the_rest_is_built(store: Store, tmp_path: Path) -> None:
    newer(store.save(sample_run("later")))
    (store.root / "broken.parquet").write_bytes(b"not parquet")
    flipped = store.save(sample_run("flipped"))
    column = pq.read_metadata(flipped).row_group(0).column(4)
    whole = bytearray(flipped.read_bytes())
    whole[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    flipped.write_bytes(bytes(whole))
    command = ["build", "--store", str(store.root), "--out", str(tmp_path / "out")]
    made = CliRunner().invoke(app, command)
    assert made.exit_code == 0, made.output
    told = [line for line in made.stderr.splitlines() if line.startswith("left out: ")]
    assert len(told) == 3
    assert any("schema version 99" in line for line in told)
    assert any("broken.parquet" in line for line in told)
    assert any(str(flipped) in line for line in told)
    assert made.stdout.startswith("2 models, 3 runs, ")


def nameless(run: Run) -> Run:
    """The run of a file that names no node: the table has given them names."""
    layers = tuple(dataclasses.replace(layer, given_name="") for layer in run.table)
    facts = dataclasses.replace(run.model, graph_name="", producer="")
    table = dataclasses.replace(run.table, layers=layers)
    return dataclasses.replace(run, table=table, model=facts)


def test_a_graph_without_names_has_every_file(tmp_path: Path) -> None:
    made = build.build_site([nameless(sample_run("m"))], tmp_path / "out")
    assert made.problems == ()
    page = (tmp_path / "out/models/m/index.html").read_text("utf-8")
    assert "not named" in page
    assert "/block/conv_0" in page


def test_the_cache_lies_where_it_is_told(cache: Path) -> None:
    assert user_cache().folder == cache
