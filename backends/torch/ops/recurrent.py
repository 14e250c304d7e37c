"""LSTM, GRU and RNN: torch's kernels where these suffice, else a loop over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Function, Table, made
from onnxprof.errors import BackendError

#: From ONNX's order of the gates to torch's: LSTM iofc to ifco, GRU zrh to rzn.
_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_DEFAULTS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
Activation = Callable[[Any], Any]


def _activation(name: str, alpha: float | None, beta: float | None) -> Activation:
    def of(value: float | None, default: float) -> float:
        return default if value is None else value

    functions: dict[str, Activation] = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "affine": lambda x: of(alpha, 1.0) * x + of(beta, 0.0),
        "leakyrelu": lambda x: torch.where(x < 0, of(alpha, 0.01) * x, x),
        "thresholdedrelu": lambda x: torch.where(x > of(alpha, 1.0), x, torch.zeros_like(x)),
        "scaledtanh": lambda x: of(alpha, 1.0) * torch.tanh(of(beta, 1.0) * x),
        "hardsigmoid": lambda x: torch.clamp(of(alpha, 0.2) * x + of(beta, 0.5), 0, 1),
        "elu": lambda x: torch.where(x < 0, of(alpha, 1.0) * torch.expm1(x), x),
        "softsign": lambda x: x / (1 + x.abs()),
        "softplus": lambda x: torch.log1p(torch.exp(x)),
    }
    if name.lower() not in functions:
        raise BackendError(f"its activation {name!r} is not supported")
    return functions[name.lower()]


class _Recurrent:
    """One recurrent node. Weights in torch's layout are cached while they stay the same."""

    def __init__(
        self, kind: str, *, hidden_size: int | None = None, direction: str = "forward",
        activations: Sequence[str] | None = None, activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (), clip: float | None = None, input_forget: int = 0,
        layout: int = 0, linear_before_reset: int = 0, output_sequence: int = 0, outputs: int = 1,
    ) -> None:  # fmt: skip
        del hidden_size, output_sequence
        self.kind, self.clip, self.layout = kind, clip, layout
        self.directions = 2 if direction == "bidirectional" else 1
        self.backward = [direction == "reverse", True][: self.directions]
        names = list(activations or _DEFAULTS[kind] * self.directions)
        self.reset_first = kind == "GRU" and not linear_before_reset
        self.coupled, self.outputs = bool(input_forget), outputs
        lengths = (names, activation_alpha, activation_beta)
        self.functions = [
            _activation(name, *(v[i] if i < len(v) else None for v in lengths[1:]))
            for i, name in enumerate(names)
        ]
        plain = names == _DEFAULTS[kind] * self.directions or (
            kind == "RNN" and set(names) == {"Relu"}
        )
        self.native = plain and clip is None and not input_forget and not self.reset_first
        self.native = self.native and direction != "reverse"
        self.relu = kind == "RNN" and names[0] == "Relu"
        self._seen: tuple[Any, ...] = ()
        self._flat: list[Any] = []

    def __call__(self, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None,
                 h: Any = None, c: Any = None, p: Any = None) -> Any:  # fmt: skip
        if self.layout:
            x = x.transpose(0, 1)
            h, c = (None if s is None else s.transpose(0, 1) for s in (h, c))
        state = (self.directions, x.shape[1], r.shape[2])
        h = x.new_zeros(state) if h is None else h
        if self.kind == "LSTM":
            c = x.new_zeros(state) if c is None else c
        everything = lengths is None or bool((lengths == x.shape[0]).all())
        if self.native and p is None and everything:
            return self._laid_out(*self._by_torch(x, w, r, b, h, c))
        return self._laid_out(*self._by_loop(x, w, r, b, lengths, h, c, p))

    def _laid_out(self, y: Any, h: Any, c: Any) -> Any:
        """Y as [time, directions, batch, hidden], or batch first."""
        if self.layout:
            y = y.permute(2, 0, 1, 3)
            h, c = (None if s is None else s.transpose(0, 1) for s in (h, c))
        results = (y, h) if c is None else (y, h, c)
        return results[: self.outputs] if self.outputs > 1 else y

    def _by_torch(self, x: Any, w: Any, r: Any, b: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
        flat = self._weights(w, r, b)
        rest = (flat, b is not None, 1, 0.0, False, self.directions == 2, False)
        h = h.contiguous()
        if self.kind == "LSTM":
            y, h, c = torch.lstm(x, (h, c.contiguous()), *rest)
        elif self.kind == "GRU":
            y, h = torch.gru(x, h, *rest)
        else:
            y, h = (torch.rnn_relu if self.relu else torch.rnn_tanh)(x, h, *rest)
        time, batch = y.shape[:2]
        return y.reshape(time, batch, self.directions, -1).transpose(1, 2), h, c

    def _weights(self, w: Any, r: Any, b: Any) -> list[Any]:
        """Per direction: input weights, hidden weights and two biases, gates in torch's order."""
        given = (w, r, b)
        same = len(self._seen) == 3 and all(s is g for s, g in zip(self._seen, given, strict=True))
        if not same:
            self._seen, self._flat = given, []
            for k in range(self.directions):
                parts = [w[k], r[k]] if b is None else [w[k], r[k], *b[k].chunk(2)]
                self._flat += [self._reordered(part) for part in parts]
        return self._flat

    def _reordered(self, part: Any) -> Any:
        gates = part.chunk(len(_ORDER[self.kind]))
        return torch.cat([gates[i] for i in _ORDER[self.kind]]).contiguous()

    def _by_loop(self, x: Any, w: Any, r: Any, b: Any, lengths: Any, h: Any, c: Any, p: Any,
                 ) -> tuple[Any, Any, Any]:  # fmt: skip
        states = (w, r, b, h, c, p)
        per_direction = [
            self._direction(k, x, lengths, [None if t is None else t[k] for t in states])
            for k in range(self.directions)
        ]
        y = torch.stack([part[0] for part in per_direction], 1)
        last = torch.stack([part[1] for part in per_direction])
        cell = torch.stack([part[2] for part in per_direction]) if self.kind == "LSTM" else None
        return y, last, cell

    def _direction(self, k: int, x: Any, lengths: Any, states: Sequence[Any]) -> tuple[Any, ...]:
        """Y, the last hidden state and the last cell of one direction."""
        w, r, b, h, c, p = states
        time = x.shape[0]
        steps = list(range(time - 1, -1, -1) if self.backward[k] else range(time))
        count = len(self.functions) // self.directions
        functions = self.functions[k * count : (k + 1) * count]
        ys: list[Any] = [None] * time
        for t in steps:
            new_h, new_c = self._step(functions, x[t], w, r, b, h, c, p)
            y = new_h
            if lengths is not None:
                alive = (t < lengths).to(x.device).unsqueeze(1)
                y = torch.where(alive, new_h, torch.zeros_like(new_h))
                new_h = torch.where(alive, new_h, h)
                new_c = None if new_c is None else torch.where(alive, new_c, c)
            h, c, ys[t] = new_h, new_c, y
        return torch.stack(ys), h, c

    def _step(self, f: Sequence[Activation], x: Any, w: Any, r: Any, b: Any, h: Any, c: Any,
              p: Any) -> tuple[Any, Any]:  # fmt: skip
        wb, rb = (0.0, 0.0) if b is None else b.chunk(2)
        given = x @ w.t() + wb
        if self.kind == "RNN":
            return f[0](self._clipped(given + h @ r.t() + rb)), None
        if self.kind == "GRU":
            return self._gru(f, given, r, rb, h), None
        i, o, forget, new = self._gates(given + h @ r.t() + rb, 4)
        pi, po, pf = (0.0, 0.0, 0.0) if p is None else p.chunk(3)
        i = f[0](self._clipped(i + pi * c))
        forget = 1 - i if self.coupled else f[0](self._clipped(forget + pf * c))
        cell = forget * c + i * f[1](self._clipped(new))
        return f[0](self._clipped(o + po * cell)) * f[2](cell), cell

    def _gru(self, f: Sequence[Activation], given: Any, r: Any, rb: Any, h: Any) -> Any:
        size = h.shape[1]
        xz, xr, xh = self._gates(given, 3)
        bz, br, bh = (0.0, 0.0, 0.0) if isinstance(rb, float) else rb.chunk(3)
        z = f[0](self._clipped(xz + h @ r[:size].t() + bz))
        reset = f[0](self._clipped(xr + h @ r[size : 2 * size].t() + br))
        rh = r[2 * size :].t()
        hidden = (reset * h) @ rh + bh if self.reset_first else reset * (h @ rh + bh)
        return (1 - z) * f[1](self._clipped(xh + hidden)) + z * h

    def _clipped(self, x: Any) -> Any:
        return x if self.clip is None else torch.clamp(x, -self.clip, self.clip)

    def _gates(self, x: Any, count: int) -> Any:
        return x.chunk(count, -1)


def _maker(kind: str) -> Any:
    def make(*, outputs: int = 1, hidden_size: int | None = None, direction: str = "forward",
             activations: Any = None, activation_alpha: Any = (), activation_beta: Any = (),
             clip: float | None = None, input_forget: int = 0, layout: int = 0,
             linear_before_reset: int = 0, output_sequence: int = 0) -> Function:  # fmt: skip
        return _Recurrent(
            kind, outputs=outputs, hidden_size=hidden_size, direction=direction,
            activations=activations, activation_alpha=activation_alpha,
            activation_beta=activation_beta, clip=clip, input_forget=input_forget, layout=layout,
            linear_before_reset=linear_before_reset, output_sequence=output_sequence,
        )  # fmt: skip

    return made(make)


def table() -> Table:
    """Operator to function."""
    return {kind: _maker(kind) for kind in _ORDER}
