"""onnxruntime's arena on the CPU, as far as it decides which memory becomes resident.

Memory is taken in regions whose sizes are powers of two times 1 MiB, the next one twice as large.
The smallest free chunk that fits is used. It is split only if it has twice the wanted size or
would lose 128 MiB, neighbours that are free are joined, and regions are never given back. What is
resident is what was touched: a chunk's first bytes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from heapq import heappop, heappush

_ALIGNMENT = 256
_FIRST_REGION = 1 << 20
_PATTERN_ALIGNMENT = 64
#: A free chunk that is this much too large is split whatever its size.
_MOST_DEAD = 128 << 20


#: The most blocks among which a gap is looked for, so that no model makes planning long.
_MOST_BLOCKS = 1000


@dataclass(slots=True, eq=False)
class _Chunk:
    region: int
    offset: int
    size: int
    free: bool = True

    @property
    def rank(self) -> tuple[int, int, int]:
        """The smallest chunk is used first."""
        return self.size, self.region, self.offset


class Arena:
    """Memory by handles; only sizes are followed."""

    def __init__(self) -> None:
        self._next_region = _FIRST_REGION
        self._chunks: list[list[_Chunk]] = []
        self._touched: list[list[tuple[int, int]]] = []
        self._free: list[_Chunk] = []

    @property
    def resident_bytes(self) -> int:
        """What was touched in all regions."""
        return sum(end - start for spans in self._touched for start, end in spans)

    def take(self, size: int) -> _Chunk:
        """A chunk of at least this size."""
        wanted = max(_ALIGNMENT, -(-size // _ALIGNMENT) * _ALIGNMENT)
        at = bisect_left(self._free, (wanted, 0, 0), key=_rank)
        if at == len(self._free):
            self._extend(wanted)
            at = bisect_left(self._free, (wanted, 0, 0), key=_rank)
        chunk = self._free.pop(at)
        if chunk.size >= 2 * wanted or chunk.size - wanted >= _MOST_DEAD:
            self._split(chunk, wanted)
        chunk.free = False
        self._touch(chunk.region, chunk.offset, chunk.offset + size)
        return chunk

    def give(self, chunk: _Chunk) -> None:
        """Free a chunk and join it with free neighbours."""
        row = self._chunks[chunk.region]
        at = bisect_left(row, chunk.offset, key=_offset)
        chunk.free = True
        if at + 1 < len(row) and row[at + 1].free:
            chunk.size += self._unlisted(row.pop(at + 1)).size
        if at and row[at - 1].free:
            before = self._unlisted(row[at - 1])
            before.size += row.pop(at).size
            chunk = before
        insort(self._free, chunk, key=_rank)

    def _unlisted(self, chunk: _Chunk) -> _Chunk:
        self._free.pop(bisect_left(self._free, chunk.rank, key=_rank))
        return chunk

    def _extend(self, wanted: int) -> None:
        grown = False
        while wanted > self._next_region:
            self._next_region *= 2
            grown = True
        chunk = _Chunk(len(self._chunks), 0, self._next_region)
        if not grown:
            self._next_region *= 2
        self._chunks.append([chunk])
        self._touched.append([])
        insort(self._free, chunk, key=_rank)

    def _split(self, chunk: _Chunk, wanted: int) -> None:
        rest = _Chunk(chunk.region, chunk.offset + wanted, chunk.size - wanted)
        chunk.size = wanted
        row = self._chunks[chunk.region]
        row.insert(bisect_left(row, rest.offset, key=_offset), rest)
        insort(self._free, rest, key=_rank)

    def _touch(self, region: int, start: int, end: int) -> None:
        spans = self._touched[region]
        first = bisect_left(spans, start, key=lambda span: span[1])
        last = bisect_right(spans, end, key=lambda span: span[0])
        if first < last:
            start, end = min(start, spans[first][0]), max(end, spans[last - 1][1])
        spans[first:last] = [(start, end)]


def _rank(chunk: _Chunk) -> tuple[int, int, int]:
    return chunk.rank


def _offset(chunk: _Chunk) -> int:
    return chunk.offset


def packed_bytes(lifetimes: list[tuple[int, int, int]]) -> int:
    """The size of one block that holds buffers of (bytes, first step, last step) side by side.

    onnxruntime plans it in the order of allocation: each into the tightest gap between those that
    are alive, or behind them.
    """
    placed: list[tuple[int, int, int]] = []  # offset, end, last step
    ends: list[tuple[int, tuple[int, int, int]]] = []
    most = 0
    for size, first, last in lifetimes:
        size = -(-size // _PATTERN_ALIGNMENT) * _PATTERN_ALIGNMENT
        while ends and ends[0][0] < first:
            placed.pop(bisect_left(placed, heappop(ends)[1]))
        crowded = len(placed) > _MOST_BLOCKS
        offset = placed[-1][1] if crowded else _tightest(placed, size)
        block = (offset, offset + size, last)
        insort(placed, block)
        heappush(ends, (last, block))
        most = max(most, offset + size)
    return most


def _tightest(placed: list[tuple[int, int, int]], size: int) -> int:
    best, waste, end = -1, 0, 0
    for start, stop, _ in placed:
        gap = start - end
        if gap >= size and (best < 0 or gap - size < waste):
            best, waste = end, gap - size
        end = max(end, stop)
    return end if best < 0 else best
