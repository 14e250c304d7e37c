"""Timing tables as published: a primitive a row, their sum in the last one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from onnxprof.imports.dlperf.folder import Damaged

HEADER = ("LayerName", "LayerType", "BenchmarkName", "RealTime(ms)", "Theoretical Flops")
TOTAL = ("", "", "Total")
MAX_ROWS = 100_000
#: Longest name of a layer or primitive.
_LONGEST = 1_000
#: An hour.
_LONGEST_NS = 3600 * 10**9
_TIME = re.compile(r"([0-9]{1,7})(?:\.([0-9]{1,9}))?")
_FLOPS = re.compile(r"[0-9]{1,18}")
#: What distinguishes instances of one primitive: a number and, in brackets, its algorithm.
_PRIMITIVE = re.compile(r"([A-Z_]*[A-Z])_?[0-9]*(?:<(.*?)>?)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Row:
    """One primitive that was timed."""

    layer: str
    layer_type: str
    benchmark: str
    """As published: `CONV_FWD_115737719072958501795<CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_G...`."""
    ns: int
    flops: int
    """The layer's `Theoretical Flops`; each of its rows repeats them."""

    @property
    def primitive(self) -> str:
        """What was timed, without its number: `CONV_FWD`."""
        match = _PRIMITIVE.fullmatch(self.benchmark)
        return match[1] if match else self.benchmark

    @property
    def algorithm(self) -> str:
        """The algorithm or mode, as far as it is printed: `CUDNN_POOLING_MAX`; or empty."""
        match = _PRIMITIVE.fullmatch(self.benchmark)
        return (match[2] or "").removesuffix("...") if match else ""


@dataclass(frozen=True, slots=True)
class Times:
    """The rows of a table and the sum that its last row gives."""

    rows: tuple[Row, ...]
    total_ns: int
    total_flops: int

    @property
    def missing_ns(self) -> int:
        """What the sum has and no row: 0 where they differ by the rounding of the rows."""
        over = self.total_ns - sum(row.ns for row in self.rows)
        return over if over > len(self.rows) else 0


def parse(data: bytes) -> Times:
    """The table in a CSV file. Raises Damaged."""
    lines = _lines(data)
    if not lines or tuple(lines[0]) != HEADER:
        found = ", ".join(lines[0])[:120] if lines else "none"
        raise Damaged(f"its columns are not {', '.join(HEADER)}: {found}")
    if len(lines) < 3 or tuple(lines[-1][:3]) != TOTAL:
        raise Damaged("its last row is no Total of the rows above it")
    rows = tuple(_row(number, line) for number, line in enumerate(lines[1:-1], 2))
    last = len(lines)
    times = Times(rows, _nanoseconds(last, lines[-1][3]), _flops(last, lines[-1][4]))
    spent = sum(row.ns for row in rows)
    if spent - times.total_ns > len(rows):
        raise Damaged(f"its rows add up to {spent / 1e6} ms, more than its Total")
    return times


def _lines(data: bytes) -> list[list[str]]:
    lines: list[list[str]] = []
    try:
        for line in csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True):
            if line and len(line) != len(HEADER):
                raise Damaged(f"row {len(lines) + 1} has {len(line)} columns, not {len(HEADER)}")
            if line:
                lines.append(line)
            if len(lines) > MAX_ROWS:
                raise Damaged(f"it has more than {MAX_ROWS:,} rows")
    except (UnicodeDecodeError, csv.Error) as error:
        raise Damaged(f"is no CSV: {error}") from None
    return lines


def _row(number: int, line: Sequence[str]) -> Row:
    layer, layer_type, benchmark, ms, flops = line
    if not layer.strip() or max(map(len, line)) > _LONGEST:
        raise Damaged(f"row {number} names no layer, or has a text that is too long")
    return Row(layer, layer_type, benchmark, _nanoseconds(number, ms), _flops(number, flops))


def _nanoseconds(number: int, text: str) -> int:
    """Milliseconds as whole nanoseconds, exactly up to six decimals."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise Damaged(f"row {number}: no time in milliseconds: {text[:40]!r}")
    picoseconds = int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0"))
    ns = (picoseconds + 500) // 1000
    if ns > _LONGEST_NS:
        raise Damaged(f"row {number}: a time of more than an hour")
    return ns


def _flops(number: int, text: str) -> int:
    if _FLOPS.fullmatch(text) is None:
        raise Damaged(f"row {number}: no number of operations: {text[:40]!r}")
    return int(text)
