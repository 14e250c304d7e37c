"""What each executed node allocates, as onnxruntime counts it (since 1.32, in stock wheels, too).

A session of its own writes the statistics: with reuse and memory patterns switched off every node
allocates its own outputs, so that each figure is the node's. Such a session is slower and larger
than the one that is timed, and is made after all samples are taken.
"""

from __future__ import annotations

import csv
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime.providers import provider_of
from onnxprof.backends.ort.runtime.session import BoundSession, place_of
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.records.memory import CountedMemory
from onnxprof.records.step import Step

_ENTRY = "session.collect_node_memory_stats_to_file"
#: A row is called after its node and a digest of the node's definition.
_DIGEST = re.compile(r"_\d+$")
_COLUMNS = ("total_dynamic_sizes", "total_temp_allocations")


def counted_memory(workload: Workload, steps: Sequence[Step]) -> tuple[CountedMemory, ...]:
    """The allocations of steps in one inference. Raises BackendError where none are counted."""
    if provider_of(workload).kind != "cpu":
        raise BackendError(
            "onnxruntime counts allocations of nodes on the CPU alone",
            where=f"ort, provider {workload.provider}",
            remedy="Leave out --allocations",
        )
    with tempfile.TemporaryDirectory(prefix="onnxprof-") as folder:
        path = Path(folder).resolve() / "memory.csv"  # a relative path would be beside the model
        _run_once(workload, path)
        if not path.exists():
            raise BackendError(
                "this onnxruntime counts no allocations of nodes",
                where="ort",
                remedy="Install onnxruntime 1.32 or later, or leave out --allocations",
            )
        rows = read_statistics(path.read_text("utf-8", "replace"))
    return of_steps(rows, steps)


def _run_once(workload: Workload, path: Path) -> None:
    def counting(made: Any) -> None:
        made.enable_mem_pattern = False
        made.enable_mem_reuse = False
        made.add_session_config_entry(_ENTRY, str(path))

    session = BoundSession(
        ort_session.load(workload, counting), workload.inputs, place_of(workload)
    )
    session.infer()


def read_statistics(text: str) -> dict[str, tuple[int, int]]:
    """From a node's name to the bytes of its outputs and of its temporary memory.

    Names that several rows have are left out. Raises BackendError for a table of another form.
    """
    rows = csv.DictReader(text.removeprefix("#").splitlines())
    try:
        read = [
            (_DIGEST.sub("", row["name"]), (int(row[_COLUMNS[0]]), int(row[_COLUMNS[1]])))
            for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(
            f"the statistics of allocations have another form ({error})",
            where="ort",
            remedy="Leave out --allocations, and report the version of onnxruntime",
        ) from None
    return _unique(read)


def _unique(rows: Iterable[tuple[str, tuple[int, int]]]) -> dict[str, tuple[int, int]]:
    rows = list(rows)
    count = Counter(name for name, _ in rows)
    return {name: sizes for name, sizes in rows if count[name] == 1}


def of_steps(
    rows: Mapping[str, tuple[int, int]], steps: Sequence[Step]
) -> tuple[CountedMemory, ...]:
    """The rows of steps that do layers' work alone.

    Nodes that the runtime inserted have names that differ from session to session, and of a step
    with several nodes only one has its name: both are left out.
    """
    return tuple(
        CountedMemory(step.name, outputs, temporary)
        for step in steps
        if step.layers and step.nodes == 1 and step.runtime_name in rows
        for outputs, temporary in [rows[step.runtime_name]]
    )
