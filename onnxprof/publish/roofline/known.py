"""What is known of the causes of a model's times, each cost and each roofline made once."""

from __future__ import annotations

from dataclasses import replace

from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.reasons.macs import macs_of
from onnxprof.publish.text.roofs import least_text
from onnxprof.reasons.advice.advise import Advice, advise
from onnxprof.reasons.bounds import Bounds, bounds
from onnxprof.reasons.roofline import Roofline, roofline
from onnxprof.reasons.stored import Shelf
from onnxprof.reasons.work import Costs, counted
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Run


class Reasons:
    """Costs, rooflines, bounds and advice of the runs of one model's page."""

    def __init__(self, page: ModelPage, shelf: Shelf) -> None:
        self._page = page
        self.shelf = shelf
        self.sections: dict[str, str] = {}
        """What was rendered of the page's entries, by the names of their files."""
        self._costs: list[tuple[LayerTable, Costs]] = []
        self._roofs: dict[int, tuple[Run, Roofline]] = {}

    def costs(self, table: LayerTable) -> Costs:
        """The costs of a table; runs of one model and size have equal tables."""
        for known, costs in self._costs:
            if known is table or known == table:
                return costs
        made = counted(table)
        self._costs.append((table, made))
        return made

    def roofs(self, run: Run) -> Roofline:
        """The roofline of a run of the page. Raises StoreError for a run without times."""
        if id(run) not in self._roofs:
            sums, costs = self._page.reconciled(run), self.costs(run.table)
            # the run is kept, so that no other one gets its identity
            self._roofs[id(run)] = run, roofline(run, self.shelf.of(run), sums, costs)
        return self._roofs[id(run)][1]

    def bounds(self, run: Run) -> Bounds | None:
        """The least possible latency; None without ceilings."""
        return bounds(self.roofs(run))

    def advice(self, run: Run) -> Advice:
        """What to change, seen beside the page's other runs."""
        others = [entry.run for entry in self._page.entries if entry.result]
        roofs = self.roofs(run)
        return advise(run, roofs.ceilings, others, roofs)

    def informed(self) -> ModelPage:
        """The page, with MACs at each entry's sizes and how far its latency is from possible."""
        return replace(self._page, entries=tuple(map(self._informed, self._page.entries)))

    def _informed(self, entry: Entry) -> Entry:
        table = entry.run.table
        macs = macs_of(self.costs(table).costs.values(), table) if table.nodes else None
        least = least_text(self.bounds(entry.run)) if entry.latency_ns is not None else ""
        return replace(entry, macs=macs, least=least)
