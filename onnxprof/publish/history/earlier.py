"""Earlier runs of a model's requests: each in a file of its own, read when it is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onnxprof.analysis.reconcile import reconcile
from onnxprof.compare.systems import CONDITIONAL, NO_FACT, facts
from onnxprof.publish.drawing.plot import topology
from onnxprof.publish.history import strip
from onnxprof.publish.history.requests import Attempt, History
from onnxprof.publish.pages import embed
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.text.safe import in_page
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import Run

#: Of a good run how far its latency is from the least possible, in words, and the figures that the
#: cells of its rows have, as the page has them of its own runs.
Causes = Callable[[Run], tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier run that a page can show."""

    number: int
    """The entry of the page that asked for the same."""
    attempt: Attempt
    run: Run
    """With the layer table of the entry where a failed run has none."""

    def name(self, page: ModelPage) -> str:
        """Its file's name without folder and ending."""
        return f"{page.entries[self.number].stem}.{self.attempt.stamp}"


def shown(page: ModelPage, histories: Sequence[History]) -> list[Earlier]:
    """The newest earlier runs of each request, oldest first, as many as its strip has."""
    found = []
    for number, (entry, history) in enumerate(zip(page.entries, histories, strict=True)):
        for attempt in history.attempts[-strip.MOST_RUNS :]:
            run = _showable(attempt.run, entry)
            if run is not None and attempt.run is not entry.run:
                found.append(Earlier(number, attempt, run))
    return found


def _showable(run: Run, entry: Entry) -> Run | None:
    """None where its layers are not those of the plot: another version read the file otherwise."""
    if len(run.table.nodes) == len(entry.run.table.nodes):
        return run
    return replace(run, table=entry.run.table) if run.timings is None else None


def page_data(page: ModelPage, histories: Sequence[History]) -> dict[str, Any]:
    """What the page embeds: which runs there are besides those in it, and their environments."""
    stamps = [_stamp(entry, past) for entry, past in zip(page.entries, histories, strict=True)]
    listed = [
        [each.number, each.attempt.stamp, each.name(page), _words(each.attempt)]
        for each in shown(page, histories)
    ]
    return {"stamps": stamps, "earlier": listed, "facts": _facts([e.run for e in page.entries])}


def _stamp(entry: Entry, history: History) -> str:
    return next(a.stamp for a in history.attempts if a.run is entry.run)


def _words(attempt: Attempt) -> str:
    """`2026-01-02 03:04:05, failed`, for a list to choose from."""
    moment = attempt.run.created.replace("T", " ").removesuffix("Z")
    named = in_page(moment) if attempt.is_dated else strip.when(attempt)
    return named if attempt.kind.value == "good" else f"{named}, {attempt.kind.value}"


def _facts(runs: Sequence[Run]) -> dict[str, Any]:
    """Facts by run, as places in one list of values; -1 where a run does not have one."""
    values = embed.Pool()
    known = [facts(run) for run in runs]
    keys = list(dict.fromkeys(key for each in known for key in each))
    return {
        "keys": list(map(in_page, keys)),
        "runs": [[_placed(values, each, key) for key in keys] for each in known],
        "values": list(values.places),
        "none": NO_FACT,
        "only": {key: list(others) for key, others in CONDITIONAL.items()},
    }


def _placed(values: embed.Pool, known: Mapping[str, str], key: str) -> int:
    return values.place(in_page(known[key])) if key in known else -1


def scripts(
    page: ModelPage, histories: Sequence[History], causes: Causes
) -> Iterator[tuple[str, str]]:
    """A file for each run: path below the model's folder, and text."""
    earlier = shown(page, histories)
    graphs = _graphs(page) if earlier else {}
    for each in earlier:
        data = embed.embedded(_data(page, each, graphs, causes))
        name = each.name(page)
        yield f"history/{name}.js", f'window.onnxprof.earlier("{name}",{data});\n'


def _graphs(page: ModelPage) -> dict[tuple[object, ...], int]:
    """The page's plots by the topology that they draw."""
    pool = embed.Pool()
    for entry in page.entries:
        pool.place(topology(entry.run.table))
    return pool.places


def _data(
    page: ModelPage, each: Earlier, graphs: Mapping[tuple[object, ...], int], causes: Causes
) -> dict[str, Any]:
    """As the page has it of its own runs, for this run alone."""
    entry = page.entries[each.number]
    result = reconcile(each.run) if each.run.timings is not None else None
    least, figures = causes(each.run) if result else ("", {})
    alone = replace(entry, run=each.run, result=result, older=(), least=least)
    data = embed.page_data(replace(page, entries=(alone,)))
    known = {in_page(key): in_page(value) for key, value in facts(each.run).items()}
    return {
        "run": data["runs"][0],
        "set": data["sets"][0],
        "shapes": [data["shapes"][i] for i in data["tables"][0]["shapes"]],
        "graph": _graph(each.run.table, entry.run.table, graphs),
        "names": data["names"],
        "facts": list(known.items()),
        **({"why": figures} if figures else {}),
    }


def _graph(own: LayerTable, of_entry: LayerTable, graphs: Mapping[tuple[object, ...], int]) -> int:
    return graphs.get(topology(own), graphs[topology(of_entry)])
