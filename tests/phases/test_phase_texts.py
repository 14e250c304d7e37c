"""What `--phase` takes: sizes, lists, ranges; and what it refuses."""

from __future__ import annotations

import pytest

from onnxprof.errors import UsageError
from onnxprof.records.sequences.phase import Phase, PhaseKind
from onnxprof.sequences.grammar import points


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("decode:512", [512]),
        ("decode:0,100", [0, 100]),
        ("decode:512..2048", [512, 1024, 2048]),
        ("decode:500..1500", [500, 1000, 1500]),
        ("decode:512..2048/4", [512, 1024, 1536, 2048]),
        ("decode:0..100/3,7", [0, 50, 100, 7]),
        ("decode:8..8", [8]),
    ],
)
def test_sizes(text, sizes):
    assert points([text]) == tuple(Phase(PhaseKind.DECODE, size) for size in sizes)


def test_a_phase_counts_once_and_the_order_is_kept():
    found = points(["decode:4", "prefill:4", "decode:2..4"])
    assert list(map(str, found)) == ["decode:4", "prefill:4", "decode:2"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "decode", "decode:", "512", "encode:5", "decode:5..", "decode:9..3", "decode:-1"),
        *("decode:0..8", "decode:1..9/1", "decode:1..9/999", "prefill:0", "steps:0", "decode:1,,2"),
        "prefill:99999999999999999999",
    ],
)
def test_what_is_no_phase_says_what_is(text):
    with pytest.raises(UsageError) as raised:
        points([text])
    assert "--phase" in str(raised.value)


def test_tokens_of_a_phase():
    decode, prefill = Phase.of("decode:512"), Phase.of("prefill:64")
    assert (decode.kept, decode.new, decode.total) == (512, 1, 513)
    assert (prefill.kept, prefill.new, prefill.total) == (0, 64, 64)
    assert Phase.of(str(decode)) == decode
