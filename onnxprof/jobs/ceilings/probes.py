"""Which graphs are timed to find ceilings: kinds of layers, their sizes, and how many copies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isqrt, prod

from onnxprof.records.ceilings import Cache
from onnxprof.records.elements.table import element_bits

#: Bytes of an element by the precision of a graph's tensors.
WIDTHS = {name: element_bits(name) // 8 for name in ("float32", "float16", "bfloat16", "int8")}
FLOAT32 = "float32"
#: Where no cache is known: small, middle and large.
_UNKNOWN = (Cache("L1", 32 << 10), Cache("L2", 1 << 20), Cache("L3", 32 << 20))
#: A working set beyond the caches has so many times the last one's size.
_BEYOND = 4
#: Bytes: the smallest elementwise call, which shows what a call costs; the least beyond caches.
_SMALLEST, _LEAST_BEYOND = 8 << 10, 64 << 20
#: The further copies of the longer graph take about so long, and are no more than these.
_WANTED_S, _MOST_COPIES = 400e-6, 48
_ELEMENTS_OF_A_NODE = 64
#: From one working set of separate copies to the next.
_APART = 4


@dataclass(frozen=True, slots=True)
class Speed:
    """A rough idea of a device, for the number of copies alone."""

    flops: float
    bandwidth: float
    node_s: float


_SPEEDS = {"cpu": Speed(1e11, 2e10, 1e-6)}
_GPU_SPEED = Speed(3e13, 2e12, 6e-6)


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of layer at one size, to be timed as chains of equal copies."""

    kind: str
    sizes: tuple[int, ...]
    """Of `matmul` rows, inner, columns; of convolutions batch, channels, height; else elements."""
    precision: str = FLOAT32
    short: int = 1
    long: int = 2

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor that goes from copy to copy."""
        if self.kind in _PRODUCTS:
            return self.sizes[:2]
        if self.kind in KERNELS:
            batch, channels, side = self.sizes
            return (batch, channels, side, side)
        return (1, *self.sizes)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The weights of a copy; empty where it has none."""
        if self.kind in _PRODUCTS:
            return self.sizes[1:]
        if self.kind in KERNELS:
            channels, kernel = self.sizes[1], KERNELS[self.kind]
            return (channels, 1 if self.kind == "depthwise" else channels, kernel, kernel)
        return ()

    @property
    def flops(self) -> int:
        """Of one copy; a multiply-add counts as two, elementwise operators count none."""
        if self.kind in _PRODUCTS:
            return 2 * prod(self.sizes)
        if self.kind in KERNELS:
            return 2 * prod(self.shape) * prod(self.weight_shape[1:])
        return 0

    @property
    def moved_bytes(self) -> int:
        """What a copy reads and writes, every element once; write-allocation is not counted."""
        weights = prod(self.weight_shape) if self.weight_shape else 0
        reads = 2 if self.kind == "add" else 1
        return WIDTHS[self.precision] * ((reads + 1) * prod(self.shape) + weights)

    @property
    def working_set_bytes(self) -> int:
        """What one pass goes over: that of all copies where none touches what another one does."""
        if self.kind == "gemv":
            return self.long * self.moved_bytes
        if self.kind == "apart":
            return (self.long + 1) * self.moved_bytes // 2
        return self.moved_bytes

    @property
    def size(self) -> str:
        """Rows, inner and columns; channels, height and width; or the bytes of a copy."""
        if self.kind in _PRODUCTS:
            return "x".join(map(str, self.sizes))
        if self.kind in KERNELS:
            return "x".join(map(str, self.shape[self.shape[0] == 1 :]))
        return _bytes_text(self.moved_bytes)

    def taking(self, speed: Speed) -> Probe:
        """The same with numbers of copies that suit a device of about this speed."""
        if self.kind in _SEPARATE:  # more copies would be another working set
            return self
        once = max(self.flops / speed.flops, self.moved_bytes / speed.bandwidth) + speed.node_s
        more = min(_MOST_COPIES, max(1, ceil(_WANTED_S / once)))
        short = 1 if once > _WANTED_S else max(2, more // 4)
        return Probe(self.kind, self.sizes, self.precision, short, short + more)


#: Side of the kernel by kind of convolution.
KERNELS = {"conv3x3": 3, "conv1x1": 1, "depthwise": 3}
_PRODUCTS = ("matmul", "gemv")
#: Kinds whose copies share at most what they read.
_SEPARATE = ("gemv", "apart")
#: Sizes of matrices and convolutions by kind of device: float32, then the other precisions.
_MATRICES = {
    "cpu": (
        (128, 128, 128),
        (256, 256, 256),
        (512, 512, 512),
        (256, 128, 128),
        (128, 768, 768),
        (1024,) * 3,
    ),
    "gpu": ((1024,) * 3, (2048,) * 3, (4096,) * 3, (8192,) * 3),
}
_LARGE = {"cpu": (2048,) * 3, "gpu": (16384,) * 3}
_CONVOLUTIONS = {
    "cpu": {
        "conv3x3": ((1, 32, 56), (1, 64, 56), (1, 128, 28), (1, 64, 28), (1, 256, 14), (1, 512, 7)),
        "conv1x1": ((1, 64, 56), (1, 256, 14), (1, 512, 14), (1, 128, 28), (1, 1024, 7)),
        "depthwise": ((1, 64, 56), (1, 256, 28)),
    },
    "gpu": {
        "conv3x3": ((32, 64, 56), (32, 256, 14), (64, 512, 14)),
        "conv1x1": ((32, 256, 56), (64, 1024, 14)),
        "depthwise": ((32, 256, 56),),
    },
}
#: Of the above, those that the other precisions are tried on.
_OTHERS = {"cpu": slice(1, 3), "gpu": slice(1, 4)}


def probes(device_kind: str, caches: Sequence[Cache], threads: int) -> tuple[Probe, ...]:
    """All graphs for a device, overhead first: what a later one needs, an earlier one shows."""
    kind = "cpu" if device_kind == "cpu" else "gpu"
    speed = _SPEEDS.get(kind, _GPU_SPEED)
    chosen = [*_overheads(), *_elementwise(caches, threads), *_separate(caches, threads)]
    chosen += _compute(kind)
    return tuple(dict.fromkeys(probe.taking(speed) for probe in chosen))


def _overheads() -> Iterator[Probe]:
    """Tensors so small that a node costs what it costs to have one."""
    yield Probe("relu", (_ELEMENTS_OF_A_NODE,))
    yield Probe("add", (_ELEMENTS_OF_A_NODE,))
    yield Probe("reshape", (_ELEMENTS_OF_A_NODE,))
    yield Probe("conv1x1", (1, 16, 1))


def beyond(caches: Sequence[Cache], threads: int) -> int:
    """Bytes of a working set that no cache holds."""
    known = caches or _UNKNOWN
    return max(_LEAST_BEYOND, _BEYOND * max(cache.reach(threads) for cache in known))


def _elementwise(caches: Sequence[Cache], threads: int) -> Iterator[Probe]:
    """Working sets from a call's overhead to main memory, each twice or four times the last."""
    most = beyond(caches, threads)
    size, number = _SMALLEST, 0
    while size <= most:
        yield Probe("relu", (size // 8,))
        if number % 2 == 0 or size * 2 > most:
            yield Probe("add", (size // 12,))
        size, number = size * 2, number + 1


def _separate(caches: Sequence[Cache], threads: int) -> Iterator[Probe]:
    """Working sets from half of the nearest level to beyond all of them, in three parts.

    A vector times three matrices reads; three operators that read one tensor write three others,
    so that they stay three in a runtime that makes one call of a chain.
    """
    most = beyond(caches, threads)
    size = (caches or _UNKNOWN)[0].reach(threads) // 2
    while size <= most:
        side = max(64, isqrt(size // 12) // 64 * 64)
        yield Probe("gemv", (1, side, side), short=1, long=3)
        yield Probe("apart", (size // 16,), short=1, long=3)
        size = most if size < most < size * _APART else size * _APART


def _compute(kind: str) -> Iterator[Probe]:
    """Matrices and convolutions in every precision."""
    for precision in WIDTHS:
        few = _OTHERS[kind] if precision != FLOAT32 else slice(None)
        yield from (Probe("matmul", sizes, precision) for sizes in _MATRICES[kind][few])
        for name, all_sizes in _CONVOLUTIONS[kind].items():
            if precision == FLOAT32 or name != "depthwise":
                yield from (Probe(name, sizes, precision) for sizes in all_sizes[few])
    yield Probe("matmul", _LARGE[kind])


def _bytes_text(count: int) -> str:
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
