"""Ties made by values where the claims of steps were refuted, or where steps claim nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from onnxprof.provenance.slice import Anchor, assign
from onnxprof.provenance.verify.anchors import value_anchors
from onnxprof.provenance.verify.outcomes import BY_VALUE
from onnxprof.provenance.verify.verdicts import Claim, Evidence, Outcome, Verdict, check
from onnxprof.records.step import Confidence


def repaired(
    evidence: Evidence,
    claims: Sequence[Claim],
    verdicts: Sequence[Verdict],
    deadline: float = float("inf"),
) -> dict[int, tuple[str, ...]]:
    """From steps to the layers whose work they did, where `claims` say otherwise.

    `claims` holds every step, those without layers as well. Only ties that pass the check are
    returned, and no layer of a verified step is given to another.
    """
    sure = {verdict.step for verdict in verdicts if verdict.outcome is Outcome.VERIFIED}
    held = {name for claim in claims if claim.step in sure for name in claim.layers}
    by_value = _by_value(evidence, deadline)
    proposed = [
        replace(claim, layers=layers)
        for claim in claims
        if claim.step not in sure and (layers := _covered(claim, by_value, evidence, held))
    ]
    outcomes = check(evidence, proposed, deadline)
    return {
        claim.step: claim.layers
        for claim, verdict in zip(proposed, outcomes, strict=True)
        if verdict.outcome is Outcome.VERIFIED
    }


def _by_value(evidence: Evidence, deadline: float) -> Mapping[int, tuple[str, ...]]:
    """From executed nodes to the layers that yield the same values."""
    anchored = value_anchors(evidence, deadline=deadline)
    anchors = [Anchor(i, tensors, Confidence.EXACT, BY_VALUE) for i, tensors in anchored.items()]
    return assign(evidence.original, anchors).layers


def _covered(
    claim: Claim,
    by_value: Mapping[int, tuple[str, ...]],
    evidence: Evidence,
    held: Collection[str],
) -> tuple[str, ...]:
    """The layers of a step's nodes, in the original's order, less the layers in `held`.

    Roundings may lie on either side of the boundary, since a tensor and its quantised form have
    the same value.
    """
    names = {name for place in claim.nodes for name in by_value.get(place, ())}.difference(held)
    return tuple(node.name for node in evidence.original.nodes if node.name in names)
