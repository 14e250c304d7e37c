"""Many runs in one file: what comes back, what it is made of, what a damaged one may do."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import strategies
from support.sites import failed_run, runs
from support.store.same import assert_same

from onnxprof.errors import StoreError, UsageError
from onnxprof.publish.site.worklist import of_stores
from onnxprof.records.run import Run
from onnxprof.store import folder as store
from onnxprof.store import parquet
from onnxprof.store.folder import Filters, Store
from onnxprof.store.formats import archive, reading, writing
from onnxprof.store.select import Need, select
from onnxprof.store.upkeep.merge import merge
from onnxprof.store.upkeep.pack import pack
from onnxprof.testing import sample_run


def filled(root: Path, made: list[Run]) -> Path:
    for run in made:
        Store(root).save(run)
    return root


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """Failures, names made up on purpose, several systems."""
    output = tmp_path / "all.parquet"
    pack([filled(tmp_path / "runs", runs())], output)
    return output


@settings(max_examples=25)
@given(st.lists(strategies.runs(), min_size=1, max_size=4))
def test_what_is_packed_comes_back(made: list[Run]) -> None:
    with TemporaryDirectory() as place:
        source, output = filled(Path(place, "runs"), made), Path(place, "all.parquet")
        packing = pack([source], output)
        assert packing.unreadable == []
        assert packing.runs + packing.twice == len(made)
        (files, bad), (members, worse) = store.scan([source]), store.scan([output])
        assert bad == worse == []
        for run in members:
            whole = store.load(run.path)
            twins = [store.load(file.path) for file in files if file.request == run.request]
            assert any(_same(whole, twin) for twin in twins)
            assert parquet.read_summary(run.path) == run


def _same(left: Run, right: Run) -> bool:
    try:
        assert_same(left, right)
    except AssertionError:
        return False
    return True


def test_unpacked_files_are_those_that_were_packed(packed: Path, tmp_path: Path) -> None:
    merged = merge([packed], tmp_path / "again")
    before, after = (tmp_path / name for name in ("runs", "again"))
    names = [path.relative_to(before) for path in before.rglob("*.parquet")]
    assert merged.new == len(names)
    assert merged.unreadable == []
    for name in names:
        assert (before / name).read_bytes() == (after / name).read_bytes()
    assert merge([packed], after).new == 0


def test_the_same_runs_are_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    files = sorted((tmp_path / "runs").rglob("*.parquet"))
    random.Random(0).shuffle(files)
    for number, path in enumerate(files):
        other = tmp_path / "other" / f"{number % 3}" / f"{number}.parquet"
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, other)
    again = tmp_path / "again.parquet"
    pack([tmp_path / "other"], again)
    assert again.read_bytes() == packed.read_bytes()
    of_itself = tmp_path / "of-itself.parquet"
    pack([packed], of_itself)
    assert of_itself.read_bytes() == packed.read_bytes()


def test_an_archive_is_read_wherever_a_store_is(packed: Path, tmp_path: Path) -> None:
    whole, _ = store.scan([tmp_path / "runs"])
    for place in (packed, filled(tmp_path / "folder", [])):
        place.mkdir(exist_ok=True) if place is not packed else None
        if place is not packed:
            shutil.copyfile(packed, place / "some.parquet")
        found, problems = store.scan([place])
        assert problems == []
        assert [run.request for run in found] == [run.request for run in whole]
        assert all(archive.located(run.path) for run in found)
    heard: list[str] = []
    chosen = select(str(packed), [], Filters(model=("alpha",)), Need.LATENCIES, say=heard.append)
    assert {run.request.model_name for run in chosen} == {"alpha"}
    assert "without latencies" in heard[0]
    (one,) = select(chosen[0].file, [], say=heard.append)
    assert one == chosen[0]


def test_failures_keep_their_reasons(packed: Path) -> None:
    failures = [run for run in store.scan([packed])[0] if run.failure]
    assert {run.failure for run in failures} == {failed_run().failure}
    assert all("-failed.parquet" in run.file for run in failures)


def test_a_digest_is_of_what_a_run_holds(packed: Path, tmp_path: Path) -> None:
    items, problems = of_stores([packed])
    assert problems == []
    digests = {item.digest for item in items}
    assert len(digests) == len(items) == len(runs())
    more = filled(tmp_path / "more", [*runs(), sample_run("zeta")])
    pack([more], packed)
    assert digests < {item.digest for item in of_stores([packed])[0]}


def test_one_run_twice_is_packed_once(tmp_path: Path) -> None:
    source = filled(tmp_path / "runs", [sample_run(), sample_run(), sample_run(seed=1)])
    packing = pack([source], tmp_path / "all.parquet")
    assert (packing.runs, packing.twice) == (2, 1)
    names = [run.path.name for run in store.scan([tmp_path / "all.parquet"])[0]]
    assert sorted(name[-10:] for name in names) == ["Z-2.parquet"[-10:], "5Z.parquet"[-10:]]


def test_nothing_else_is_replaced(tmp_path: Path) -> None:
    source = filled(tmp_path / "runs", [sample_run()])
    path = next(source.rglob("*.parquet"))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="no archive"):
        pack([source], path)
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="no stored run"):
        pack([source], tmp_path / "none.parquet", Filters(model=("nothing",)))
    assert not (tmp_path / "none.parquet").exists()


def test_an_unreadable_run_is_named_and_left_out(tmp_path: Path) -> None:
    source = filled(tmp_path / "runs", [sample_run("a"), sample_run("b")])
    victim = next(source.rglob("a/**/*.parquet"))
    data = bytearray(victim.read_bytes())
    data[40] ^= 0xFF  # in the samples: the summary can be read
    victim.write_bytes(data)
    packing = pack([source], tmp_path / "all.parquet")
    assert packing.runs == 1
    assert [str(victim) in str(error) for error in packing.unreadable] == [True]
    assert not list(tmp_path.glob(".*"))


def test_tables_are_stored_once(tmp_path: Path) -> None:
    """Six batch sizes of one model take little more than their samples."""
    made = [sample_run("alpha", batch, seed=batch) for batch in (1, 2, 4, 8, 16, 32)]
    pack([filled(tmp_path / "runs", made)], tmp_path / "all.parquet")
    footer = pq.read_metadata(tmp_path / "all.parquet")
    assert footer.num_row_groups == 2
    facts = [footer.row_group(0).column(i) for i in range(footer.num_columns)]
    (column,) = [each for each in facts if each.path_in_schema == "facts"]
    assert column.total_compressed_size < column.total_uncompressed_size / 4


def test_groups_end_where_a_reader_would_hold_too_much(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_GROUP_BYTES", 1)
    again = tmp_path / "again.parquet"
    pack([packed], again)
    count = len(runs())
    assert pq.read_metadata(again).num_row_groups == 2 * count
    for run in store.scan([packed])[0]:
        name = archive.located(run.path)
        assert name is not None
        assert_same(store.load(again / name[1]), store.load(run.path))


def test_reading_all_runs_unpacks_each_group_once(packed: Path) -> None:
    groups = pq.read_metadata(packed).num_row_groups // 2
    reading._group.cache_clear()
    for run in sorted(store.scan([packed])[0], key=lambda run: run.file):
        store.load(run.path)
    assert reading._group.cache_info().misses == groups
    reading._group.cache_clear()
    of_stores([packed])
    assert reading._group.cache_info().misses == groups


def test_a_replaced_archive_is_read_anew(packed: Path, tmp_path: Path) -> None:
    first = store.scan([packed])[0]
    assert store.load(first[0].path)
    pack([filled(tmp_path / "other", [sample_run("other")])], packed)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load(first[0].path)
    (other,), _ = store.scan([packed])
    assert store.load(other.path).request.model_name == "other"


def test_other_programs_read_it(packed: Path) -> None:
    table = pq.read_table(packed)
    assert tuple(table.column_names) == archive.COLUMNS
    rows = table.to_pylist()
    facts = {row["name"]: json.loads(row["facts"]) for row in rows if row["kind"] == "run"}
    for run in store.scan([packed])[0]:
        name = run.file.removeprefix(f"{packed}/")
        assert facts[name]["request"]["batch"] == run.request.batch
        whole = store.load(run.path)
        mine = [row for row in rows if row["name"] == name]
        expected = whole.timings.latency_ns if whole.timings else np.zeros(0)
        latencies = [row["duration_ns"] for row in mine if row["kind"] == "latency"]
        assert latencies == expected.tolist()
        assert len({row["step"] for row in mine if row["kind"] == "step"}) == len(whole.steps)


Change = Callable[[pa.Table], pa.Table]


def rewritten(path: Path, change: Change, groups: bool = True) -> Path:
    """The archive with other rows, in the same groups unless there is to be one."""
    with pq.ParquetFile(path) as file:
        tables = [change(file.read_row_group(i)) for i in range(file.num_row_groups)]
        keys = file.metadata.metadata
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, tables[0].schema) as writer:
        for table in tables if groups else [pa.concat_tables(tables)]:
            writer.write_table(table)
        writer.add_key_value_metadata({archive.KEY: keys[archive.KEY]})
    path.write_bytes(sink.getvalue())
    return path


def replaced(name: str, value: object) -> Change:
    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(name)
        values = pa.array([value] * table.num_rows, table.schema.field(at).type)
        return table.set_column(at, name, values)

    return change


def other_type(name: str, kind: pa.DataType) -> Change:
    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(name)
        return table.set_column(at, name, pa.nulls(table.num_rows, kind))

    return change


DAMAGE = {
    "outside": replaced("name", "../../../etc/passwd"),
    "absolute": replaced("name", "/etc/passwd"),
    "same names": replaced("name", "a/b/c/d.parquet"),
    "no names": replaced("name", None),
    "long name": replaced("name", "a/" * 9999),
    "no facts": replaced("facts", None),
    "no summary": replaced("summary", None),
    "facts": replaced("facts", "[" * 100_000),
    "summary": replaced("summary", '{"request": 7}'),
    "kind": replaced("kind", "step"),
    "fewer samples": replaced("sample", 1),
    "negative": replaced("sample", -1),
    "before": replaced("duration_ns", -5),
    "null": replaced("duration_ns", None),
    "text": other_type("duration_ns", pa.string()),
    "floats": other_type("sample", pa.float64()),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_archive_is_an_error_with_its_place(name: str, packed: Path) -> None:
    rewritten(packed, DAMAGE[name])
    found, problems = store.scan([packed])
    _, more = store.load_each([run.path for run in found])
    timed = [run for run in found if not run.failure]  # the others have no samples to damage
    assert problems or len(more) >= len(timed) > 0
    assert all(str(packed) in str(each) and len(str(each)) < 500 for each in [*problems, *more])


def test_groups_that_are_no_pairs(packed: Path) -> None:
    rewritten(packed, lambda table: table, groups=False)
    found, problems = store.scan([packed])
    assert found == []
    assert "number of groups" in str(problems[0])


def test_another_version_is_refused_by_name(packed: Path) -> None:
    table = pq.read_table(packed)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({archive.KEY: b"2"})
    packed.write_bytes(sink.getvalue())
    assert "no archive of version 1" in str(store.scan([packed])[1][0])


def test_many_rows_that_name_one_long_text_are_refused(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_GROUP_BYTES", 200_000)
    rewritten(packed, replaced("summary", "x" * 150_000))
    assert "more than runs can be" in str(store.scan([packed])[1][0])


def test_bytes_that_fell_over(packed: Path) -> None:
    good = packed.read_bytes()
    rng = random.Random(0)
    count = len(runs())
    for _ in range(60):
        data = bytearray(good)
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(4, len(data) - 4096)] = rng.randrange(256)
        packed.write_bytes(data)
        found, problems = store.scan([packed])
        loaded, more = store.load_each([run.path for run in found])
        assert problems or len(loaded) + len(more) == count
        for length in (0, 4, len(good) // 2, len(good) - 1):
            packed.write_bytes(good[:length])
            assert store.scan([packed])[0] == []


def test_a_path_into_a_file_that_is_no_archive(tmp_path: Path) -> None:
    path = Store(tmp_path).save(sample_run())
    for inner in (path / "x.parquet", tmp_path / "gone.parquet" / "x.parquet"):
        with pytest.raises(StoreError):
            store.load(inner)
        with pytest.raises(StoreError):
            parquet.read_summary(inner)
    assert dataclasses.replace(sample_run()).thinned is None
