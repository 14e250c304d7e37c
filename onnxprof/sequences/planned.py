"""A phase of a model file: its states, and the sizes of all axes that the phase decides."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from onnxprof.errors import UsageError
from onnxprof.model.file import ModelFile, batch_axes
from onnxprof.model.layers import inspect
from onnxprof.model.shapes.rules.sizes import evaluate
from onnxprof.records.layer import LayerKind, LayerTable, Tensor
from onnxprof.records.sequences.phase import Phase, PhaseKind
from onnxprof.records.sequences.states import States
from onnxprof.sequences.limits import refuse_beyond
from onnxprof.sequences.read import states_at
from onnxprof.sequences.sizes import beam_axes, kinds_of, refuse_kind, sizes_of


def in_phase(
    model: ModelFile, text: str, given: Mapping[str, int | str]
) -> tuple[States, dict[str, int]]:
    """The model's states, and the sizes of the axes that the phase decides.

    Raises UsageError where the model does not have the phase, where a size that was given is not
    the one of the phase, and for a context that the model has no positions for.
    """
    phase, table = Phase.of(text), inspect(model, 1)
    states, inputs = states_at(model, table), _inputs(table)
    decided = sizes_of(phase, states, inputs)
    refuse_beyond(phase, table, states)
    symbols = batch_axes(model, {}).symbols
    decided = {axis: size for axis, size in decided.items() if axis not in symbols}
    for axis, size in decided.items():
        if axis in given and _settled(given, axis, decided) != size:
            raise UsageError(
                f"{axis}={given[axis]} contradicts --phase {text}, which makes it {size}",
                where=model.name,
                remedy="Leave it, from --dim or --inputs, or the phase away",
            )
    one_beam = {axis: 1 for axis in beam_axes(states, inputs) if axis not in given}
    return states, {**one_beam, **decided}


def _settled(
    given: Mapping[str, int | str], axis: str, decided: Mapping[str, int]
) -> Fraction | int | None:
    """The size that was given for an axis, where the phase's sizes tell it."""
    asked = given[axis]
    if isinstance(asked, int):
        return asked
    others = {name: size for name, size in given.items() if isinstance(size, int)}
    return evaluate(asked, {**others, **decided})


def lacking(model: ModelFile, text: str) -> UsageError | None:
    """Why a model does not have a phase of this kind; None where it has."""
    table = inspect(model, 1)
    try:
        refuse_kind(Phase.of(text).kind, states_at(model, table), _inputs(table))
    except UsageError as error:
        return error
    return None


def phases_of(model: ModelFile) -> frozenset[PhaseKind]:
    """The kinds of phases that a model has."""
    table = inspect(model, 1)
    return kinds_of(states_at(model, table), _inputs(table))


def _inputs(table: LayerTable) -> dict[str, Tensor]:
    return {layer.name: layer.outputs[0] for layer in table if layer.kind is LayerKind.INPUT}
