"""Systems side by side, batch by batch."""

from __future__ import annotations

import pytest
from support.compare.aligned import CONV, GEMM, RELU, several

from onnxprof.compare.over_batches import over_batches, speedup, speedup_interval
from onnxprof.compare.verdict import Verdict
from onnxprof.errors import UsageError


def test_speed_up_batch_by_batch() -> None:
    runs = [several(batch=b) for b in (1, 8)] + [several("torch", 0.5, batch=b) for b in (1, 8)]
    found = over_batches([*runs, several(batch=32)])
    assert (found.systems, found.batches, found.alone) == (("ort", "torch"), (1, 8), (32,))
    for batch, points in zip(found.batches, found.points, strict=True):
        base, fast = points
        assert base is not None
        assert fast is not None
        assert base.samples_per_s == pytest.approx(batch * 1e9 / base.column.total_ns)
        faster, between = speedup(fast.cell), speedup_interval(fast.cell)
        assert faster is not None
        assert between is not None
        assert faster == pytest.approx(fast.inferences_per_s / base.inferences_per_s - 1)
        assert between[0] < faster < between[1]
        assert between[0] < 1.0 < between[1]
        assert fast.cell.verdict is Verdict.FASTER
    assert [row.layers for row in found.rows] == [(CONV, RELU), (GEMM,)]


def test_blocks_are_the_same_at_every_batch() -> None:
    runs = [several(fused=False), several("torch", fused=False)]
    runs += [several(batch=8), several("torch", batch=8, fused=False)]
    found = over_batches(runs)
    for alignment in found.alignments:
        assert [row.layers for row in alignment.rows] == [(CONV, RELU), (GEMM,)]


def test_a_system_may_lack_a_batch_but_not_the_baseline() -> None:
    runs = [
        several(),
        several("torch"),
        several("fast"),
        several(batch=8),
        several("torch", batch=8),
    ]
    found = over_batches(runs)
    assert [point is None for point in found.points[1]] == [False, False, True]
    assert found.rows[0].cells[1][2] is None
    assert over_batches(runs, baseline=2).alone == (8,)
    with pytest.raises(UsageError, match="no batch size was measured"):
        over_batches([several(), several("torch", batch=8)])
    with pytest.raises(UsageError, match="two runs of ort at batch 1"):
        over_batches([several(), several(), several("torch")])
    with pytest.raises(ValueError, match="no system 3"):
        over_batches(runs, baseline=3)
