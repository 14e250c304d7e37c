"""One bad file among stored runs stops nobody's work."""

from __future__ import annotations

import json
import os
import random
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from runmutants import archive_mutants, facts_and_summary, mutants, written
from typer.testing import CliRunner

from onnxprof.errors import StoreError
from onnxprof.processes.confined import Limits, confined
from onnxprof.publish.site.build import build_from_stores
from onnxprof.publish.site.worklist import of_stores
from onnxprof.publish.tables.run_summary import summary
from onnxprof.publish.tables.runs import everything, list_csv, list_json, list_table
from onnxprof.publish.tables.timings import timing_csv, timing_parquet
from onnxprof.store import folder as store
from onnxprof.store import guard
from onnxprof.store.parquet import RUN_KEY, SCHEMA_KEY, to_bytes
from onnxprof.testing import sample_run

posix = pytest.mark.skipif(os.name == "nt", reason="no pipes, no links")


def deep(depth: int = 200_000) -> bytes:
    return b"[" * depth + b"]" * depth


def bad_files() -> dict[str, bytes]:
    facts, brief, table = facts_and_summary()
    text, short = json.dumps(facts).encode(), json.dumps(brief).encode()
    timings = facts["timings"]
    at = table.schema.get_field_index("duration_ns")
    rows = table.num_rows
    columns = {
        "nan": pa.array([float("nan")] * rows),
        "text": pa.array(["1"] * rows),
        "lists": pa.array([[1]] * rows),
        "none": pa.array([None] * rows, pa.int64()),
        "before": pa.array([-1] * rows),
    }
    return {
        "empty": b"",
        "no-parquet": b"PAR1 or not" * 99,
        "deep-facts": written(deep(), short),
        "deep-summary": written(text, deep()),
        "digits": written(json.dumps(facts | {"timings": timings | {"load_ns": 10**400}}).encode(),
                          json.dumps(brief | {"median_ns": 10**400}).encode()),
        "constant": written(text, short.replace(b'"samples": 80', b'"samples": NaN')),
        "number": written(b"7", b"7"),
    } | {
        name: written(text, short, table.set_column(at, "duration_ns", column))
        for name, column in columns.items()
    }  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    root.mkdir()
    for backend in ("one", "two"):
        (root / f"{backend}.parquet").write_bytes(to_bytes(sample_run(backend=backend)))
    for name, data in bad_files().items():
        (root / f"bad-{name}.parquet").write_bytes(data)
    if os.name == "posix":
        os.mkfifo(root / "bad-pipe.parquet")
        (root / "bad-loop.parquet").symlink_to("bad-loop.parquet")
        (root / "bad-zero.parquet").symlink_to("/dev/zero")
        (root / "bad-folder.parquet").mkdir()
    return root


COMMANDS = (
    ("runs", "list", "--store", "{runs}"),
    ("runs", "list", "--format", "json", "--store", "{runs}"),
    ("runs", "show", "--store", "{runs}"),
    ("align", "{runs}"),
    ("compare", "{runs}", "{other}"),
    ("site", "build", "--store", "{runs}", "--out", "{out}"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_every_command_goes_on_without_them(
    words: tuple[str, ...], runs: Path, tmp_path: Path
) -> None:
    from onnxprof.cli.main import app

    other = tmp_path / "other"
    other.mkdir()
    for backend in ("one", "two"):
        other.joinpath(f"{backend}.parquet").write_bytes(
            to_bytes(sample_run(backend=backend, seed=1))
        )
    filled = [word.format(runs=runs, other=other, out=tmp_path / "site") for word in words]
    done = CliRunner().invoke(app, filled)
    told = done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "bad-deep" in told
    assert "bug" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("name", bad_files())
def test_each_is_one_error_with_its_place(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(bad_files()[name])
    problems = [*store.scan([tmp_path])[1], *store.load_each([path])[1]]
    assert problems
    assert all(str(path) in str(problem) and len(str(problem)) < 500 for problem in problems)


@posix
def test_only_regular_files_are_opened(runs: Path) -> None:
    _, problems = store.scan([runs])
    told = " ".join(map(str, problems))
    assert "bad-pipe.parquet: cannot be read as a stored run (it is no regular file)" in told
    assert "bad-zero.parquet: cannot be read as a stored run (it is no regular file)" in told
    assert "bad-loop.parquet" in told


def _bomb(path: Path, groups: int) -> None:
    """Zeros, of which a row group of a million takes a few hundred bytes."""
    facts, brief, table = facts_and_summary()
    size = 1 << 20
    facts["timings"]["latency"] = groups * size
    names = {name: pa.nulls(size, table.schema.field(name).type) for name in table.column_names}
    names["duration_ns"] = pa.array([0] * size, pa.int64())
    keys = {SCHEMA_KEY: b"1", RUN_KEY: json.dumps(facts).encode()}
    keys[b"onnxprof.summary"] = json.dumps(brief).encode()
    made = pa.table(names).replace_schema_metadata(keys)
    with pq.ParquetWriter(path, made.schema, compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(made)


@posix
def test_a_small_file_of_many_rows_is_refused_by_its_footer(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    _bomb(path, guard.MAX_ROWS // (1 << 20) + 1)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(StoreError, match="are the most that are read"):
        confined(partial(store.load, path), Limits(60, 1 << 30), "reading")


def load_with_damaged_footers(path: Path) -> int:
    """How many footers with one wrong byte are refused; runs in a process of its own."""
    good = to_bytes(sample_run())
    length = int.from_bytes(good[-8:-4], "little")
    refused = 0
    for at in range(len(good) - 8 - length, len(good) - 8, 4):
        damaged = bytearray(good)
        damaged[at] ^= 1 << (at // 4 % 8)
        path.write_bytes(damaged)
        try:
            store.load(path)
        except StoreError:
            refused += 1
    return refused


def test_no_damaged_footer_ends_the_process(tmp_path: Path) -> None:
    work = partial(load_with_damaged_footers, tmp_path / "x.parquet")
    assert confined(work, Limits(300, 2 << 30), "reading", writes=[tmp_path]) > 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("repeats", {"a": 1}), ("prefix_steps", [[]]), ("block_process", {})),
        *(("load_ns", [1]), ("first_ns", True), ("round_process", ["a"])),
    ],
)
def test_counts_are_numbers_or_lists_of_them(name: str, value: object, tmp_path: Path) -> None:
    facts, brief, table = facts_and_summary()
    facts["timings"][name] = value
    path = tmp_path / "x.parquet"
    path.write_bytes(written(*(json.dumps(each).encode() for each in (facts, brief)), table))
    with pytest.raises(StoreError, match=f"{name} is|is no count"):
        store.load(path)


def try_all(seed: int, count: int, folder: Path) -> int:
    """Read and print mutants; only StoreError may come of them. How many still were runs."""
    good = 0
    for what, data in mutants(seed, count):
        path = folder / "x.parquet"
        path.write_bytes(data)
        try:
            listed, _ = store.scan([folder])
            list_csv(listed), list_json(listed), list_table(listed)
            run = store.load(path)
        except StoreError:
            continue
        except Exception as error:
            pytest.fail(f"mutant {what}: {type(error).__name__}: {error}")
        good += 1
        try:
            summary(run, limit=10), timing_csv([run]), timing_parquet([run]), everything([run])
            if good % 25 == 1:
                build_from_stores([folder], folder / "site", "mutants", "")
        except Exception as error:
            pytest.fail(f"mutant {what}: {type(error).__name__}: {error}")
    return good


def read_archives(seed: int, count: int, folder: Path) -> int:
    """Read mutants of archives; only StoreError may come of them. How many were whole."""
    good = 0
    for what, data in archive_mutants(seed, count):
        path = folder / "x.parquet"
        path.write_bytes(data)
        try:
            listed, problems = store.scan([folder])
            list_csv(listed), list_json(listed), list_table(listed)
            runs, more = store.load_each([run.path for run in listed])
            for run in runs:
                summary(run, limit=10), timing_csv([run])
            of_stores([folder])
        except Exception as error:
            pytest.fail(f"mutant {what}: {type(error).__name__}: {error}")
        assert problems or len(runs) + len(more) == len(listed) == 2, what
        good += not problems and not more
    return good


def test_mutants_of_archives_are_refused_or_read(tmp_path: Path) -> None:
    """Some seven in 150 are whole: how many is counted of mutants that are always the same."""
    assert 0 < read_archives(690, 120, tmp_path) < 120
    read_archives(random.randrange(1000), 60, tmp_path)


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(10))
def test_thousands_of_mutants_of_archives(seed: int, tmp_path: Path) -> None:
    read_archives(2000 + seed, 500, tmp_path)


def test_mutants_of_run_files_are_refused_or_read(tmp_path: Path) -> None:
    assert 10 < try_all(random.randrange(1000), 250, tmp_path) < 240


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(10))
def test_thousands_of_mutants_of_run_files(seed: int, tmp_path: Path) -> None:
    try_all(1000 + seed, 500, tmp_path)
