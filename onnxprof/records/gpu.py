"""Tables of a GPU profiler: kernels, and calls of the CUDA runtime."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KernelRow:
    """All executions of one kernel, copy or fill over the traced inferences."""

    name: str
    total_ns: int
    """Time on the device."""
    instances: int
    """The number of executions; never 0."""
    min_ns: int
    max_ns: int

    @property
    def average_ns(self) -> float:
        """Mean time of one."""
        return self.total_ns / self.instances


@dataclass(frozen=True, slots=True)
class ApiRow:
    """One function of the CUDA runtime or driver, over all traced inferences."""

    name: str
    total_ns: int
    """Time on the host, waiting included."""
    calls: int
    """The number of calls; never 0."""
    min_ns: int
    max_ns: int

    @property
    def average_ns(self) -> float:
        """Mean time of one."""
        return self.total_ns / self.calls


def merged_kernels(tables: tuple[tuple[KernelRow, ...], ...]) -> tuple[KernelRow, ...]:
    """One table of several processes', the longest total first."""
    rows: dict[str, KernelRow] = {}
    for row in (row for table in tables for row in table):
        known = rows.get(row.name)
        rows[row.name] = row if known is None else _kernel_sum(known, row)
    return tuple(sorted(rows.values(), key=lambda row: (-row.total_ns, row.name)))


def _kernel_sum(a: KernelRow, b: KernelRow) -> KernelRow:
    return KernelRow(
        a.name,
        a.total_ns + b.total_ns,
        a.instances + b.instances,
        min(a.min_ns, b.min_ns),
        max(a.max_ns, b.max_ns),
    )


def merged_calls(tables: tuple[tuple[ApiRow, ...], ...]) -> tuple[ApiRow, ...]:
    """One table of several processes', the longest total first."""
    rows: dict[str, ApiRow] = {}
    for row in (row for table in tables for row in table):
        known = rows.get(row.name)
        rows[row.name] = row if known is None else _call_sum(known, row)
    return tuple(sorted(rows.values(), key=lambda row: (-row.total_ns, row.name)))


def _call_sum(a: ApiRow, b: ApiRow) -> ApiRow:
    return ApiRow(
        a.name,
        a.total_ns + b.total_ns,
        a.calls + b.calls,
        min(a.min_ns, b.min_ns),
        max(a.max_ns, b.max_ns),
    )
