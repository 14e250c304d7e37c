"""Memory for activations as onnxruntime plans it on the CPU, from buffers and their lifetimes.

The planner gives a new activation the buffer of one that has ended, the last freed first, if
shape and element size are equal; that buffer stays allocated in between. The first inference
takes buffers one by one from the arena; later ones take one block for all of them, which the
arena has to find beside the regions of the first. Outputs of the model stay outside of it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from onnxprof.analysis.memory.arena import Arena, packed_bytes
from onnxprof.analysis.memory.liveness import Held


def resident_bytes(buffers: Sequence[Held]) -> tuple[int, int]:
    """What the arena touches in the first inference, and with the block of later ones."""
    planned = reused([buffer for buffer in buffers if not buffer.is_input and buffer.size])
    arena = Arena()
    _first_inference(arena, planned)
    first = arena.resident_bytes
    arena.take(pattern_bytes(planned))
    return first, arena.resident_bytes


def pattern_bytes(planned: Sequence[Held]) -> int:
    """The block that holds all activations but the outputs."""
    return packed_bytes([(b.size or 0, b.first, b.last) for b in planned if not b.is_output])


def reused(buffers: Sequence[Held]) -> list[Held]:
    """The buffers that remain where later activations take those that have ended."""
    made: list[Held] = []
    alive: list[tuple[int, int, Held]] = []
    free: dict[Hashable, list[Held]] = defaultdict(list)
    count = itertools.count()
    for buffer in sorted(buffers, key=lambda held: held.first):
        while alive and alive[0][0] < buffer.first:
            ended = heappop(alive)[2]
            free[ended.alike].append(ended)
        given = None if buffer.is_output or buffer.alike is None else free[buffer.alike]
        if given:
            taken = given.pop()
            taken.last = buffer.last
        else:
            made.append(taken := replace(buffer))
        if not buffer.is_output:
            heappush(alive, (taken.last, next(count), taken))
    return made


def _first_inference(arena: Arena, planned: Sequence[Held]) -> None:
    starting: dict[int, list[Held]] = defaultdict(list)
    ending: dict[int, list[int]] = defaultdict(list)
    for index, buffer in enumerate(planned):
        starting[buffer.first].append(buffer)
        if not buffer.is_output:
            ending[buffer.last].append(index)
    number = {id(buffer): index for index, buffer in enumerate(planned)}
    taken = {}
    for step in sorted({*starting, *ending}):
        for buffer in starting[step]:
            taken[number[id(buffer)]] = arena.take(buffer.size or 0)
        for index in ending[step]:
            arena.give(taken.pop(index))
