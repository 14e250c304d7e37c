"""All rules, in the order of docs/advise.md. A rule is an entry of its family's `RULES`."""

from __future__ import annotations

from onnxprof.reasons.advice.base.rule import Rule
from onnxprof.reasons.advice.rules import (
    ceiling,
    channels,
    constants,
    conversions,
    fusion,
    overhead,
    quantised,
    runtimes,
    settings,
)

RULES: tuple[Rule, ...] = (
    *fusion.RULES,
    *conversions.RULES,
    *constants.RULES,
    *ceiling.RULES,
    *channels.RULES,
    *quantised.RULES,
    *overhead.RULES,
    *runtimes.RULES,
    *settings.RULES,
)
