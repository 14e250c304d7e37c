"""A model read in a process of its own: its layers at batch sizes, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from onnxprof.errors import ModelError, UsageError
from onnxprof.model.dims import grammar
from onnxprof.model.dims.choosing import for_models, names_of
from onnxprof.model.dims.grammar import Dims
from onnxprof.model.sources.policy import Resolved
from onnxprof.processes.confined import confined
from onnxprof.processes.limits import Limits
from onnxprof.records.layer import LayerKind, LayerTable
from onnxprof.records.sequences.phase import Phase, titled
from onnxprof.sequences.grammar import single

if TYPE_CHECKING:
    from onnxprof.cost.symbolic import SymbolicCost
    from onnxprof.model.file import ModelFile
    from onnxprof.model.sizing import Sizing
    from onnxprof.records.cost import LayerCost


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a model at batch sizes."""

    name: str
    tables: list[LayerTable]
    parameters: int
    fed: dict[str, str]
    costs: list[tuple[LayerCost, ...]]
    """One for each table, where they were asked for."""
    doubts: tuple[str, ...]
    """Reasons why shapes alone do not prove a batch, see `onnxprof.model.file.doubt`."""
    unsized: str = ""
    """The axes whose sizes costs need, with an option that gives them."""
    phase: str = ""
    """The phase whose sizes axes have; empty for none."""

    @property
    def title(self) -> str:
        """The name, with the phase where there is one: `gpt2 in decode:512`."""
        return titled(self.name, self.phase)

    def notes(self, asked: Sequence[int]) -> list[str]:
        """What a reader should know: batches that the model cannot have, declarations not used."""
        found = []
        for table in self.tables:
            if table.obstacle:
                others = ", ".join(str(batch) for batch in asked if batch != table.batch)
                stays = f"{self.name} stays at batch {table.batch} ({others} asked)"
                found.append(f"{stays}: {table.obstacle}")
        texts = dict.fromkeys(text for table in self.tables for text in table.notes)
        rest = "the sizes that the file declares are not used"
        found += [f"{self.name}: {text}; {rest}" for text in texts]
        more = (*self.doubts, self.unsized)
        return list(dict.fromkeys((*found, *(f"{self.name}: {text}" for text in more if text))))


def look(
    file: Resolved,
    batches: Sequence[int],
    dims: Dims,
    cost: bool,
    limits: Limits,
    where: str = "",
    *,
    phase: str = "",
) -> Seen:
    """Read the file in a process of its own; errors name it, or `where`.

    There is a table for each batch and combination of `dims`, all in `phase`, a text of one phase
    at one size. Raises UsageError or ModelError.
    """
    phase = single(phase)
    [mine] = for_models(dims, [names_of(file.reference, file.name)], [None])
    work = partial(seen, file, tuple(batches), mine, cost, phase)
    return confined(work, limits, "reading it", where or file.reference)


def seen(file: Resolved, batches: tuple[int, ...], dims: Dims, cost: bool, phase: str = "") -> Seen:
    """Open and inspect the file: the work that an untrusted file can make long."""
    from onnxprof.model.file import doubt, open_found
    from onnxprof.model.layers import inspect

    opened = open_found(file)
    every_dims = [grammar.resolved(each) for each in grammar.combinations(dims)]
    sizes = [_sized(opened, each, phase) for each in every_dims]
    every = [inspect(opened, batch, each.at(batch)) for each in sizes for batch in batches]
    tables = _distinct(every)
    doubts = dict.fromkeys(doubt(opened, table.batch, dict(table.dims)) for table in tables)
    open_points = tuple(text for text in doubts if text)
    fed = {} if cost else _fed(opened, tables[0])
    if fed and phase:
        fed |= _fed_in_phase(opened, tables[0], every_dims[0], phase)
    counted = _counted(tables) if cost else []
    unsized = _unsized(opened, sizes[0]) if cost else ""
    whole = opened.parameters
    return Seen(opened.name, tables, whole, fed, counted, open_points, unsized, phase)


def _sized(model: ModelFile, dims: Dims, phase: str) -> Sizing:
    """The sizes of all axes: those given, and those that the phase decides."""
    from onnxprof.model.sizing import sizing

    given = dict(dims)
    if phase:
        from onnxprof.sequences.planned import in_phase

        given |= in_phase(model, phase, given)[1]
    return sizing(model, given)


def _unsized(model: ModelFile, sizes: Sizing) -> str:
    """Which axes have no size, and what to add, as `profile` says it; empty where all have one."""
    from onnxprof.model.suggestion import refuse_missing

    try:
        refuse_missing(model, sizes)
    except UsageError as error:
        return f"{error.what}. {error.remedy}"
    return ""


def _counted(tables: Sequence[LayerTable]) -> list[tuple[LayerCost, ...]]:
    from onnxprof.cost.count import costs

    return [costs(table) for table in tables]


def _fed(model: ModelFile, table: LayerTable) -> dict[str, str]:
    """The values that each input would get, in words; the error for an invalid declaration."""
    from onnxprof.model.feeds import declared, feeds
    from onnxprof.model.file import declared_fills

    try:
        return {name: str(feed) for name, feed in feeds(table, declared_fills(model)).items()}
    except ModelError as error:
        return dict.fromkeys((tensor.name for tensor in declared(table)), f"nothing: {error}")


def _fed_in_phase(model: ModelFile, table: LayerTable, dims: Dims, phase: str) -> dict[str, str]:
    """What the phase says of inputs, in words."""
    from onnxprof.sequences.feeding import words
    from onnxprof.sequences.planned import in_phase

    given = [layer.outputs[0] for layer in table if layer.kind is LayerKind.INPUT]
    ranks = {tensor.name: len(tensor.shape or ()) for tensor in given}
    states, _ = in_phase(model, phase, dict(dims))
    return words(states, Phase.of(phase), ranks)


def _distinct(tables: Sequence[LayerTable]) -> list[LayerTable]:
    """The tables without repeats, which arise where batches fall back to the file's own."""
    return list({(table.batch, table.dims): table for table in tables}.values())


@dataclass(frozen=True, slots=True)
class Expressed:
    """Costs of a model in its free axes."""

    name: str
    cost: SymbolicCost
    note: str = ""
    """Why the batch is none of the axes; empty where it is one."""
    phase: str = ""
    """The phase whose sizes axes have; empty for none."""

    @property
    def title(self) -> str:
        """The name, with the phase where there is one."""
        return titled(self.name, self.phase)

    def points(self, batches: Sequence[int]) -> list[dict[str, int]]:
        """The sizes at which sums are shown: those given or the usual ones, at each batch."""
        usual = {axis.name: axis.base for axis in self.cost.axes}
        if "batch" not in usual:
            return [usual]
        return [{**usual, "batch": batch} for batch in batches]


def express(
    file: Resolved, dims: Dims, limits: Limits, where: str = "", *, phase: str = ""
) -> Expressed:
    """Read the file in a process of its own, as `look` does; each axis has one size."""
    phase = single(phase)
    [mine] = for_models(dims, [names_of(file.reference, file.name)], [None])
    work = partial(expressed, file, grammar.single(mine), phase)
    return confined(work, limits, "reading it", where or file.reference)


def expressed(file: Resolved, dims: Dims, phase: str = "") -> Expressed:
    """Open the file and count in its free axes."""
    from onnxprof.model.costs import symbolic_costs
    from onnxprof.model.file import open_found

    opened = open_found(file)
    found = symbolic_costs(opened, _sized(opened, dims, phase))
    note = f"its batch is fixed: {found.obstacle}" if found.obstacle else ""
    return Expressed(opened.name, found, note, phase)
