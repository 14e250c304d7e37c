"""Operators that make, shape, cut and join tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Function, Table, made, on_host, sized
from onnxprof.backends.torch.base.values import dtype_of
from onnxprof.errors import BackendError


def numbers(x: Any) -> list[int]:
    """A shape operand as Python numbers; constants are converted when loading."""
    if type(x) is list:
        return x
    listed: list[int] = x.reshape(-1).tolist()
    return listed


def _reshape(x: Any, shape: Any, *, allowzero: int = 0) -> Any:
    return _reshaped(x, numbers(shape), allowzero)


def _reshape_to(x: Any, *, shape: list[int]) -> Any:
    return _reshaped(x, shape, 0)


def _reshaped(x: Any, sizes: list[int], allowzero: int) -> Any:
    if not allowzero and 0 in sizes:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(x: Any, *, axis: int = 1) -> Any:
    axis = axis + x.dim() if axis < 0 else axis
    first = 1
    for size in x.shape[:axis]:
        first *= size
    rest = 1
    for size in x.shape[axis:]:
        rest *= size
    return x.reshape(first, rest)


def _transpose(x: Any, *, perm: list[int] | None = None) -> Any:
    return x.permute(perm if perm is not None else tuple(range(x.dim() - 1, -1, -1)))


def _squeeze(x: Any, axes: Any = None) -> Any:
    return x.squeeze() if axes is None else torch.squeeze(x, tuple(numbers(axes)))


def _squeeze_axes(x: Any, *, axes: list[int] | None = None) -> Any:
    return x.squeeze() if axes is None else torch.squeeze(x, tuple(axes))


def _unsqueeze(x: Any, axes: Any) -> Any:
    return _unsqueeze_axes(x, axes=numbers(axes))


def _unsqueeze_axes(x: Any, *, axes: list[int]) -> Any:
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _concat(*x: Any, axis: int = 1) -> Any:
    return torch.cat(x, axis)


def _split(x: Any, sizes: Any = None, *, axis: int = 0, outputs: int,
           num_outputs: int = 0, split: list[int] | None = None) -> Any:  # fmt: skip
    """Without sizes, equal parts, of which the last may be smaller."""
    if sizes is not None:
        return torch.split(x, numbers(sizes), axis)
    if split:
        return torch.split(x, split, axis)
    parts = num_outputs or outputs
    size = -(-x.shape[axis] // parts)
    sized = [size] * (parts - 1)
    return torch.split(x, [*sized, x.shape[axis] - sum(sized)], axis)


def _slice(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    first, last = numbers(starts), numbers(ends)
    return _sliced(
        x,
        first,
        last,
        range(len(first)) if axes is None else numbers(axes),
        [1] * len(first) if steps is None else numbers(steps),
    )


def _slice_by_attributes(
    x: Any, *, starts: list[int], ends: list[int], axes: list[int] | None = None
) -> Any:
    return _sliced(x, starts, ends, axes or range(len(starts)), [1] * len(starts))


def _sliced(x: Any, first: Sequence[int], last: Sequence[int], axes: Sequence[int],
            steps: Sequence[int]) -> Any:  # fmt: skip
    index = [slice(None)] * x.dim()
    for start, end, axis, step in zip(first, last, axes, steps, strict=True):
        if step > 0:
            index[axis] = slice(start, end, step)
        else:
            x, index[axis] = _turned(x, axis, slice(start, end, step))
    return x[tuple(index)]


def _turned(x: Any, axis: int, part: slice) -> tuple[Any, slice]:
    """torch lacks negative steps: the axis reversed, and the slice from the other end."""
    size = x.shape[axis]
    end = None if part.stop < -size else part.stop
    taken = range(*slice(part.start, end, part.step).indices(size))
    last = size - 1
    made = slice(last - taken[0], last - taken[-1] + 1, -part.step) if taken else slice(0, 0)
    return torch.flip(x, (axis,)), made


def _expand(x: Any, shape: Any) -> Any:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(numbers(shape))))


def _tile(x: Any, repeats: Any) -> Any:
    return x.repeat(numbers(repeats))


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def _pad(x: Any, pads: Any, value: Any = None, axes: Any = None, *, mode: str = "constant") -> Any:
    given = numbers(pads)
    fill = 0 if value is None else value.item()
    return padded(x, given, mode, fill, None if axes is None else numbers(axes))


def _pad_by_attributes(x: Any, *, pads: list[int], mode: str = "constant", value: float = 0.0,
                       ) -> Any:  # fmt: skip
    return padded(x, pads, mode, value, None)


def padded(x: Any, pads: Sequence[int], mode: str, fill: Any, axes: Sequence[int] | None) -> Any:
    """Pad with ONNX's pads (all begins, then all ends); negative ones crop."""
    if mode not in _PAD_MODES:
        raise BackendError(f"Pad has no mode {mode!r}")
    half = len(pads) // 2
    where = [axis % x.dim() for axis in axes] if axes is not None else range(half)
    flat = [0] * (2 * x.dim())
    for axis, begin, end in zip(where, pads[:half], pads[half:], strict=True):
        flat[2 * (x.dim() - 1 - axis)], flat[2 * (x.dim() - 1 - axis) + 1] = begin, end
    if mode == "constant":
        return F.pad(x, flat, value=fill)
    return _mirrored(x, flat, mode)


def _mirrored(x: Any, flat: Sequence[int], mode: str) -> Any:
    """Axis by axis by index, since torch's own modes limit ranks and pads."""
    for axis in range(x.dim()):
        begin, end = flat[2 * (x.dim() - 1 - axis)], flat[2 * (x.dim() - 1 - axis) + 1]
        if begin or end:
            size = x.shape[axis]
            at = torch.arange(-begin, size + end, device=x.device)
            x = x.index_select(axis, _source(at, size, mode))
    return x


def _source(at: Any, size: int, mode: str) -> Any:
    if mode == "edge":
        return at.clamp(0, size - 1)
    if mode == "wrap" or size == 1:
        return at % size
    period = 2 * (size - 1)
    return (size - 1) - ((at % period) - (size - 1)).abs()


def _shape(x: Any, *, start: int = 0, end: int | None = None) -> Any:
    return torch.tensor(x.shape[start:end], dtype=torch.int64)


def _size(x: Any) -> Any:
    return torch.tensor(x.numel(), dtype=torch.int64)


def _constant_of_shape(*, value: Any = None) -> Function:
    dtype = torch.float32 if value is None else value.dtype
    number = 0 if value is None else value.reshape(-1)[0].item()

    def run(shape: Any) -> Any:
        return torch.full(numbers(shape), number, dtype=dtype)

    return run


def _range(start: Any, limit: Any, delta: Any, *, stash_type: int = 1) -> Any:
    del stash_type
    first, last, step = start.item(), limit.item(), delta.item()
    if (last - first) * step <= 0:
        return torch.zeros(0, dtype=start.dtype)
    return torch.arange(first, last, step, dtype=start.dtype)


def _eye_like(x: Any, *, dtype: int | None = None, k: int = 0) -> Any:
    kind = x.dtype if dtype is None else dtype_of(dtype)
    ones = torch.ones(x.shape, dtype=torch.uint8, device=x.device)
    return (ones.triu(k) * ones.tril(k)).to(kind)


def _trilu(x: Any, k: Any = None, *, upper: int = 1) -> Any:
    diagonal = 0 if k is None else int(k)
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


def _depth_to_space(x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    n, c, h, w = x.shape
    split = x.reshape(n, blocksize, blocksize, c // blocksize**2, h, w)
    moved = split.permute(0, 3, 4, 1, 5, 2)
    return moved.reshape(n, c // blocksize**2, h * blocksize, w * blocksize)


def _space_to_depth(x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    n, c, h, w = x.shape
    split = x.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return split.permute(order).reshape(n, c * blocksize**2, h // blocksize, w // blocksize)


def _reverse_sequence(x: Any, lengths: Any, *, batch_axis: int = 1, time_axis: int = 0) -> Any:
    moved = x.movedim((batch_axis, time_axis), (0, 1))
    steps = torch.arange(moved.shape[1], device=x.device)
    ends = lengths.to(x.device).unsqueeze(1)
    source = torch.where(steps < ends, ends - 1 - steps, steps)
    rows = torch.arange(moved.shape[0], device=x.device).unsqueeze(1)
    return moved[rows, source].movedim((0, 1), (batch_axis, time_axis))


def _dropout(x: Any, ratio: Any = None, training: Any = None, *, seed: int = 0, outputs: int,
             ) -> Any:  # fmt: skip
    """The input, unless an operand switches training on."""
    share = 0.5 if ratio is None else float(ratio)
    mask = torch.ones_like(x, dtype=torch.bool)
    if training is not None and bool(training) and share > 0:
        generator = torch.Generator(x.device).manual_seed(seed)
        mask = torch.rand(x.shape, generator=generator, device=x.device) >= share
        x = torch.where(mask, x / (1 - share), torch.zeros_like(x))
    return (x, mask) if outputs > 1 else x


def _dropout_at_rest(x: Any, *, ratio: float = 0.5, is_test: int = 1, outputs: int) -> Any:
    del ratio, is_test
    return (x, torch.ones_like(x, dtype=torch.bool)) if outputs > 1 else x


def _constant(*, value: Any = None, value_int: int | None = None, value_ints: Any = None,
              value_float: float | None = None, value_floats: Any = None) -> Any:  # fmt: skip
    whole = value_int if value_ints is None else value_ints
    real = value_float if value_floats is None else value_floats
    if value is not None:
        made_of = value
    elif whole is not None:
        made_of = torch.tensor(whole, dtype=torch.int64)
    elif real is not None:
        made_of = torch.tensor(real, dtype=torch.float32)
    else:
        raise BackendError("a Constant without a value that torch can hold")
    return lambda: made_of


def _col2im(x: Any, image: Any, block: Any, *, dilations: list[int] | None = None,
            pads: list[int] | None = None, strides: list[int] | None = None) -> Any:  # fmt: skip
    """Add every column's block at the block's position, for any number of axes."""
    size, kernel = numbers(image), numbers(block)
    rank = len(size)
    dilation, stride = dilations or [1] * rank, strides or [1] * rank
    pad = pads or [0] * (2 * rank)
    whole = [size[i] + pad[i] + pad[rank + i] for i in range(rank)]
    steps = [(whole[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(rank)]
    n, count = x.shape[0], torch.Size(kernel).numel()
    columns = x.reshape(n, x.shape[1] // count, count, *steps)
    out = torch.zeros(n, x.shape[1] // count, *whole, dtype=x.dtype, device=x.device)
    for number, offset in enumerate(torch.cartesian_prod(
            *(torch.arange(k) for k in kernel)).reshape(-1, rank).tolist()):  # fmt: skip
        place = tuple(
            slice(o * d, o * d + (n_steps - 1) * s + 1, s)
            for o, d, n_steps, s in zip(offset, dilation, steps, stride, strict=True)
        )
        out[(..., *place)] += columns[:, :, number]
    crop = tuple(slice(pad[i], pad[i] + size[i]) for i in range(rank))
    return out[(..., *crop)]


def table() -> Table:
    """Operator to function."""
    return {
        "Constant": made(_constant), "ConstantOfShape": on_host(made(_constant_of_shape), 0),
        "Shape": _shape, "Size": _size, "Range": on_host(_range, 0, 1, 2),
        "EyeLike": _eye_like, "Trilu": on_host(_trilu, 1),
        "Reshape": {1: _reshape_to, 5: sized(_reshape, 1)}, "Flatten": _flatten,
        "Transpose": _transpose, "Concat": _concat,
        "Squeeze": {1: _squeeze_axes, 13: sized(_squeeze, 1)},
        "Unsqueeze": {1: _unsqueeze_axes, 13: sized(_unsqueeze, 1)},
        "Split": sized(_split, 1),
        "Slice": {1: _slice_by_attributes, 10: sized(_slice, 1, 2, 3, 4)},
        "Expand": sized(_expand, 1), "Tile": {6: sized(_tile, 1)},
        "Pad": {2: _pad_by_attributes, 11: on_host(_pad, 1, 2, 3)},
        "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth,
        "ReverseSequence": _reverse_sequence, "Col2Im": on_host(_col2im, 1, 2),
        "Dropout": {1: _dropout_at_rest, 12: on_host(_dropout, 1, 2)},
    }  # fmt: skip
