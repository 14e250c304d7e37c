"""How often `onnxprof gate` stops an unchanged model, and how often it finds a slower one.

    python benchmarks/gate/alarms.py [--gates 1000] [--pool 400] [--pairs 10] [--whole 100]

A model of the fake backend runs on a scripted clock in processes that differ by so many per cent
for good, as those of hosted runners do, and with a jitter of each inference: real protocol, real
alternation, two threads in place of two processes. A pool of pairs is measured once, and the
pairs of each gate, of old against itself and of old against new, are drawn from it without
replacement, either process of a pair being the old one. Draws share processes, so they are not
independent; --whole measures so many gates from their first process to their last instead.

Counted are gates of an unchanged model that call it slower, the same for a rule that compares one
run of each by 2 %, either way, and gates that find a model slowed by 10 %. The rows of the table
are what docs/ci.md shows.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support.inturn import Machine, measured

from onnxprof.compare.verdict import Verdict
from onnxprof.gate.conduct import apart_of
from onnxprof.gate.rule import Rule, judge, seen_from, spread

LIMIT, ALARMS, PLAIN, SLOWDOWN = 0.05, 0.01, 0.02, 0.10
SECONDS = 0.02


def pool_of(scatter: float, pairs: int, seed: int = 0) -> np.ndarray:
    """Logarithms of B over A where A is B, one a pair of processes."""
    machine = Machine({"a": [2_000_000]}, offsets=scatter, jitter=0.005, seed=seed)
    return apart_of(*measured(machine, pairs, SECONDS, "aa"))


def count(draws: list[np.ndarray], pairs: int) -> dict[str, float]:
    """Shares of the gates, whose pairs are those of old against itself, then of old against new."""
    rule = Rule(LIMIT, ALARMS)
    found = dict.fromkeys(("stopped", "plain", "missed"), 0)
    seen = []
    for draw in draws:
        noise, apart = spread(draw[:pairs]), draw[pairs:]
        seen.append(seen_from(noise, pairs, rule))
        found["stopped"] += judge(apart, noise, rule).verdict is Verdict.SLOWER
        found["plain"] += abs(apart[0]) > np.log1p(PLAIN)
        slowed = judge(apart + np.log1p(SLOWDOWN), noise, rule)
        found["missed"] += slowed.verdict is not Verdict.SLOWER
    shares = {name: value / len(draws) for name, value in found.items()}
    return shares | {"seen": float(np.median(seen))}


def main() -> None:
    """Print a row for each scatter of processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gates", type=int, default=1000)
    parser.add_argument("--pool", type=int, default=400)
    parser.add_argument("--pairs", type=int, nargs="+", default=[10, 15])
    parser.add_argument("--whole", type=int, default=0)
    asked = parser.parse_args()
    print(f"limit {LIMIT:.0%}, false alarms {ALARMS:.0%} at most")
    print("| processes scatter by | pairs | a rule of 2 % is wrong | the gate stops it", end="")
    print(" | 10 % slower is found | finds 9 times in 10 |\n| --- " + "| ---: " * 5 + "|")
    for scatter in (0.005, 0.013, 0.027, 0.05):
        for pairs in asked.pairs:
            told = count(draws(scatter, pairs, asked), pairs)
            print(
                f"| {scatter:.1%} | {pairs} | {told['plain']:.1%} | {told['stopped']:.1%}"
                f" | {1 - told['missed']:.1%} | {told['seen']:.1%} |",
                flush=True,
            )


def draws(scatter: float, pairs: int, asked: argparse.Namespace) -> list[np.ndarray]:
    """The pairs of each gate."""
    if asked.whole:
        return [pool_of(scatter, 2 * pairs, seed) for seed in range(asked.whole)]
    pool = pool_of(scatter, asked.pool)
    rng = np.random.default_rng(0)
    return [
        rng.permutation(pool)[: 2 * pairs] * rng.choice([-1, 1], 2 * pairs)
        for _ in range(asked.gates)
    ]


if __name__ == "__main__":
    main()
