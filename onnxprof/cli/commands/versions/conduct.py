"""Two versions of a runtime for `onnxprof compare`, and the first slow one between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from onnxprof.cli.commands.versions.in_turn import measured
from onnxprof.cli.output import say
from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from onnxprof.compare.changes import Comparison, Pair
    from onnxprof.compare.pairing import Pairing
    from onnxprof.compare.versions.bisecting import Bisection, Step

    Judge = Callable[[Pairing], Comparison]

Sides = tuple[Options, Options]

#: A version that is undecided is measured again for so many times as long.
_LONGER = 2


def refuse_unclear(
    a_is_model: bool, b: str, runtimes: Sequence[str], bisect: bool, layer_errors: bool
) -> None:
    """Raise UsageError for options that do not go with versions of a runtime."""
    if bisect and len(runtimes) != 2:
        raise UsageError(
            "--bisect looks between two versions of a runtime",
            remedy="Name both: --runtime onnxruntime==1.22.1 --runtime onnxruntime==1.32.0",
        )
    if not runtimes:
        return
    if b or not a_is_model:
        raise UsageError(
            "--runtime compares versions on one model",
            remedy="Name one model, and one or two versions with --runtime",
        )
    if len(runtimes) > 2:
        raise UsageError(
            f"{len(runtimes)} versions are named, and two are compared",
            remedy="Name the two ends and add --bisect to find where it got slower",
        )
    if layer_errors:
        raise UsageError("--layer-errors needs two models, and one is named")


def sides_of(options: Options, runtimes: Sequence[str]) -> Sides:
    """The options of either side; a single version stands against the installed one."""
    from onnxprof.jobs.setting import with_backend

    first, *others = [with_backend(replace(options, runtime=text)) for text in runtimes]
    return first, others[0] if others else replace(first, runtime="")


def compared(
    options: Options, runtimes: Sequence[str], bisect: bool, store: Path | None, judge: Judge
) -> tuple[Comparison, Bisection | None]:
    """Measure a model with both versions in turn and, with `bisect`, with those between."""
    sides = sides_of(options, runtimes)
    if bisect:
        _refuse_no_range(sides)
    search = _Search(sides, store, judge)
    comparison = search.compared(sides)
    return search.bisected(comparison) if bisect else (comparison, None)


def _refuse_no_range(sides: Sides) -> None:
    """Raise UsageError for what has no order to search, or more than one answer."""
    from onnxprof.runtimes.wanted import parse, release

    good, slow = (parse(side.runtime) for side in sides)
    if good.package != slow.package:
        raise UsageError(
            f"{good.package} and {slow.package} are not versions of one package",
            remedy="Name two versions of one to --bisect between",
        )
    if release(good.version) == release(slow.version):
        raise UsageError(f"there is nothing between {good} and {slow}")
    if len(sides[0].batches) > 1:
        raise UsageError("--bisect takes one batch size", remedy="Write --batch 1")


@dataclass(slots=True)
class _Search:
    """The two sides, what was said of versions already, and what measures and judges more."""

    sides: Sides
    store: Path | None
    judge: Judge
    said: set[str] = field(default_factory=set)

    def compared(self, sides: Sides, *, brief: bool = False) -> Comparison:
        """Measure two sides in turn, and compare them."""
        pairing, _ = measured(sides, self.store, brief=brief, hear=self._say_once)
        return self.judge(pairing)

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
            _tell_no_loss(good.version, slow.version, is_open(ends.pairs[0]))
            return ends, None
        found = listing(good.package)
        versions = between(good.version, slow.version, found.versions)
        left_out = list(found.left_out(versions))
        _tell_range(row.name if row.layers else "the latency", versions, left_out)
        measure = partial(self._against_good, good.package)
        return ends, bisect(good.package, versions, row, measure, _tell_step, left_out)

    def _against_good(self, package: str, version: str, again: bool) -> Pair:
        """The good version and another one in turn; `again` measures for longer."""
        sides = self.sides[0], replace(self.sides[1], runtime=f"{package}=={version}")
        if again:
            return self._for_longer(sides, f"{package} {version}").pairs[0]
        return self.compared(sides, brief=True).pairs[0]

    def _for_longer(self, sides: Sides, title: str) -> Comparison:
        say(f"{title} is undecided: measuring again, for longer")
        return self.compared((_for_longer(sides[0]), _for_longer(sides[1])), brief=True)

    def _say_once(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            say(text)


def _tell_no_loss(good: str, slow: str, undecided: bool) -> None:
    if undecided:
        say(
            f"whether {slow} is slower than {good} stays undecided, measured twice: a larger"
            " --budget, more --processes or an idle machine would tell; no bisection"
        )
    else:
        say(f"nothing is slower with {slow} than with {good}: no bisection")


def _for_longer(options: Options) -> Options:
    budget = replace(options.budget, seconds=_LONGER * options.budget.seconds)
    return replace(options, budget=budget, processes=_LONGER * options.processes)


def _tell_range(what: str, versions: Sequence[str], left_out: Sequence[str]) -> None:
    from onnxprof.compare.versions.search import most_steps

    count, steps = len(versions) - 2, most_steps(versions)
    if count:
        lie = "version lies" if count == 1 else "versions lie"
        say(f"{what} is slower; {count} {lie} between, {steps} steps at most")
    else:
        say(f"{what} is slower; no version lies between that could be tried")
    for text in left_out:
        say(f"not tried: {text}")


def _tell_step(step: Step) -> None:
    ratio = ""
    if step.row is not None and step.row.ratio is not None:
        ratio = f" ({step.row.ratio:.3f})"
    reason = f": {step.reason}" if step.reason else ""
    say(f"{step.version} is {step.mark.value}{ratio}{reason}")
