"""What a reader of a run must know of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WarningKind(StrEnum):
    """What a reader of a run must know before trusting it."""

    UNSTEADY_WARMUP = "unsteady_warmup"
    FEW_SAMPLES = "few_samples"
    WIDE_INTERVAL = "wide_interval"
    TIMER_INFLATION = "timer_inflation"
    NEGATIVE_OVERHEAD = "negative_overhead"
    HIGH_OVERHEAD = "high_overhead"
    UNATTRIBUTED_TIME = "unattributed_time"
    UNVERIFIED_TIME = "unverified_time"
    FIXED_BATCH = "fixed_batch"
    BATCH_LOST = "batch_lost"
    ITEMS_MIX = "items_mix"
    QUANTISED_TOGETHER = "quantised_together"
    ILL_CONDITIONED = "ill_conditioned"
    BATCH_UNPROVEN = "batch_unproven"
    BUSY_MACHINE = "busy_machine"
    THROTTLED = "throttled"
    UNLOCKED_CLOCKS = "unlocked_clocks"
    FALLBACK_PROVIDER = "fallback_provider"
    TRUNCATED_PROFILE = "truncated_profile"
    NO_PREFIXES = "no_prefixes"
    FEWER_PREFIXES = "fewer_prefixes"
    PREFIXES_DISAGREE = "prefixes_disagree"
    DRIFT = "drift"
    PARITY_FAILED = "parity_failed"
    LAUNCH_TIMES = "launch_times"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class RunWarning:
    """One caveat of a run: what, and how much."""

    kind: WarningKind
    value: float = 0.0
    """The figure behind the caveat; its meaning is that of the kind."""
    subject: str = ""
    """The layer or output concerned, where there is one."""
    bound: float = 0.0
    """What the figure is held against, where a kind has no fixed bound."""
