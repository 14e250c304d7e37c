"""RNN, GRU and LSTM: each weight is used once a step for each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Estimate, Formula, Work
from onnxprof.cost.operators.elementwise import activation

_LENGTHS = "sequence_lens are data: all steps count"


def _functions(call: Call, usual: Sequence[str]) -> Work:
    """Work of one unit's activations: those of one direction, the usual ones by default."""
    names = call.texts("activations")[: len(usual)] or tuple(usual)
    total = Work()
    for name in names:
        work = activation(name)
        if work is None:
            raise Unknown(f"the activation {name!r} is not modelled")
        total = total + work
    return total


def _cells(call: Call, recurrence: int = 2, hidden_axis: int = -1) -> tuple[Size, Size]:
    """(steps times items, units of all directions)."""
    steps = product(call.shape(0)[:2])
    shape = call.shape(recurrence)
    return steps, shape[0] * shape[hidden_axis]


def _products(call: Call) -> Size:
    steps, _ = _cells(call)
    return steps * (call.elements(1) + call.elements(2))


def _recurrent(call: Call, gates: int, unit: Work) -> Estimate:
    """Both products of a gate are added, and two biases where given."""
    steps, units = _cells(call)
    sums = Work(adds=gates * (3 if call.has(3) else 1))
    work = Work(macs=_products(call)) + (sums + unit) * (steps * units)
    return Estimate(work, bound=_LENGTHS if call.has(4) else "")


def _rnn(call: Call) -> Estimate:
    return _recurrent(call, 1, _functions(call, ("Tanh",)))


def _gru(call: Call) -> Estimate:
    """h = (1 - z) · candidate + z · h, the candidate with r · h."""
    unit = Work(adds=2, multiplies=3) + _functions(call, ("Sigmoid", "Tanh"))
    # two gates share the first function
    gate = _functions(call, ("Sigmoid",))
    return _recurrent(call, 3, unit + gate)


def _lstm_unit(call: Call) -> Work:
    """c = f · c + i · candidate, h = o · function(c); peepholes where given."""
    first = _functions(call, ("Sigmoid",))
    peepholes = Work(adds=3, multiplies=3) if call.has(7) else Work()
    every = _functions(call, ("Sigmoid", "Tanh", "Tanh"))
    return Work(adds=1, multiplies=3) + every + first * 2 + peepholes


def _lstm(call: Call) -> Estimate:
    return _recurrent(call, 4, _lstm_unit(call))


def _dynamic(call: Call) -> Estimate:
    """Weights [directions, inputs, 4 · units]; inputs and states are quantised as they come."""
    steps, units = _cells(call, recurrence=2, hidden_axis=1)
    hidden = call.required("hidden_size")
    quantised = steps * (call.shape(0)[2] * call.shape(1)[0] + call.shape(1)[0] * hidden)
    sums = Work(adds=4 * (3 if call.has(3) else 1), multiplies=8)
    work = Work(macs=steps * (call.elements(1) + call.elements(2)))
    work = work + (sums + _lstm_unit(call)) * (steps * units)
    work = work + Work(adds=1, divisions=1, comparisons=5) * quantised
    return Estimate(work, bound=_LENGTHS if call.has(4) else "")


OPERATORS: Mapping[str, Formula] = {"RNN": _rnn, "GRU": _gru, "LSTM": _lstm}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {"DynamicQuantizeLSTM": _dynamic}
