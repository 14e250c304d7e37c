"""Files that no run can be read from: named, with what is wrong, and passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.store.same import assert_same

from onnxprof.errors import StoreError
from onnxprof.store import folder as store
from onnxprof.store import parquet
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


def rewritten(source: Path, target: Path, **changes: bytes | None) -> Path:
    """A copy with other metadata; None drops a key."""
    table = pq.read_table(source)
    metadata = dict(pq.read_metadata(source).metadata)
    for key, value in changes.items():
        metadata[f"onnxprof.{key}".encode()] = value
    kept = {key: value for key, value in metadata.items() if value is not None}
    pq.write_table(table.replace_schema_metadata(kept), target)
    return target


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    good = Store(tmp_path / "s").save(sample_run())
    data = good.read_bytes()
    half = len(data) // 2
    for name, content in {
        "empty": b"",
        "text": b"model,device\n",
        "short": data[:-9],
        "half": data[:half],
        "zeros": bytes(len(data)),
        "magic": b"PAR1PAR1",
    }.items():
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(content)
        with pytest.raises(StoreError, match=f"{name}.parquet: cannot be read") as caught:
            store.load(path)
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="no such file"):
        store.load(tmp_path / "absent.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(StoreError, match="not one that onnxprof wrote"):
        store.load(tmp_path / "other.parquet")


def test_a_flipped_bit_in_the_samples_is_noticed(tmp_path: Path) -> None:
    path = Store(tmp_path).save(sample_run())
    column = pq.read_metadata(path).row_group(0).column(4)
    data = bytearray(path.read_bytes())
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 16
    path.write_bytes(data)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load(path)


def test_an_unknown_schema_is_refused_by_name(tmp_path: Path) -> None:
    path = rewritten(Store(tmp_path / "s").save(sample_run()), tmp_path / "n.parquet", schema=b"7")
    for read in (parquet.read_run, parquet.read_summary):
        with pytest.raises(StoreError, match=r"schema version 7; this onnxprof knows version 1"):
            read(path)


@pytest.mark.parametrize("run", [None, b"{}", b"[]", b"{", b"null", b'{"timings":null}'])
def test_damaged_facts_are_refused(tmp_path: Path, run: bytes | None) -> None:
    path = rewritten(Store(tmp_path / "s").save(sample_run()), tmp_path / "n.parquet", run=run)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load(path)
    path = rewritten(path, tmp_path / "m.parquet", summary=run)
    with pytest.raises(StoreError, match="cannot be read"):
        parquet.read_summary(path)


@pytest.mark.parametrize(
    "timings",
    [
        {"latency": 79},
        {"step": [3, 51]},
        {"step": [150]},
        {"step": [1, 150]},
        {"latency": -1, "traced": 131},
        {"warmup": "8"},
        {"step": [-3, -50]},
    ],
)
def test_counts_that_do_not_fit_the_rows_are_refused(
    tmp_path: Path, timings: dict[str, object]
) -> None:
    good = Store(tmp_path / "s").save(sample_run())
    facts = json.loads(pq.read_metadata(good).metadata[parquet.RUN_KEY])
    facts["timings"] |= timings
    path = rewritten(good, tmp_path / "n.parquet", run=json.dumps(facts).encode())
    with pytest.raises(StoreError, match="cannot be read"):
        store.load(path)


def test_unknown_facts_are_ignored(tmp_path: Path) -> None:
    run = sample_run()
    good = Store(tmp_path / "s").save(run)
    facts = json.loads(pq.read_metadata(good).metadata[parquet.RUN_KEY])
    facts["later"] = facts["request"]["later"] = 1
    facts["tensors"]["later"] = [1]
    path = rewritten(good, tmp_path / "n.parquet", run=json.dumps(facts).encode())
    assert_same(store.load(path), run)


def test_a_list_goes_on_past_what_cannot_be_read(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    good = sample_run()
    path = Store(root).save(good)
    (path.parent / "bad.parquet").write_bytes(b"PAR1")
    (path.parent / ".hidden.parquet").write_bytes(b"left over")
    (path.parent / ".1234.tmp").write_bytes(b"left over")
    runs, problems = store.load_all([root, root / "sample", tmp_path / "absent"])
    assert len(runs) == 1
    assert_same(runs[0], good)
    assert [Path(problem.where).name for problem in problems] == ["bad.parquet"]
