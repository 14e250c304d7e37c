"""onnxruntime's arena on the CPU, as far as it decides which memory becomes resident.

Memory is taken in regions whose sizes are powers of two times 1 MiB, the next one twice as large.
The smallest free chunk that fits is used. It is split only if it has twice the wanted size or
would lose 128 MiB, neighbours that are free are joined, and regions are never given back. What is
resident is what was touched: a chunk's first bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

_ALIGNMENT = 256
_FIRST_REGION = 1 << 20
#: A free chunk that is this much too large is split whatever its size.
_MOST_DEAD = 128 << 20


@dataclass(slots=True, eq=False)
class _Chunk:
    region: int
    offset: int
    size: int
    free: bool = True


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
        fitting = [chunk for chunk in self._free if chunk.size >= wanted]
        if not fitting:
            fitting = [self._extended(wanted)]
        chunk = min(fitting, key=lambda c: (_bin(c.size), c.size, c.region, c.offset))
        self._free.remove(chunk)
        if chunk.size >= 2 * wanted or chunk.size - wanted >= _MOST_DEAD:
            self._split(chunk, wanted)
        chunk.free = False
        self._touch(chunk.region, chunk.offset, chunk.offset + size)
        return chunk

    def give(self, chunk: _Chunk) -> None:
        """Free a chunk and join it with free neighbours."""
        row = self._chunks[chunk.region]
        at = row.index(chunk)
        chunk.free = True
        self._free.append(chunk)
        for left in (at, at - 1):
            if 0 <= left < len(row) - 1 and row[left].free and row[left + 1].free:
                right = row.pop(left + 1)
                row[left].size += right.size
                self._free.remove(right)

    def _extended(self, wanted: int) -> _Chunk:
        grown = False
        while wanted > self._next_region:
            self._next_region *= 2
            grown = True
        chunk = _Chunk(len(self._chunks), 0, self._next_region)
        if not grown:
            self._next_region *= 2
        self._chunks.append([chunk])
        self._touched.append([])
        self._free.append(chunk)
        return chunk

    def _split(self, chunk: _Chunk, wanted: int) -> None:
        rest = _Chunk(chunk.region, chunk.offset + wanted, chunk.size - wanted)
        chunk.size = wanted
        row = self._chunks[chunk.region]
        row.insert(row.index(chunk) + 1, rest)
        self._free.append(rest)

    def _touch(self, region: int, start: int, end: int) -> None:
        apart = []
        for span in self._touched[region]:
            if span[1] < start or span[0] > end:
                apart.append(span)
            else:
                start, end = min(start, span[0]), max(end, span[1])
        self._touched[region] = [*apart, (start, end)]


def _bin(size: int) -> int:
    return (size // _ALIGNMENT).bit_length()


def packed_bytes(lifetimes: list[tuple[int, int, int]]) -> int:
    """The size of one block that holds buffers of (bytes, first step, last step) side by side.

    onnxruntime plans it in the order of allocation: each into the tightest gap between those that
    are alive, or behind them.
    """
    placed: list[tuple[int, int, int]] = []  # offset, end, last step
    most = 0
    for size, first, last in lifetimes:
        size = -(-size // 64) * 64
        placed = [block for block in placed if block[2] >= first]
        offset = _tightest(placed, size)
        placed.append((offset, offset + size, last))
        placed.sort()
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
