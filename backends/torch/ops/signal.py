"""Fourier transforms and mel filters."""

from __future__ import annotations

import math
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table, on_host
from onnxprof.backends.torch.base.values import dtype_of


def _dft(x: Any, length: Any = None, axis: Any = None, *, inverse: int = 0, onesided: int = 0,
         ) -> Any:  # fmt: skip
    return _transformed(x, length, -2 if axis is None else int(axis), inverse, onesided)


def _dft_17(
    x: Any, length: Any = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0
) -> Any:
    return _transformed(x, length, axis, inverse, onesided)


def _transformed(x: Any, length: Any, axis: int, inverse: int, onesided: int) -> Any:
    """Fourier transform; the last axis holds real and imaginary parts, or real ones alone."""
    axis = axis % x.dim()
    halved = inverse and onesided
    whole = 2 * (x.shape[axis] - 1) if halved else x.shape[axis]
    size = whole if length is None else int(length)
    if halved:
        result = torch.fft.irfft(torch.view_as_complex(x.contiguous()), size, axis)
        return result.unsqueeze(-1)
    complex_ = x[..., 0] + 0j if x.shape[-1] == 1 else torch.view_as_complex(x.contiguous())
    result = (torch.fft.ifft if inverse else torch.fft.fft)(complex_, size, axis)
    if onesided:
        result = result.narrow(axis, 0, size // 2 + 1)
    return torch.view_as_real(result)


def _stft(x: Any, step: Any, window: Any = None, length: Any = None, *, onesided: int = 1) -> Any:
    size = int(length) if length is not None else window.numel()
    signal = x[..., 0] if x.dim() == 3 and x.shape[-1] == 1 else x
    if signal.dim() == 3:
        signal = torch.view_as_complex(signal.contiguous())
    frames = signal.unfold(1, size, int(step))
    if window is not None:
        frames = frames * window
    spectrum = torch.fft.fft(frames)
    return torch.view_as_real(spectrum[..., : size // 2 + 1] if onesided else spectrum)


def _mel_matrix(bins: Any, length: Any, rate: Any, low: Any, high: Any, *, output_datatype: int = 1,
                ) -> Any:  # fmt: skip
    """Triangles between centres that are evenly spaced on the mel scale."""
    count, size = int(bins), int(length)

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    start, end = mel(float(low)), mel(float(high))
    steps = torch.arange(count + 2, dtype=torch.float32) * ((end - start) / (count + 2)) + start
    hertz = 700 * (torch.pow(10.0, steps / 2595) - 1)
    places = torch.floor((size + 1) * hertz / int(rate)).int().tolist()
    out = torch.zeros(size // 2 + 1, count)
    for i in range(count):
        left, middle, right = places[i : i + 3]
        if middle == left:
            out[middle, i] = 1
        for j in range(left, middle + 1):
            out[j, i] = (j - left) / (middle - left) if middle != left else 1
        for j in range(middle, right):
            out[j, i] = (right - j) / (right - middle)
    return out.to(dtype_of(output_datatype))


def table() -> Table:
    """Operator to function."""
    return {
        "DFT": {17: on_host(_dft_17, 1), 20: on_host(_dft, 1, 2)},
        "STFT": on_host(_stft, 1, 3),
        "MelWeightMatrix": on_host(_mel_matrix, 0, 1, 2, 3, 4),
    }
