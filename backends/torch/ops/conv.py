"""Convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Function, Table, made, on_host
from onnxprof.backends.torch.ops.shape import numbers

Ints = Sequence[int]


def _window(kernel: Ints, dilations: Ints) -> list[int]:
    return [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]


def _same_pads(size: Ints, window: Ints, strides: Ints, lower: bool) -> list[int]:
    """ONNX's pads for SAME_UPPER and SAME_LOWER: outputs are the inputs over the strides."""
    total = [
        max((-(-n // s) - 1) * s + w - n, 0) for n, w, s in zip(size, window, strides, strict=True)
    ]
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return [*large, *small] if lower else [*small, *large]


def _pads(auto_pad: str, pads: Ints | None, size: Ints, window: Ints, strides: Ints) -> list[int]:
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return _same_pads(size, window, strides, auto_pad == "SAME_LOWER")
    return list(pads) if pads and auto_pad == "NOTSET" else [0] * (2 * len(size))


def _flat(pads: Ints) -> list[int]:
    """ONNX's pads in the order of torch's: last axis first, begin and end in turn."""
    half = len(pads) // 2
    return [pads[i + side] for i in reversed(range(half)) for side in (0, half)]


def _conv(*, auto_pad: str = "NOTSET", dilations: Ints | None = None, group: int = 1,
          kernel_shape: Ints | None = None, pads: Ints | None = None,
          strides: Ints | None = None) -> Function:  # fmt: skip
    """One call of torch if pads are symmetric, else padding and a call."""
    del kernel_shape
    stride, dilation = list(strides or [1]), list(dilations or [1])
    given = list(pads or [])
    half = len(given) // 2
    if auto_pad == "VALID" or (auto_pad == "NOTSET" and given[:half] == given[half:]):
        padding = [0] if auto_pad == "VALID" or not given else given[:half]
        zeros = [0] * len(padding)
        convolve = torch.convolution

        def run(x: Any, w: Any, b: Any = None) -> Any:
            return convolve(x, w, b, stride, padding, dilation, False, zeros, group)

        return run

    def padded(x: Any, w: Any, b: Any = None) -> Any:
        rank = x.dim() - 2
        step = stride * rank if len(stride) == 1 else stride
        window = _window(w.shape[2:], dilation * rank if len(dilation) == 1 else dilation)
        outer = _pads(auto_pad, given, x.shape[2:], window, step)
        x = F.pad(x, _flat(outer))
        return torch.convolution(x, w, b, stride, [0], dilation, False, [0], group)

    return padded


def _conv_transpose(
    x: Any, w: Any, b: Any = None, *, auto_pad: str = "NOTSET", dilations: Ints | None = None,
    group: int = 1, kernel_shape: Ints | None = None, output_padding: Ints | None = None,
    output_shape: Ints | None = None, pads: Ints | None = None, strides: Ints | None = None,
) -> Any:  # fmt: skip
    """Computed without pads, then cropped, since torch's own pads are symmetric."""
    del kernel_shape
    rank = x.dim() - 2
    stride, dilation = list(strides or [1] * rank), list(dilations or [1] * rank)
    extra = list(output_padding or [0] * rank)
    given = list(pads or [0] * (2 * rank))
    if not output_shape and auto_pad in ("NOTSET", "VALID") and given[:rank] == given[rank:]:
        return torch.convolution(x, w, b, stride, given[:rank], dilation, True, extra, group)
    full = torch.convolution(x, w, b, stride, [0] * rank, dilation, True, [0] * rank, group)
    window = _window(w.shape[2:], dilation)
    natural = [s * (n - 1) + o + k for s, n, o, k in
               zip(stride, x.shape[2:], extra, window, strict=True)]  # fmt: skip
    if output_shape:
        wanted = list(output_shape[-rank:])
    elif auto_pad.startswith("SAME"):
        wanted = [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
    else:
        wanted = [n - given[i] - given[rank + i] for i, n in enumerate(natural)]
    begins = given[:rank]
    if output_shape or auto_pad.startswith("SAME"):
        over = [n - w for n, w in zip(natural, wanted, strict=True)]
        begins = [o // 2 if auto_pad == "SAME_UPPER" else o - o // 2 for o in over]
    ends = [wanted[i] + begins[i] - full.shape[2 + i] for i in range(rank)]
    bias = None if b is None else b.reshape(-1, *([1] * rank))
    out = F.pad(full, _flat([-begin for begin in begins] + ends))
    beyond = any(end > 0 for end in ends) or any(begin < 0 for begin in begins)
    return out if bias is None or not beyond else _with_bias(full, bias, begins, ends)


def _with_bias(full: Any, bias: Any, begins: Ints, ends: Ints) -> Any:
    """Extend a transposed convolution at the borders, where the result is the bias alone."""
    return F.pad(full - bias, _flat([-begin for begin in begins] + list(ends))) + bias


def _ceil_extra(size: int, window: int, stride: int, begin: int, end: int) -> int:
    """Pads that ceil_mode adds at the end; a window may not start in them."""
    span = size + begin + end - window
    out = -(-span // stride) + 1
    if (out - 1) * stride >= size + begin:
        out -= 1
    return max((out - 1) * stride + window - (size + begin + end), 0)


class _Pool:
    """The geometry of one pooling node."""

    def __init__(self, auto_pad: str, ceil_mode: int, dilations: Ints | None,
                 kernel_shape: Ints, pads: Ints | None, strides: Ints | None) -> None:  # fmt: skip
        self.kernel, rank = list(kernel_shape), len(kernel_shape)
        self.stride = list(strides or [1] * rank)
        self.dilation = list(dilations or [1] * rank)
        self.auto_pad, self.given = auto_pad, list(pads or [0] * (2 * rank))
        self.ceil = bool(ceil_mode) and auto_pad in ("NOTSET", "VALID")
        self.window = _window(self.kernel, self.dilation)
        half = self.given[:rank]
        even = half == self.given[rank:] and not auto_pad.startswith("SAME")
        self.simple = even and all(2 * p <= k for p, k in zip(half, self.kernel, strict=True))
        self.padding = half if auto_pad == "NOTSET" else [0] * rank

    def pads(self, size: Ints) -> list[int]:
        """The requested pads."""
        return _pads(self.auto_pad, self.given, size, self.window, self.stride)

    def extra(self, size: Ints, pads: Ints) -> list[int]:
        """The further pads, at the ends, for ceil_mode."""
        if not self.ceil:
            return [0] * len(size)
        sides = zip(size, self.window, self.stride, pads[: len(size)], pads[len(size) :],
                    strict=True)  # fmt: skip
        return [_ceil_extra(*side) for side in sides]


def _max_pool(*, auto_pad: str = "NOTSET", ceil_mode: int = 0, dilations: Ints | None = None,
              kernel_shape: Ints, pads: Ints | None = None, storage_order: int = 0,
              strides: Ints | None = None, outputs: int = 1) -> Function:  # fmt: skip
    pool = _Pool(auto_pad, ceil_mode, dilations, kernel_shape, pads, strides)
    name = f"max_pool{len(pool.kernel)}d"
    call = getattr(F, name + ("_with_indices" if outputs > 1 else ""))

    def run(x: Any) -> Any:
        if not x.is_floating_point():  # torch pools no integers
            done = run(x.double())
            return (done[0].to(x.dtype), done[1]) if outputs > 1 else done.to(x.dtype)
        if pool.simple:
            pooled = call(x, pool.kernel, pool.stride, pool.padding, pool.dilation, pool.ceil)
            return pooled if outputs == 1 else (pooled[0], _whole(pooled[1], x, storage_order))
        begin = pool.pads(x.shape[2:])
        rank = len(pool.kernel)
        ends = [e + m for e, m in zip(begin[rank:], pool.extra(x.shape[2:], begin), strict=True)]
        outer = F.pad(x, _flat([*begin[:rank], *ends]), value=-math.inf)
        pooled = call(outer, pool.kernel, pool.stride, [0] * rank, pool.dilation)
        if outputs == 1:
            return pooled
        inner = _unpadded(pooled[1], outer.shape[2:], x.shape[2:], begin)
        return pooled[0], _whole(inner, x, storage_order)

    return run


def _coordinates(index: Any, size: Ints) -> list[Any]:
    places = []
    for n in reversed(size):
        places.append(index % n)
        index = index // n
    return places[::-1]


def _flattened(places: Sequence[Any], size: Ints) -> Any:
    flat = torch.zeros_like(places[0])
    for place, n in zip(places, size, strict=True):
        flat = flat * n + place
    return flat


def _unpadded(index: Any, outer: Ints, inner: Ints, begins: Ints) -> Any:
    """Indices into a padded plane as indices into the plane itself."""
    places = _coordinates(index, outer)
    return _flattened([p - b for p, b in zip(places, begins, strict=False)], inner)


def _whole(index: Any, x: Any, storage_order: int) -> Any:
    """torch's indices into a plane as ONNX's indices into the whole tensor."""
    size = list(x.shape[2:])
    if storage_order:  # column-major in each plane
        index = _flattened(_coordinates(index, size)[::-1], size[::-1])
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device)
    shape = [x.shape[0], x.shape[1], *([1] * len(size))]
    return index + planes.reshape(shape) * math.prod(size)


def _average_pool(*, auto_pad: str = "NOTSET", ceil_mode: int = 0, count_include_pad: int = 0,
                  dilations: Ints | None = None, kernel_shape: Ints,
                  pads: Ints | None = None, strides: Ints | None = None) -> Function:  # fmt: skip
    pool = _Pool(auto_pad, ceil_mode, dilations, kernel_shape, pads, strides)
    call = getattr(F, f"avg_pool{len(pool.kernel)}d")
    plain = pool.simple and set(pool.dilation) == {1}

    def run(x: Any) -> Any:
        if plain:
            counted = bool(count_include_pad)
            return call(x, pool.kernel, pool.stride, pool.padding, pool.ceil, counted)
        size = x.shape[2:]
        begin = pool.pads(size)
        extra = [0] * len(size) + pool.extra(size, begin)
        inside = torch.ones(1, 1, *size, dtype=x.dtype, device=x.device)
        counted = F.pad(inside, _flat(begin), value=float(count_include_pad))
        counted = F.pad(counted, _flat(extra))
        outer = F.pad(F.pad(x, _flat(begin)), _flat(extra))
        return _window_sums(outer, pool) / _window_sums(counted, pool)

    return run


def _window_sums(x: Any, pool: _Pool) -> Any:
    """Sums over dilated windows, plane by plane."""
    planes = x.reshape(-1, 1, *x.shape[2:])
    ones = torch.ones(1, 1, *pool.kernel, dtype=x.dtype, device=x.device)
    rank = [0] * len(pool.kernel)
    sums = torch.convolution(planes, ones, None, pool.stride, rank, pool.dilation, False, rank, 1)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def _lp_pool(*, auto_pad: str = "NOTSET", ceil_mode: int = 0, dilations: Ints | None = None,
             kernel_shape: Ints, p: int = 2, pads: Ints | None = None,
             strides: Ints | None = None) -> Function:  # fmt: skip
    pool = _Pool(auto_pad, ceil_mode, dilations, kernel_shape, pads, strides)

    def run(x: Any) -> Any:
        begin = pool.pads(x.shape[2:])
        extra = [0] * len(pool.kernel) + pool.extra(x.shape[2:], begin)
        outer = F.pad(F.pad(x, _flat(begin)), _flat(extra))
        return _window_sums(outer.abs() ** p, pool) ** (1 / p)

    return run


def _space(x: Any) -> tuple[int, ...]:
    return tuple(range(2, x.dim()))


def _global_average_pool(x: Any) -> Any:
    return x.mean(_space(x), keepdim=True)


def _global_max_pool(x: Any) -> Any:
    return x.amax(_space(x), keepdim=True)


def _global_lp_pool(x: Any, *, p: int = 2) -> Any:
    return torch.linalg.vector_norm(x, p, _space(x), keepdim=True)


def _max_unpool(
    x: Any, index: Any, shape: Any = None, *, kernel_shape: Ints, pads: Ints | None = None,
    strides: Ints | None = None,
) -> Any:  # fmt: skip
    """Indices count through the tensor that was pooled, even if the output is larger."""
    rank = len(kernel_shape)
    stride, pad = strides or [1] * rank, pads or [0] * (2 * rank)
    sides = zip(x.shape[2:], stride, kernel_shape, strict=True)
    space = [(n - 1) * s + k - pad[i] - pad[rank + i] for i, (n, s, k) in enumerate(sides)]
    small = [*x.shape[:2], *space]
    flat = torch.zeros(math.prod(small), dtype=x.dtype, device=x.device)
    made_small = flat.scatter(0, index.reshape(-1), x.reshape(-1)).reshape(small)
    if shape is None or numbers(shape) == small:
        return made_small
    out = torch.zeros(numbers(shape), dtype=x.dtype, device=x.device)
    out[tuple(slice(0, n) for n in small)] = made_small
    return out


def table() -> Table:
    """Operator to function."""
    return {
        "Conv": made(_conv), "ConvTranspose": _conv_transpose,
        "MaxPool": made(_max_pool), "AveragePool": made(_average_pool), "LpPool": made(_lp_pool),
        "GlobalAveragePool": _global_average_pool, "GlobalMaxPool": _global_max_pool,
        "GlobalLpPool": _global_lp_pool, "MaxUnpool": on_host(_max_unpool, 2),
    }  # fmt: skip
