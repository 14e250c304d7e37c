"""Two models measured in alternation: pairs of fresh processes that take turns block by block.

Both processes of a pair are loaded and warm, and one of them runs at a time: A, B, B, A and so
on, some 5 to 20 ms each. What the machine does in the meantime hits both alike; a fresh pair
shows what differs from process to process, such as where buffers came to lie.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from onnxprof.analysis.processes import merge
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.outlook import InTurn, Notice, in_turn_ahead_s
from onnxprof.jobs.turns import Kind, Served, served
from onnxprof.measure.budget import Budget
from onnxprof.processes.confined import Limits
from onnxprof.processes.cores import usable
from onnxprof.records.run import Run
from onnxprof.records.step import Timer

#: How long a block is, in nanoseconds, and how many of each kind a process's budget is made of.
SHORTEST, LONGEST = 5_000_000, 20_000_000
_BLOCKS = 100
#: What turns take by the clock at most, waiting for threads to sleep too, in budgets.
_MOST_TURNS = 2.0
#: Rounds, each a block of either kind on both sides, that even the slowest model gets.
_FEWEST = 3

#: Hears how long it will take.
Announce = Callable[[InTurn], None]
Report = Callable[[Job, str, float], None]
Open = Callable[
    [Job, Limits, Callable[[str, float], None], frozenset[int]], AbstractContextManager[Served]
]


def alternate(
    a: Job,
    b: Job,
    limits: Limits,
    progress: Report,
    start: Open = served,
    announce: Announce = lambda _: None,
) -> tuple[Run, Run]:
    """Measure both in as many pairs of fresh processes as A's job asks for.

    Blocks of both runs that have one number were measured one right after the other. The timer
    is the trace: what it adds to a step, it adds on both sides. `start` opens a process;
    `announce` hears once, when the first pair is warm, how long it all will take.
    Raises what a measurement raised; limits are those of each process.
    """
    found: list[tuple[Run, Run]] = []
    pairs = a.options.processes
    while len(found) < pairs:
        told = partial(_tell, progress, len(found), pairs)
        first = announce if not found else lambda _: None
        found.append(_pair(a, b, len(found), limits, told, start, first))
    return merge([ours for ours, _ in found]), merge([theirs for _, theirs in found])


def ahead_text(options: Options, sizes: int = 1) -> str:
    """What can be said of the time at so many sizes before the models are loaded."""
    seconds = in_turn_ahead_s(options, sizes)
    each = f" at each of {sizes} sizes" if sizes > 1 else ""
    return (
        f"measures for some {seconds:.0f} s, in {options.processes} pair"
        f"{'s' * (options.processes > 1)} of processes{each};"
        " longer for large models, of which a line says more once they are loaded"
    )


def _tell(progress: Report, pair: int, pairs: int, job: Job, phase: str, share: float) -> None:
    where = f" (pair {pair + 1} of {pairs})" if pairs > 1 else ""
    progress(job, phase + where, (pair + share) / pairs)


def _pair(
    a: Job,
    b: Job,
    number: int,
    limits: Limits,
    progress: Report,
    start: Open,
    announce: Announce,
) -> tuple[Run, Run]:
    """Every other pair begins with B."""
    began = time.monotonic()
    budget = Budget(a.budget.seconds + b.budget.seconds)
    sides = (a, b) if number % 2 == 0 else (b, a)
    with ExitStack() as opened:
        both: list[Served] = []
        for side in sides:
            job = side.asking(timer=Timer.TRACE, telemetry=False)
            if number:
                job = job.asking(parity=False)
            told = partial(_loading, progress, side)
            both.append(opened.enter_context(start(job, limits, told, cores(job, number))))
            both[-1].ready()
        inferences_s = sum(process.usual_ns for process in both) / 1e9
        ready_s = time.monotonic() - began
        asked = a.options
        checks = asked.verify, asked.parity
        announce(InTurn(ready_s, budget.seconds, inferences_s, asked.processes, *checks))
        _take_turns(both, budget.ns, partial(progress, a, "measuring"))
        runs = [process.finish() for process in both]
    return (runs[0], runs[1]) if number % 2 == 0 else (runs[1], runs[0])


def cores(job: Job, pair: int) -> frozenset[int]:
    """The core that both processes of a pair run on, where they need just one.

    Else one may have a quieter core than the other. Every other pair has the next core. Empty
    for all cores: those that compute with several threads share them anyway.
    """
    there = sorted(usable())  # not those left to this process while the other one is measured
    if job.options.threads != 1 or job.device.kind != "cpu" or not there:
        return frozenset()
    return frozenset({there[pair // 2 % len(there)]})


def _loading(progress: Report, job: Job, phase: str, share: float) -> None:
    """What a process says; how far the pair is, it does not know."""
    if not isinstance(phase, Notice):
        progress(job, phase, 1.0 if share >= 1 else 0.0)


def _take_turns(both: Sequence[Served], budget_ns: int, told: Callable[[float], None]) -> None:
    """Rounds of an un-profiled and a traced block on each side, until the budget is used up.

    Or twice the budget by the clock, where threads that spin are waited for.
    """
    latest = time.monotonic() + _MOST_TURNS * budget_ns / 1e9
    block_ns = min(max(budget_ns // (4 * _BLOCKS), SHORTEST), LONGEST)
    used = rounds = 0
    while (used < budget_ns and time.monotonic() < latest) or rounds < _FEWEST:
        there, back = both[:: 1 - 2 * (rounds % 2)], both[:: 2 * (rounds % 2) - 1]
        used += sum(process.block(Kind.PLAIN, block_ns) for process in there)
        used += sum(process.block(Kind.TRACED, block_ns) for process in back)
        rounds += 1
        told(min(1.0, used / max(1, budget_ns)))
