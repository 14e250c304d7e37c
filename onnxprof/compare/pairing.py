"""Which runs of one side are to be compared with which of the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from onnxprof.records.run import Run

_Group = list[Run]
_Key = Callable[[Run], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Runs that belong together, oldest first, and those that found no partner."""

    pairs: tuple[tuple[tuple[Run, ...], tuple[Run, ...]], ...]
    unmatched_a: tuple[Run, ...]
    unmatched_b: tuple[Run, ...]


def pair(a: Sequence[Run], b: Sequence[Run]) -> Pairing:
    """Match by everything that was asked for, then by ever less, where that is unambiguous.

    Runs that asked for the same are one side of one pair. What is left is matched without
    regard to threads and timer, then to backend and device; model, batch, axes, granularity
    and options of the runtime always count, except where there is one group a side in all:
    whoever names two runs means those two.
    """
    left, right = _groups(a, _KEYS[0]), _groups(b, _KEYS[0])
    if len(left) == len(right) == 1:
        return Pairing(((tuple(left[0]), tuple(right[0])),), (), ())
    found: list[tuple[tuple[Run, ...], tuple[Run, ...]]] = []
    for key in _KEYS:
        for ours, theirs in _matches(left, right, key):
            found.append((tuple(ours), tuple(theirs)))
            left.remove(ours)
            right.remove(theirs)
    return Pairing(tuple(found), _flat(left), _flat(right))


def _least(run: Run) -> tuple[object, ...]:
    asked = run.request
    work = asked.model_name, asked.batch, tuple(sorted(asked.dims)), asked.phase
    return *work, asked.granularity, asked.setup


def _where(run: Run) -> tuple[object, ...]:
    asked = run.request
    return *_least(run), asked.backend, asked.provider, asked.device_id


def _fully(run: Run) -> tuple[object, ...]:
    asked = run.request
    settings = asked.threads, asked.timer, asked.seed, asked.inputs_sha256, asked.runtime
    return *_where(run), *settings


_KEYS: tuple[_Key, ...] = (_fully, _where, _least)


def _groups(runs: Sequence[Run], key: _Key) -> list[_Group]:
    groups: dict[tuple[object, ...], _Group] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return list(groups.values())


def _matches(
    left: Sequence[_Group], right: Sequence[_Group], key: _Key
) -> list[tuple[_Group, _Group]]:
    """Groups that are alone on their side with what the key tells of them."""
    ours, theirs = _alone(left, key), _alone(right, key)
    return [(group, theirs[told]) for told, group in ours.items() if told in theirs]


def _alone(groups: Sequence[_Group], key: _Key) -> dict[tuple[object, ...], _Group]:
    told = [key(group[0]) for group in groups]
    return {t: group for t, group in zip(told, groups, strict=True) if told.count(t) == 1}


def _flat(groups: Sequence[_Group]) -> tuple[Run, ...]:
    return tuple(run for group in groups for run in group)
