"""Sentences about a run's times and outputs, for terminals and pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from onnxprof.compare.settings import threads_text
from onnxprof.publish.text.grades import spread_text
from onnxprof.publish.text.numbers import duration, percent
from onnxprof.publish.text.safe import counted, printable
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Request, Run

if TYPE_CHECKING:
    from onnxprof.analysis.reconcile import Doubt, Reconciliation

#: Least ratio of traced to un-profiled latency that is printed as a cost of tracing.
_SHOWS = 1.005


def runtime(asked: Request) -> str:
    """`ort`, `ort (openvino)`: the backend, and the provider unless it is the device's kind."""
    plain = ("", asked.device_id.partition(":")[0])
    return asked.backend if asked.provider in plain else f"{asked.backend} ({asked.provider})"


def threads(count: int) -> str:
    """`1 thread`, `8 threads`; `threads not known` for 0, as in imported runs."""
    return threads_text(count)


def reconciliation_text(sums: Reconciliation, run: Run, least: str = "") -> str:
    """One sentence on how the steps, the overhead and the un-profiled median fit together.

    `least` is how the latency compares with the least possible one, in words.
    """
    from onnxprof.analysis.reconcile import CLOSING

    timed = any(r.median_ns is not None for r in sums.rows if r.status not in CLOSING)
    if run.request.is_published:
        parts = [f"{duration(sums.total_ns)} added up: a lower bound as published, no latency"]
        return "; ".join(filter(None, [*parts, _rows_text(run), _stray_text(sums)]))
    if not sums.is_whole:
        sentences = [_steps_text(sums, len(run.steps)), f"{run.timer} timer", _stray_text(sums)]
        parts = [part for part in sentences if part]
        return "; ".join(["no un-profiled latency, so the overhead is not known", *parts])
    parts = [
        f"{duration(sums.total_ns)} measured ({_known_text(sums, run)})",
        least,
        _steps_text(sums, len(run.steps)) if timed else "no step has a time of its own",
    ]
    if timed:
        parts += [_interruptions_text(sums), _overhead_text(sums)]
        parts += [_timer_text(sums, run), _stray_text(sums)]
    return "; ".join(part for part in parts if part)


def thinned_text(run: Run) -> str:
    """What of a run's samples is stored; empty where all are."""
    if run.thinned is None or run.timings is None:
        return ""
    there, kept = run.thinned, run.timings
    counts = (
        (kept.latency_ns.size, there.latency, "un-profiled"),
        (kept.traced_ns.size, there.traced, "traced"),
        (kept.warmup_ns.size, there.warmup, "warm-up"),
    )
    parts = [f"{left:,} of {whole:,} {kind}" for left, whole, kind in counts if left < whole]
    return f"{', '.join(parts)} inferences are stored: {there.rule}"


def _known_text(sums: Reconciliation, run: Run) -> str:
    """How well the median is known: `±0.6 %, 120 samples`."""
    text = spread_text(sums.total_ns, sums.interval_ns, sums.samples)
    return text if run.thinned is None else f"{text}, thinned from {run.thinned.latency}"


def _steps_text(sums: Reconciliation, steps: int) -> str:
    if steps == 1:
        return f"its one step takes {duration(sums.layer_sum_ns)}"
    return f"{steps} steps add up to {duration(sums.layer_sum_ns)}"


def _rows_text(run: Run) -> str:
    count = len({name for step in run.steps for name in step.layers})
    return f"{counted(count, 'layer', 'layers')} of {len(run.table.nodes):,} timed one by one"


def _interruptions_text(sums: Reconciliation) -> str:
    if not sums.interruptions_ns or not sums.total_ns:
        return ""
    return f"{percent(sums.interruptions_ns / sums.total_ns)} went to interruptions"


def _overhead_text(sums: Reconciliation) -> str:
    if not sums.total_ns:
        return ""
    part = sums.overhead_ns / sums.total_ns
    if part < 0:
        return f"{percent(-part)} more than the latency, since the profiler makes steps longer"
    if not sums.empty_ns:
        return f"{percent(part)} runtime overhead"
    took, empty = duration(sums.overhead_ns), duration(sums.empty_ns)
    if round(sums.overhead_ns / sums.empty_ns, 2) == 1:
        return f"{percent(part)} runtime overhead ({took}, as an empty call)"
    return f"{percent(part)} runtime overhead ({took}, an empty call takes {empty})"


def _timer_text(sums: Reconciliation, run: Run) -> str:
    timer = f"{run.timer} timer"
    if run.timer != "trace" or not sums.traced_ns:
        return timer
    if sums.inflation < _SHOWS:
        return f"{timer} (at no measurable cost)"
    return f"{timer} (with it an inference takes {sums.inflation:.2f} times as long)"


#: The meaning of `?` behind a time.
DOUBTFUL = "Too few samples, too scattered ones, or too short a time, for a rank"


def doubt_text(doubt: Doubt) -> str:
    """Why a row's rank is in doubt: `4 samples, p95 5.0 times p5`."""
    count = f"{doubt.samples} sample{'' if doubt.samples == 1 else 's'}"
    if doubt.samples < 2:
        return count
    if not doubt.spread:
        return f"{count}, too short to be told from 0"
    if doubt.spread == float("inf"):
        return f"{count}, some of them 0"
    return f"{count}, p95 {doubt.spread:.3g} times p5"


def types_text(kinds: Iterable[str], wide: str) -> str:
    """Types of a step's layers, and the wider type of half precision: `Conv+Relu f32`."""
    named = "+".join(filter(None, kinds))
    return f"{named} {wide.replace('float', 'f')}" if wide else named


def computed_text(dtype: str) -> str:
    """What a row says of half precision that is computed in a wider type."""
    return f"computed in {dtype}" if dtype else ""


def _stray_text(sums: Reconciliation) -> str:
    if not sums.unattributed_ns or not sums.total_ns:
        return ""
    return f"{percent(sums.unattributed_ns / sums.total_ns)} belongs to no layer"


def parity_text(parity: Parity | None) -> str:
    """The outcome of comparing outputs, in a line; empty where it was not requested."""
    if parity is None:
        return ""
    if parity.reason:
        return f"not compared: {printable(parity.reason)}"
    texts = [printable(_output_text(output)) for output in parity.outputs]
    more = [f"{len(texts) - 3} more"] if len(texts) > 4 else []
    return "; ".join((texts[:3] if more else texts) + more)


def wrong_text(run: Run) -> str:
    """How a run's outputs differ from the reference's; empty unless parity failed."""
    parity = run.parity
    return parity_text(parity) if parity and parity.passed is False else ""


def _output_text(output: OutputParity) -> str:
    if output.passed is None:
        return f"{output.name} not compared: {output.note}"
    verdict = "as the reference" if output.passed else "not as the reference"
    note = output.note or (_whole_text(output) if output.whole else _worst_text(output))
    strays = f", {output.nan_mismatch} NaN or infinite" if output.nan_mismatch else ""
    return f"{output.name} {verdict} ({note}{strays})"


def _worst_text(output: OutputParity) -> str:
    return f"error {output.max_abs:.2g}, relative {output.max_rel:.2g}"


def _whole_text(output: OutputParity) -> str:
    """For a network of low precision: the error of the whole output, and its tolerance."""
    error, allowed = percent(output.rms_rel or 0.0), percent(output.tolerance)
    if output.cosine is None:
        return f"{error} of its elements differ, where rounding explains {allowed}"
    worst = percent(output.max_rel)
    if output.max_rel > output.worst_tolerance:
        worst += f", where rounding explains {percent(output.worst_tolerance)}"
    return (
        f"root mean square of its errors {error} of the output's own, where rounding explains"
        f" {allowed}; cosine {output.cosine:.4f}; worst element {worst}"
    )
