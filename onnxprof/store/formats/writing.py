"""Writes an archive: runs of one model stand together, so that their tables are stored once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import IO, TYPE_CHECKING

from onnxprof.store.formats.archive import COLUMNS, KEY, RUN, SAMPLES, VERSION, Packed

if TYPE_CHECKING:
    import pyarrow as pa

#: Unpacked bytes after which a group ends: readers hold one group at a time.
_GROUP_BYTES = 32 << 20
#: A page holds a whole group, as what repeats is found within a page.
_PAGE_BYTES = 1 << 30
_LEVEL = 19
_DELTA = dict.fromkeys(("sample", "block", "duration_ns"), "DELTA_BINARY_PACKED")


def write(runs: Iterable[Packed], sink: IO[bytes]) -> int:
    """Write the runs, which come in the order of their names; returns how many.

    Equal runs give equal bytes, with one version of pyarrow.
    """
    import pyarrow.parquet as pq

    count = 0
    with pq.ParquetWriter(
        sink,
        _schema(),
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=["name", "kind", "step"],
        column_encoding=_DELTA,
        data_page_size=_PAGE_BYTES,
        dictionary_pagesize_limit=_PAGE_BYTES,
        write_statistics=False,
        write_page_checksum=True,
    ) as writer:
        for group in _groups(runs):
            writer.write_table(_runs(group))
            writer.write_table(_samples(group), row_group_size=1 << 26)
            count += len(group)
        writer.add_key_value_metadata({KEY: VERSION})
    return count


def _groups(runs: Iterable[Packed]) -> Iterator[list[Packed]]:
    """The runs of each model, in parts of bounded size."""
    for _, of_model in groupby(runs, lambda run: run.name.partition("/")[0]):
        group: list[Packed] = []
        held = 0
        for run in of_model:
            size = len(run.facts) + len(run.summary) + run.samples.nbytes
            if group and held + size > _GROUP_BYTES:
                yield group
                group, held = [], 0
            group.append(run)
            held += size
        yield group


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"sample": pa.int32(), "block": pa.int32(), "duration_ns": pa.int64()}
    return pa.schema([(name, types.get(name, pa.string())) for name in COLUMNS])


def _runs(group: list[Packed]) -> pa.Table:
    """One row a run."""
    import pyarrow as pa

    columns = {
        "name": [run.name for run in group],
        "kind": [RUN] * len(group),
        "sample": [run.samples.num_rows for run in group],
        "summary": [run.summary.decode() for run in group],
        "facts": [run.facts.decode() for run in group],
    }
    schema = _schema()
    none = [None] * len(group)
    return pa.table({f.name: pa.array(columns.get(f.name, none), f.type) for f in schema}, schema)


def _samples(group: list[Packed]) -> pa.Table:
    """The samples of the runs, one after another."""
    import numpy as np
    import pyarrow as pa

    schema = _schema()
    rows = pa.concat_tables([run.samples.select(list(SAMPLES)) for run in group])
    counts = [run.samples.num_rows for run in group]
    places = pa.array(np.repeat(np.arange(len(group), dtype=np.int32), counts))
    names = pa.DictionaryArray.from_arrays(places, pa.array([run.name for run in group]))
    columns = {"name": names} | {name: rows[name] for name in SAMPLES}
    none = pa.nulls(rows.num_rows, pa.string())
    return pa.table({f.name: columns.get(f.name, none) for f in schema}).cast(schema)
