"""Measures two versions of a runtime in turn, and searches between them for the first slow one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from onnxprof.compare.changes import Comparison, Pair
    from onnxprof.compare.pairing import Pairing
    from onnxprof.compare.versions.bisecting import Bisection, Step

    Judge = Callable[[Pairing], Comparison]

Say = Callable[[str], None]
Sides = tuple[Options, Options]

#: A version that is undecided is measured again for so many times as long.
_LONGER = 2


class Measure(Protocol):
    """Measures two sides in turn, and shows what it is at."""

    def __call__(self, sides: Sides, *, brief: bool, hear: Say) -> Pairing:
        """The runs of both; `brief` leaves out how long it takes, `hear` hears of planning."""


def sides_of(options: Options, runtimes: Sequence[str]) -> Sides:
    """The options of either side; a single version stands against the installed one."""
    from onnxprof.jobs.setting import with_backend

    first, *others = [with_backend(replace(options, runtime=text)) for text in runtimes]
    return first, others[0] if others else replace(first, runtime="")


def compared(
    options: Options,
    runtimes: Sequence[str],
    bisect: bool,
    measure: Measure,
    judge: Judge,
    say: Say,
    phases: Sequence[str] = (),
) -> tuple[Comparison, Bisection | None]:
    """Measure a model with both versions in turn and, with `bisect`, with those between.

    `phases` are those that `measure` measures. Raises UsageError, before anything is installed, for
    versions that have no order, and for more than one size to search at.
    """
    sides = sides_of(options, runtimes)
    if bisect:
        _refuse_no_range(sides)
        refuse_several(options, phases)
    search = _Search(sides, measure, judge, say)
    comparison = search.compared(sides)
    return search.bisected(comparison) if bisect else (comparison, None)


def _refuse_no_range(sides: Sides) -> None:
    """Raise UsageError for what has no order to search, or more than one answer."""
    from onnxprof.runtimes.wanted import parse, release

    good, slow = (parse(side.runtime) for side in sides)
    if good.package != slow.package:
        raise UsageError(
            f"{good.package} and {slow.package} are not versions of one package",
            remedy="Name two versions of one package to search between",
        )
    if release(good.version) == release(slow.version):
        raise UsageError(f"there is nothing between {good} and {slow}")


def refuse_several(options: Options, phases: Sequence[str]) -> None:
    """Raise UsageError for more than one size: a search for the first slow version takes one."""
    from onnxprof.model.dims import grammar
    from onnxprof.sequences.grammar import points

    swept = [f"{name}={size}" for name, size in options.dims if grammar.is_swept(size)]
    named = [str(phase) for phase in points(phases)]
    several = {
        "batch sizes": list(map(str, options.batches)) if len(options.batches) > 1 else [],
        "sizes of an axis": swept,
        "phases": named if len(named) > 1 else [],
    }
    for what, given in several.items():
        if given:
            raise UsageError(
                f"a search for the first slow version takes one batch size, one size of each axis"
                f" and one phase, and several {what} are given: {', '.join(given)}",
                remedy="Give the one at which it is slow",
            )


@dataclass(slots=True)
class _Search:
    """The two sides, what was said of versions already, and what measures and judges more."""

    sides: Sides
    measure: Measure
    judge: Judge
    say: Say
    said: set[str] = field(default_factory=set)

    def compared(self, sides: Sides, *, brief: bool = False) -> Comparison:
        """Measure two sides in turn, and compare them."""
        return self.judge(self.measure(sides, brief=brief, hear=self._say_once))

    def bisected(self, ends: Comparison) -> tuple[Comparison, Bisection | None]:
        """The ends, measured again where they were undecided, and the first slow version.

        None where nothing is slower at the end.
        """
        from onnxprof.compare.versions.bisecting import bisect, is_open, watched
        from onnxprof.runtimes.index import listing
        from onnxprof.runtimes.wanted import between, parse

        good, slow = (parse(side.runtime) for side in self.sides)
        if watched(ends.pairs[0]) is None and is_open(ends.pairs[0]):
            ends = self._for_longer(self.sides, slow.title)
        row = watched(ends.pairs[0])
        if row is None:
            self.say(_no_loss(good.version, slow.version, is_open(ends.pairs[0])))
            return ends, None
        found = listing(good.package)
        versions = between(good.version, slow.version, found.versions)
        left_out = list(found.left_out(versions))
        self.say(_range(row.name if row.layers else "the latency", versions))
        for text in left_out:
            self.say(f"not tried: {text}")
        measure = partial(self._against_good, good.package)
        return ends, bisect(good.package, versions, row, measure, self._tell, left_out)

    def _against_good(self, package: str, version: str, again: bool) -> Pair:
        """The good version and another one in turn; `again` measures for longer."""
        sides = self.sides[0], replace(self.sides[1], runtime=f"{package}=={version}")
        if again:
            return self._for_longer(sides, f"{package} {version}").pairs[0]
        return self.compared(sides, brief=True).pairs[0]

    def _for_longer(self, sides: Sides, title: str) -> Comparison:
        self.say(f"{title} is undecided: measuring again, for longer")
        return self.compared((_for_longer(sides[0]), _for_longer(sides[1])), brief=True)

    def _tell(self, step: Step) -> None:
        row = step.row
        ratio = "" if row is None or row.ratio is None else f" ({row.ratio:.3f})"
        reason = f": {step.reason}" if step.reason else ""
        self.say(f"{step.version} is {step.mark.value}{ratio}{reason}")

    def _say_once(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self.say(text)


def _no_loss(good: str, slow: str, undecided: bool) -> str:
    if not undecided:
        return f"nothing is slower with {slow} than with {good}: no bisection"
    return (
        f"whether {slow} is slower than {good} stays undecided, measured twice: a larger"
        " budget, more processes or an idle machine would tell; no bisection"
    )


def _for_longer(options: Options) -> Options:
    budget = replace(options.budget, seconds=_LONGER * options.budget.seconds)
    return replace(options, budget=budget, processes=_LONGER * options.processes)


def _range(what: str, versions: Sequence[str]) -> str:
    from onnxprof.compare.versions.search import most_steps

    count, steps = len(versions) - 2, most_steps(versions)
    if not count:
        return f"{what} is slower; no version lies between that could be tried"
    lie = "version lies" if count == 1 else "versions lie"
    return f"{what} is slower; {count} {lie} between, {steps} steps at most"
