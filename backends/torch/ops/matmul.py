"""Matrix products, normalisations, softmax and losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Function, Table, made


def _gemm(*, alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0,
          ) -> Function:  # fmt: skip
    """One addmm where the factors and the shape of C allow."""

    def run(a: Any, b: Any, c: Any = None) -> Any:
        a, b = (a.t() if transA else a), (b.t() if transB else b)
        if not a.is_floating_point():
            product = torch.matmul(a, b)
            return product * int(alpha) + (0 if c is None else c * int(beta))
        if c is None:
            product = torch.mm(a, b)
            return product if alpha == 1.0 else alpha * product
        return torch.addmm(c, a, b, beta=beta, alpha=alpha)

    return run


def _gemm_before_7(a: Any, b: Any, c: Any, *, alpha: float = 1.0, beta: float = 1.0,
                   broadcast: int = 0, transA: int = 0, transB: int = 0) -> Any:  # fmt: skip
    del broadcast
    return _gemm(alpha=alpha, beta=beta, transA=transA, transB=transB)(a, b, c)


def _einsum(*x: Any, equation: str) -> Any:
    return torch.einsum(equation, *x)


def _softmax(x: Any, *, axis: int = -1) -> Any:
    return torch.softmax(x, axis)


def _log_softmax(x: Any, *, axis: int = -1) -> Any:
    return torch.log_softmax(x, axis)


def _hardmax(x: Any, *, axis: int = -1) -> Any:
    first = x.argmax(axis, keepdim=True)
    return torch.zeros_like(x).scatter(axis, first, 1.0)


def _before_13(function: Function) -> Function:
    """All axes from `axis` on were flattened into one."""

    def run(x: Any, *, axis: int = 1) -> Any:
        first = axis + x.dim() if axis < 0 else axis
        flat = x.reshape(math.prod(x.shape[:first]), -1)
        return function(flat, axis=1).reshape(x.shape)

    return run


def _batch_norm(
    x: Any, scale: Any, bias: Any, mean: Any, var: Any, *, epsilon: float = 1e-5,
    momentum: float = 0.9, training_mode: int = 0, is_test: int = 1, spatial: int = 1,
    outputs: int = 1,
) -> Any:  # fmt: skip
    """With the stored statistics; training mode returns updated ones as well."""
    del is_test
    if not spatial:
        return (x - mean) * torch.rsqrt(var + epsilon) * scale + bias
    if not training_mode:
        dtype = x.dtype
        if mean.dtype != dtype or scale.dtype != dtype:
            scale, bias, mean, var = (t.to(dtype) for t in (scale, bias, mean, var))
        done = torch.batch_norm(x, scale, bias, mean, var, False, 0.0, epsilon, False)
        return done if outputs == 1 else (done, mean, var, mean, var)[:outputs]
    axes = [axis for axis in range(x.dim()) if axis != 1]
    now, spread = x.mean(axes), x.var(axes, correction=0)
    done = torch.batch_norm(x, scale, bias, now, spread, False, 0.0, epsilon, False)
    return (done, mean * momentum + now * (1 - momentum),
            var * momentum + spread * (1 - momentum))[:outputs]  # fmt: skip


def _instance_norm(x: Any, scale: Any, bias: Any, *, epsilon: float = 1e-5) -> Any:
    return torch.instance_norm(x, scale, bias, None, None, True, 0.0, epsilon, False)


def _layer_norm(
    x: Any, scale: Any, bias: Any = None, *, axis: int = -1, epsilon: float = 1e-5,
    stash_type: int = 1, outputs: int = 1,
) -> Any:  # fmt: skip
    del stash_type
    size = x.shape[axis:] if axis < 0 else x.shape[axis - x.dim() :]
    if outputs == 1 and scale.shape == size and (bias is None or bias.shape == size):
        return F.layer_norm(x, size, scale, bias, epsilon)
    axes = tuple(range(axis % x.dim(), x.dim()))
    mean = x.float().mean(axes, keepdim=True)
    inverse = torch.rsqrt(x.float().var(axes, correction=0, keepdim=True) + epsilon)
    done = ((x.float() - mean) * inverse).to(x.dtype) * scale
    done = done if bias is None else done + bias
    return (done, mean, inverse)[:outputs] if outputs > 1 else done


def _rms_norm(
    x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    del stash_type
    axes = tuple(range(axis % x.dim(), x.dim()))
    wide = x.float() if x.element_size() < 4 else x
    spread = torch.rsqrt(wide.square().mean(axes, keepdim=True) + epsilon)
    return (wide * spread).to(x.dtype) * scale


def _group_norm(
    x: Any, scale: Any, bias: Any, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Any:
    del stash_type
    if scale.numel() == num_groups != x.shape[1]:  # one a group until opset 21
        group_size = x.shape[1] // num_groups
        scale, bias = scale.repeat_interleave(group_size), bias.repeat_interleave(group_size)
    return F.group_norm(x, num_groups, scale, bias, epsilon)


def _lp_normalization(x: Any, *, axis: int = -1, p: int = 2) -> Any:
    norm = torch.linalg.vector_norm(x, p, axis, keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / norm)


def _lrn(x: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    """Sum of squares over `size` channels; if even, one channel more behind than before."""
    flat = x.square().reshape(x.shape[0], 1, x.shape[1], -1)
    outer = F.pad(flat, (0, 0, (size - 1) // 2, size // 2))
    mean = F.avg_pool2d(outer, (size, 1), stride=1).reshape(x.shape)
    return x / (bias + alpha * mean) ** beta


def _mean_variance(x: Any, *, axes: Sequence[int] = (0, 2, 3)) -> Any:
    centred = x - x.mean(tuple(axes), keepdim=True)
    spread = centred.square().mean(tuple(axes), keepdim=True).sqrt()
    return centred / (spread + 1e-9)


def _attention(*, kv_num_heads: int = 0, q_num_heads: int = 0, is_causal: int = 0,
               qk_matmul_output_mode: int = 0, scale: float | None = None, softcap: float = 0.0,
               softmax_precision: int = 0, left_window_size: int = -1,
               right_window_size: int = -1, outputs: int = 1, inputs: int = 3,
               ) -> Function | None:  # fmt: skip
    """torch's fused attention, if it covers the attributes of the node; else None."""
    del qk_matmul_output_mode, softmax_precision
    windowed = left_window_size >= 0 or right_window_size >= 0
    if softcap or windowed or outputs > 3 or inputs > 6 or (is_causal and inputs > 4):
        return None

    def run(q: Any, k: Any, v: Any, mask: Any = None, *past: Any) -> Any:
        flat = q.dim() == 3
        if flat:
            q, k, v = _heads(q, q_num_heads), _heads(k, kv_num_heads), _heads(v, kv_num_heads)
        if past and past[0] is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        if is_causal and (mask is not None or q.shape[2] != k.shape[2]):
            mask = _causal(mask, q, k)
        elif mask is not None and mask.dtype != torch.bool:
            mask = mask.to(q.dtype)
        if mask is not None and mask.shape[-1] != k.shape[2]:
            mask = F.pad(mask, (0, k.shape[2] - mask.shape[-1]),
                         value=False if mask.dtype == torch.bool else -math.inf)  # fmt: skip
        done = F.scaled_dot_product_attention(
            q, k, v, mask, is_causal=bool(is_causal) and mask is None, scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )  # fmt: skip
        done = done.transpose(1, 2).flatten(2) if flat else done
        return done if outputs == 1 else (done, k, v)[:outputs]

    return run


def _heads(x: Any, count: int) -> Any:
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2)


def _causal(mask: Any, q: Any, k: Any) -> Any:
    seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
    if mask is None or mask.dtype == torch.bool:
        return seen if mask is None else mask & seen
    return mask.to(q.dtype).masked_fill(~seen, -math.inf)


def _nll_loss(x: Any, target: Any, weight: Any = None, *, ignore_index: int | None = None,
              reduction: str = "mean") -> Any:  # fmt: skip
    """The ignored class may be out of range, so it is replaced by torch's default, -100."""
    target = target.long()
    if ignore_index is not None:
        target = torch.where(target == ignore_index, -100, target)
    return F.nll_loss(x, target, weight, reduction=reduction)


def _cross_entropy(scores: Any, labels: Any, weight: Any = None, *, outputs: int,
                   ignore_index: int | None = None, reduction: str = "mean") -> Any:  # fmt: skip
    logs = torch.log_softmax(scores, 1)
    loss = _nll_loss(logs, labels, weight, ignore_index=ignore_index, reduction=reduction)
    return (loss, logs) if outputs > 1 else loss


def table() -> Table:
    """Operator to function."""
    return {
        "MatMul": torch.matmul, "Gemm": {1: _gemm_before_7, 7: made(_gemm)}, "Einsum": _einsum,
        "Softmax": {1: _before_13(_softmax), 13: _softmax},
        "LogSoftmax": {1: _before_13(_log_softmax), 13: _log_softmax},
        "Hardmax": {1: _before_13(_hardmax), 13: _hardmax},
        "BatchNormalization": _batch_norm, "InstanceNormalization": {6: _instance_norm},
        "LayerNormalization": _layer_norm, "RMSNormalization": _rms_norm,
        "GroupNormalization": _group_norm, "LpNormalization": _lp_normalization, "LRN": _lrn,
        "MeanVarianceNormalization": _mean_variance, "Attention": made(_attention),
        "Det": torch.linalg.det, "NegativeLogLikelihoodLoss": _nll_loss,
        "SoftmaxCrossEntropyLoss": _cross_entropy,
    }  # fmt: skip
