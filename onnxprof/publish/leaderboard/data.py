"""The file from which the first page's script shows every other choice."""

from __future__ import annotations

from typing import Any

from onnxprof.analysis.grades import Grade
from onnxprof.compare.settings import Facet, Settings
from onnxprof.compare.verdict import THRESHOLD
from onnxprof.publish.leaderboard.board import Board, Record, energy_mj, facet_text, usual_work
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.embed import Pool, embedded
from onnxprof.publish.text.safe import in_page

#: Below the site's folder.
NAME = "index.js"
#: Grades as numbers; 0 is none.
_GRADES: tuple[Grade | None, ...] = (None, *Grade)


def script(board: Board) -> str:
    """A call with all records: numbers by model, texts and settings once each."""
    pools = Pool(), Pool(), Pool()
    models = [
        (usual_work(records), [_record(model, record, *pools) for record in records])
        for model, records in zip(board.models, board.records, strict=True)
    ]
    cases, keys, texts = pools
    works = sorted({case.work for case in cases.places})
    data = {
        "threshold": THRESHOLD,
        "grades": [grade.value if grade else "" for grade in _GRADES],
        "works": [
            [_key(*work), in_page(facet_text(Settings(*work), Facet.WORK))] for work in works
        ],
        "cases": [
            [works.index(c.work), c.threads, int(c.written), in_page(facet_text(c, Facet.THREADS))]
            for c in cases.places
        ],
        "graphs": [facet_text(Settings(written=written), Facet.GRAPH) for written in (False, True)],
        "keys": list(keys.places),
        "texts": list(texts.places),
        "models": [[works.index(work), runs] for work, runs in models],
    }
    return f"onnxprof.board({embedded(data)});\n"


def _key(dims: tuple[tuple[str, int], ...], inputs: str, phase: str) -> str:
    """What the address calls sizes, inputs and phase."""
    return in_page(Settings(dims, inputs, phase).key)


def _record(model: ModelPage, record: Record, cases: Pool, keys: Pool, texts: Pool) -> list[Any]:
    """Column, batch, case, system, ns, grade, how known, reach, mJ an item, what is wrong."""
    entry, spent = record.entry, energy_mj(record.entry)
    found = [
        *(record.column, record.batch, cases.place(record.settings)),
        keys.place(model.systems[entry.system].key),
        *(entry.latency_ns, _GRADES.index(entry.grade), texts.place(in_page(entry.assured))),
        None if entry.reach is None else float(f"{entry.reach:.3g}"),
    ]
    energy = None if spent is None else float(f"{spent / record.batch:.6g}")
    wrong = in_page(entry.wrong)
    if wrong:
        return [*found, energy, texts.place(wrong)]
    return found if energy is None else [*found, energy]
