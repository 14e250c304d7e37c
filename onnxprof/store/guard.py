"""What is checked of a file among stored runs before anything of it is believed or allocated."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxprof.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

#: The most rows that are read, some 0.8 GB: a run of 900 s has a few millions.
MAX_ROWS = 1 << 26
#: Larger than any file of so many rows.
MAX_BYTES = 2 << 30
#: Bytes of a row, doubled for what pages add; and for the names of steps and everything else.
_ROW_BYTES, _SPARE_BYTES = 64, 4 << 20
#: Whole numbers beyond 64 bits are no count, size or time.
LARGEST = (1 << 63) - 1
#: A month.
_LONGEST_NS = 30 * 24 * 3600 * 10**9
#: Blocks are numbered from 0; so many are no burden, however few rows there are.
_FEW_BLOCKS = 1 << 12
#: What of a run's times is a list of counts; everything else is one.
_LISTS = (
    *("step", "prefix", "prefix_steps", "host", "block_process", "round_process"),
    *("repeats", "repeat", "repeat_process"),
)
#: What else than pyarrow's own errors reading a damaged file may raise.
ERRORS = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, RecursionError, MemoryError, RuntimeError),
)


def check_file(path: Path) -> None:
    """Raise ValueError for what is no regular file: opening a pipe or a device may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"it has {status.st_size} bytes, more than any run")


def facts_in(text: bytes) -> dict[str, Any]:
    """The object that is written there as JSON. Raises ValueError and RecursionError."""
    facts = _DECODER.decode(text.decode("utf-8", "surrogatepass"))
    if not isinstance(facts, dict):
        raise ValueError("its facts are no object")
    return facts


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


#: One for all: `json.loads` makes a new one for each text.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def check_rows(file: pq.ParquetFile, timings: dict[str, Any]) -> None:
    """Raise ValueError unless the columns are as written here and of a size that can be read.

    Looks at the footer alone: nothing is unpacked before its size is known.
    """
    check_numbers(timings)
    footer = file.metadata
    if footer.num_rows > MAX_ROWS:
        raise ValueError(f"it has {footer.num_rows} rows; {MAX_ROWS} are the most that are read")
    types = {field.name: str(field.type) for field in file.schema_arrow}
    if types.get("duration_ns") != "int64" or types.get("block") not in ("int32", "int64", "null"):
        raise ValueError("its columns have other types than those of a run")
    if _unpacked(footer) > _ROW_BYTES * footer.num_rows + _SPARE_BYTES:
        raise ValueError("its columns unpack to more than its rows can be")


def _unpacked(footer: Any) -> int:
    """By its groups: pyarrow ends the process where the facts of a single column are damaged."""
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
    return sum(group.total_byte_size for group in groups)


def check_samples(table: pa.Table) -> None:
    """Raise ValueError for durations that no clock gives, and blocks beyond the rows."""
    import pyarrow.compute as pc

    durations, blocks = table["duration_ns"], table["block"]
    if durations.null_count or not _within(pc.min_max(durations), _LONGEST_NS):
        raise ValueError("its durations are no times of a clock")
    if not _within(pc.min_max(blocks), max(table.num_rows, _FEW_BLOCKS)):
        raise ValueError("its blocks are numbered beyond its rows")


def _within(ends: Any, most: int) -> bool:
    low, high = ends["min"].as_py(), ends["max"].as_py()
    return low is None or 0 <= low <= high <= most


def check_numbers(timings: dict[str, Any]) -> None:
    """Raise ValueError unless all is whole numbers of 64 bits at most, or lists of them."""
    for name, value in timings.items():
        if isinstance(value, list) != (name in _LISTS):
            raise ValueError(f"{name} is {'no' if name in _LISTS else 'a'} list")
        for item in value if isinstance(value, list) else [value]:
            if type(item) is not int or not 0 <= item <= LARGEST:
                raise ValueError(f"{str(item)[:40]!r} is no count")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong while a stored run is read, as StoreError with the file's path."""
    import pyarrow as pa

    try:
        yield
    except StoreError as error:
        raise StoreError(error.what, where=str(path), remedy=error.remedy) from error
    except FileNotFoundError as error:
        raise StoreError("there is no such file", where=str(path)) from error
    except (pa.ArrowException, *ERRORS) as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise StoreError(f"cannot be read as a stored run ({reason})", where=str(path)) from error
