"""How long a measurement will take: by its options, then by what loading and an inference took.

The least that each phase does is counted, so that a model whose inference is long against the
budget is announced with what it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from onnxprof.jobs.options import Options

#: Inferences that sampling makes at least once the model is warm: three un-profiled, three traced
#: and one that brings the traced session's memory.
_SAMPLING = 7
#: More of them where prefixes are timed whatever the budget: three rounds of both ends, warm.
_PREFIXES = 9
#: The check by values runs the original and the executed graph on two inputs, keeps all values
#: and compares them, which takes longer. Its limit is looked at between parts.
_VERIFYING, _OVER = 12, 3
#: The reference runs once, without optimisations.
_PARITY = 2
#: Batches are proved on single items and on a whole one, laid out in two ways at most.
_PROOF = 4
#: Seconds to start a process.
_START_S = 1.5
#: Seconds to end a process.
_END_S = 0.5
#: Inferences of each model in the rounds that two models in turn get at least.
_TURNS = 6
#: What two models in turn wait for threads to fall asleep, on top of what they measure.
_WAITING = 0.5
#: Where a number of inferences was asked for, as many are traced.
_BOTH = 2
#: The steady stretch as a part of the budget, and its most seconds; the warm-up of streams.
_STRETCH, _LONGEST_STRETCH_S, _WARM_STREAMS = 0.2, 1.0, 0.1
#: Seconds that checks of steps and outputs take of a model as fast as most, and seconds until both
#: processes of a pair are warm: guesses that stand until the model is known.
_CHECKS_S, _READY_S = 1.5, 2.3


class Notice(str):
    """Progress that is worth a line of its own, even where no progress is shown."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of a measurement when its model is warm, in seconds."""

    load_s: float
    inference_s: float
    budget_s: float
    stretch_s: float = 0.0
    """The steady stretch; 0 for none."""
    prefixes: bool = False
    """Prefixes are timed whatever the budget."""
    verify: bool = True
    verify_limit_s: float = 0.0
    parity: bool = True
    proof_limit_s: float = 0.0
    """The proof of the batch; 0 for none."""
    processes: int = 1
    iterations: int = 0
    """The number of un-profiled inferences, if one was asked for."""
    streams_s: float = 0.0
    """Several inferences at a time; 0 for none."""

    @property
    def is_long(self) -> bool:
        """Whether the fewest samples take longer than the budget."""
        return self._least_s > self.budget_s

    @property
    def _least_s(self) -> float:
        if self.iterations:
            return _BOTH * self.iterations * self.inference_s
        return (_SAMPLING + _PREFIXES * self.prefixes) * self.inference_s

    @property
    def _sampling_s(self) -> float:
        return self._least_s if self.iterations else max(self.budget_s, self._least_s)

    @property
    def measuring_s(self) -> float:
        """Samples and the steady stretch in one process."""
        stretch = max(self.stretch_s, self.inference_s) if self.stretch_s else 0.0
        return self._sampling_s + self.load_s + stretch

    @property
    def checking_s(self) -> float:
        """Provenance, outputs and batch, after the samples of the first process."""
        parity = self.load_s + _PARITY * self.inference_s if self.parity else 0.0
        return self._verifying_s + parity + min(self.proof_limit_s, _PROOF * self.inference_s)

    @property
    def _verifying_s(self) -> float:
        once = 2 * self.load_s + _VERIFYING * self.inference_s
        most = self.verify_limit_s + _OVER * self.inference_s
        return min(most, once) if self.verify else 0.0

    @property
    def seconds(self) -> float:
        """All that is still to come, in all processes."""
        later = _START_S + 2 * self.load_s + 2 * self.inference_s + self._verifying_s
        later += self._sampling_s
        first = self.measuring_s + self.checking_s + self.streams_s
        return first + (self.processes - 1) * later

    def notice(self, what: str) -> Notice:
        """The announcement."""
        several = f" in each of {self.processes} processes" if self.processes > 1 else ""
        reason = f"so the fewest samples take more than the budget of {self.budget_s:g} s"
        if self.iterations:
            reason = (
                f"and {self.iterations:,} of them are sampled, as many traced ones between them"
            )
        return Notice(
            f"{what}: an inference takes {self.inference_s:.2g} s, {reason}:"
            f" some {self.seconds:.0f} s are to come"
            f" ({self.measuring_s:.0f} s of measuring, {self.checking_s:.0f} s of checks{several})"
        )


def ahead_s(options: Options) -> float | None:
    """Seconds that measuring a model at all batches takes at most, by what was asked for.

    Less where the median is known sooner; more for a model whose inference is long against the
    budget, of which `Outlook` tells. None where a number of inferences was asked for: nobody knows
    yet how long one takes.
    """
    if options.iterations:
        return None
    seconds, processes = options.process_budget.seconds, options.processes
    measuring = processes * (_START_S + seconds)
    if options.telemetry:
        measuring += min(_STRETCH * processes * seconds, _LONGEST_STRETCH_S)
    measuring += streams_s(options)
    checks = _CHECKS_S * (options.verify or options.parity)
    return len(options.batches) * (measuring + checks)


def streams_s(options: Options, inference_s: float = 0.0) -> float:
    """Seconds of several inferences at a time, which take as much longer as there are streams."""
    if not options.streams:
        return 0.0
    if options.iterations:
        return options.streams * options.load.most * inference_s
    return (1 + _WARM_STREAMS) * options.load.seconds


def in_turn_ahead_s(options: Options, sizes: int = 1) -> float:
    """Seconds that two models in turn take at so many sizes, if both load as fast as most."""
    budget_s, checks = 2 * options.process_budget.seconds, (options.verify, options.parity)
    return sizes * InTurn(_READY_S, budget_s, 0.0, options.processes, *checks).seconds()


@dataclass(frozen=True, slots=True)
class InTurn:
    """What is known of two models in turn when their first pair of processes is warm."""

    ready_s: float
    """Seconds until both were warm."""
    budget_s: float
    """That of a pair."""
    inferences_s: float
    """What an inference of either takes together."""
    pairs: int
    verify: bool = True
    """Each process checks by values which layers its steps computed."""
    parity: bool = True
    """Outputs of the first pair are compared with a reference's."""

    def seconds(self, scale: float = 1.0) -> float:
        """Seconds that all pairs take; an inference takes `scale` times what was seen."""
        both = self.inferences_s * scale
        starting = self.ready_s + both - self.inferences_s
        measuring = max(self.budget_s * (1 + _WAITING), _TURNS * both)
        loading = max(0.0, self.ready_s - _READY_S)
        checking = loading + _VERIFYING * both if self.verify else 0.0
        pairs = self.pairs * (starting + measuring + checking + 2 * _END_S)
        return pairs + _PARITY * both * self.parity
