"""`onnxprof.compare`: did anything get slower, and which layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from onnxprof import folders
from onnxprof.api.base.door import public
from onnxprof.api.base.models import Model, referred
from onnxprof.api.base.progress import Line
from onnxprof.api.base.telling import warn
from onnxprof.api.in_turn import (
    measured,
    of_models,
    planned,
    refuse_not_quantised,
    with_errors,
)
from onnxprof.api.options import Measuring, fields_of, limits, sizes
from onnxprof.compare.changes import Comparison as Compared
from onnxprof.compare.changes import Pair
from onnxprof.compare.changes import compare as judge
from onnxprof.compare.pairing import Pairing, pair
from onnxprof.errors import UsageError
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.outlook import Notice
from onnxprof.measure.budget import Budget
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.store.folder import Filters, Store, load_good
from onnxprof.store.select import Need, select

if TYPE_CHECKING:
    from typing import TypeAlias

    from onnxprof.api.results.comparison import Comparison

    Side: TypeAlias = Run | Iterable[Run] | Model
else:
    Side = Any

Say = Callable[[str], None]
#: How two models are measured where nothing is said: pairs of processes, and seconds.
PAIRS, SECONDS = 10, 10.0


@public
def compare(
    a: Side,
    b: Side,
    *,
    threshold: float = 0.02,
    force: bool = False,
    limit: int | None = 12,
    batches: int | Iterable[int] | None = None,
    backend: str = "",
    phases: str | Iterable[str] = (),
    layer_errors: bool = False,
    store: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[Measuring],
) -> Comparison:
    """Say what is slower, faster or the same in B, per model and per layer.

    A and B are runs (one, or `Runs`); or models, which are measured in turn on the spot, as
    `batches`, `backend` and `options` say: ten pairs of processes and ten seconds, unless
    `processes` and `budget` say otherwise; or texts and paths that name stored runs. Each of
    several `batches`, sizes of an axis in `dims`, and `phases` of models with states (as in
    `profile`) has verdicts of its own. A `threshold` of 0.02 leaves changes below 2 % alone.
    `force` allows different batches, axes or inputs, and `layer_errors` adds what each layer of a
    quantised model gets wrong. `store` is where ids are looked up and runs of models are kept.
    Raises UsageError for sides that do not go together.

    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> found = op.compare(sample_run(), sample_run(scale=1.5))
    >>> found.regressed, found.pairs[0].latency.verdict.value
    (True, 'slower')
    """
    from onnxprof.api.results.comparison import Comparison

    if _are_models(a, b):
        given = fields_of(options) | {"backend": backend or "ort"}
        asked = in_turn_options(given | {"batches": sizes(1 if batches is None else batches)})
        sides, rules = (a, b), _Rules(threshold, force, layer_errors, texts_of(phases))
        return Comparison(_of_models(sides, asked, rules, store, progress), limit)
    others = {"batches": batches is not None, "backend": bool(backend), "phases": bool(phases)}
    _refuse_options(options, others | {"layer_errors": layer_errors})
    place = None if store is None else Path(store)
    return Comparison(_of_runs((a, b), place, threshold, force), limit)


def texts_of(phases: str | Iterable[str]) -> tuple[str, ...]:
    """One text or several, as `--phase` has them."""
    return (phases,) if isinstance(phases, str) else tuple(phases)


@dataclass(frozen=True, slots=True)
class _Rules:
    """How two models are compared, whatever is measured."""

    threshold: float
    force: bool
    layer_errors: bool
    phases: tuple[str, ...]


def _are_models(a: Side, b: Side) -> bool:
    models = [_is_model(a), _is_model(b)]
    if any(models) and not all(models):
        raise UsageError(
            "one is a model, the other runs", remedy="Measure the model with op.profile first"
        )
    return all(models)


def _is_model(side: object) -> bool:
    if isinstance(side, str | PathLike):
        return is_model(fspath(side))
    return hasattr(side, "SerializeToString")


def is_model(text: str) -> bool:
    """Whether a text names a model rather than runs."""
    return text.startswith(("zoo:", "hub:", "hf:")) or text.lower().endswith(".onnx")


def _refuse_options(options: Mapping[str, object], others: Mapping[str, bool]) -> None:
    """Raise UsageError for options of a measurement where there are only runs."""
    given = [*options, *(name for name, is_given in others.items() if is_given)]
    if given:
        raise UsageError(
            f"{given[0]} is for models, and these are runs", remedy="Give two models instead"
        )


def _of_runs(
    sides: tuple[Side, Side], store: Path | None, threshold: float, force: bool
) -> Compared:
    runs: list[Sequence[Run]] = []
    files: list[Path] = []
    for side in sides:
        if isinstance(side, str | PathLike):
            named = stored(fspath(side), store, Filters(), warn)
            files += [path.resolve() for path, _ in named]
            runs.append([run for _, run in named])
        else:
            runs.append([side] if isinstance(side, Run) else list(side))
    if len(set(files)) < len(files):
        raise in_common("")
    return compared(paired(runs[0], runs[1]), threshold, force, in_turn=False)


def in_common(where: str) -> UsageError:
    """The error for sides with a run in common."""
    return UsageError(
        "A and B have a run in common",
        where=where,
        remedy="Runs of one request share an id: name their .parquet files instead",
    )


def stored(text: str, store: Path | None, filters: Filters, say: Say) -> list[tuple[Path, Run]]:
    """The runs with latencies that a text means, and their files; `say` hears what is left out."""
    meant = select(text, [folders.store(store)], filters, Need.LATENCIES, say=say)
    return load_good([summary.path for summary in meant], say)


def paired(a: Sequence[Run], b: Sequence[Run], where: str = "") -> Pairing:
    """Which runs of A belong to which of B. Raises UsageError where none do."""
    pairing = pair(a, b)
    if not pairing.pairs:
        raise UsageError(
            "no model was measured at the same batch, sizes and phase on both sides",
            where=where,
            remedy="Name two runs instead of folders to compare them all the same",
        )
    return pairing


def compared(pairing: Pairing, threshold: float, force: bool, *, in_turn: bool) -> Compared:
    """The verdicts. Raises UsageError for pairs that differ in what was asked, unless forced.

    What was measured in another phase, or at another size of it, is never compared.
    """
    found = judge(pairing.pairs, threshold, in_turn=in_turn)
    for each in found.pairs:
        _refuse_incomparable(each, force)
    return replace(found, unmatched_a=pairing.unmatched_a, unmatched_b=pairing.unmatched_b)


def _refuse_incomparable(each: Pair, force: bool) -> None:
    for fact in each.differences:
        if fact.what in ("batch", "axes", "inputs") and not force:
            raise UsageError(
                fact.sentence(),
                where=each.a[0].request.model_name,
                remedy="--force compares them all the same",
            )
        if fact.what == "phase":
            raise UsageError(
                fact.sentence(),
                where=each.a[0].request.model_name,
                remedy="Name runs of one phase at one size; onnxprof phases puts phases side by"
                " side",
            )


def in_turn_options(given: dict[str, Any]) -> Options:
    """How both sides are measured: by the trace, which adds as much to one as to the other.

    Raises UsageError for another timer.
    """
    if given.get("timer", Timer.TRACE) not in (Timer.AUTO, Timer.TRACE):
        raise UsageError("two sides are measured in turn by the trace timer alone")
    usual = {"telemetry": False, "processes": PAIRS, "budget": Budget(SECONDS)}
    return Options((), limits=limits(900.0, 0.0), **{**usual, **given, "timer": Timer.TRACE})


def _of_models(
    sides: tuple[Side, Side],
    options: Options,
    rules: _Rules,
    store: str | PathLike[str] | None,
    progress: bool,
) -> Compared:
    place = None if store is None else Store(folders.store(Path(store)))
    if place is not None:
        place.check_writable()
    with ExitStack() as opened:
        line = Line(progress)
        opened.callback(line.clear)
        a, b = (opened.enter_context(referred(cast("Model", side)))[0] for side in sides)
        asked = of_models(a, b, options)
        found = planned(asked, line.note, phases=rules.phases, force=rules.force)
        if rules.layer_errors:
            refuse_not_quantised(found.pairs)
        pairing = measured(found, place, LineMeter(line), line.note)
        comparison = compared(pairing, rules.threshold, rules.force, in_turn=True)
        return with_errors(comparison, found.pairs, line.note) if rules.layer_errors else comparison


@dataclass(frozen=True, slots=True)
class LineMeter:
    """A meter on a line."""

    line: Line

    def update(self, job: Job, phase: str, share: float) -> None:
        """Show what a job is at."""
        if isinstance(phase, Notice):
            self.line.note(phase)
        else:
            self.line.show(f"{job.facts.name}, {job.sizes}: {phase}, {100 * share:.0f} %")

    def done(self) -> None:
        """A job is done."""
        self.line.clear()
