"""Two models measured in turn, process by process: A B, B A, A B, …

A machine that gets slower in the meantime slows both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnxprof.merge import merge
from onnxprof.records import Run
from onnxprof.sweep import Planned, next_process
from onnxprof.worker import Limits


def alternate(
    a: Planned, b: Planned, limits: Limits, progress: Callable[[Planned, str, float], None]
) -> tuple[Run, Run]:
    """Measure both in as many fresh processes each as A's job asks for.

    Raises what a measurement raised.
    """
    found: tuple[list[Run], list[Run]] = ([], [])
    for side in _turns(a.job.processes):
        planned = (a, b)[side]
        found[side].append(next_process(planned, found[side], limits, progress))
    return merge(found[0]), merge(found[1])


def _turns(processes: int) -> Sequence[int]:
    return [side for n in range(processes) for side in ((0, 1) if n % 2 == 0 else (1, 0))]
