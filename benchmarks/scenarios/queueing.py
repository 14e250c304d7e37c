"""A server of fixed service time under LoadGen's Poisson load, against M/D/1 queueing theory.

    python benchmarks/scenarios/queueing.py [--service-ms 10] [--queries 40000]

The whole way of `onnxprof scenario` is taken: a process of its own, LoadGen, the queue, a thread;
only the session is made up: it takes so long and does nothing. In an M/D/1 queue (Pollaczek and
Khinchine's formula) a query takes S + rho S / (2 (1 - rho)) on average at a load of rho = rate S;
percentiles are by Erlang's distribution of the waiting time. S is what the made-up session took on
average by its own clock, since a system's sleep ends late now and then; what the queue and LoadGen
add is not in it. Printed are theory at the load that LoadGen's schedule had, LoadGen's figures, and
their ratio. Exits with 1 where a mean is off by more than 5 %. With the defaults some thirteen
minutes; let nothing else run.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from onnxprof.processes.confined import Limits
from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.scenarios import isolated
from onnxprof.scenarios.isolated import Watch
from onnxprof.scenarios.orders import Order, Work
from onnxprof.scenarios.serving import Serving

LOADS = (0.5, 0.8)
TOLERANCE = 0.05
#: A sleep may end so much late: the rest is waited for awake.
_AWAKE_NS = 400_000


@dataclass(frozen=True)
class FixedTime:
    """A system whose inferences take `service_ns`, whatever their batch."""

    service_ns: int
    note: str = ""
    """A file for how long they took on average, once all are done."""
    threads: int = 1

    @property
    def caches(self) -> tuple[str, ...]:
        """The folder of the note."""
        return (str(Path(self.note).parent),) if self.note else ()

    @contextmanager
    def opened(self) -> Iterator[Callable[[int], None]]:
        """The session."""
        taken: list[int] = []

        def serve(_: int) -> None:
            began = time.perf_counter_ns()
            self._wait(began + self.service_ns)
            taken.append(time.perf_counter_ns() - began)

        yield serve
        Path(self.note).write_text(str(sum(taken) / len(taken)))

    def _wait(self, end_ns: int) -> None:
        if self.service_ns > _AWAKE_NS:
            time.sleep((self.service_ns - _AWAKE_NS) / 1e9)
        while time.perf_counter_ns() < end_ns:
            time.sleep(0)  # lets LoadGen's thread have the interpreter


def mean_ns(load: float, service_ns: float) -> float:
    """Waiting and service together, on average."""
    return service_ns * (1 + load / (2 * (1 - load)))


def waits_at_most(load: float, services: float) -> float:
    """The probability that a query waits at most so many service times.

    The sum alternates and its terms are large, so it is taken in fractions.
    """
    rate, x = Fraction(load), Fraction(services)
    terms = []
    for k in range(int(services) + 1):
        y = rate * (k - x)
        terms.append((y**k / math.factorial(k), -float(y)))
    scaled = [float(power) * math.exp(rest) for power, rest in terms]
    return (1 - load) * math.fsum(scaled)


def percentile_ns(load: float, service_ns: float, share: float) -> float:
    """The latency that this share of the queries does not exceed, by bisection."""
    low, high = 0.0, 1.0
    while waits_at_most(load, high) < share:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if waits_at_most(load, middle) < share else (low, middle)
    return service_ns * (1 + high)


def measured(load: float, service_ns: int, queries: int) -> tuple[Answer, float]:
    """LoadGen's figures at a load, and how long an inference took on average."""
    rate = load * 1e9 / service_ns
    order = Order(Scenario.SERVER, queries / rate, rate, 10**10, min_queries=queries)
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "service")
        work = Work(order, Serving(), FixedTime(service_ns, str(note)))
        watch = Watch(order.duration_s, "measuring", lambda *_: None)
        done = isolated.run(work, Limits(), watch)
        return done.answer, float(note.read_text())


def line(name: str, expected: float, seen: float) -> str:
    """A row of the table."""
    ratio = seen / expected
    return f"{name:>6}  {expected / 1e6:9.3f} ms  {seen / 1e6:9.3f} ms  {ratio:6.3f}"


def main() -> int:
    """Print a table for each load; 1 where a mean is off."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--service-ms", type=float, default=10.0)
    parser.add_argument("--queries", type=int, default=40_000, help="at the highest load")
    asked = parser.parse_args()
    service_ns = round(asked.service_ms * 1e6)
    is_off = False
    for load in LOADS:
        # The less load, the less do neighbouring queries depend on one another.
        queries = asked.queries if load == max(LOADS) else asked.queries // 3
        answer, took_ns = measured(load, service_ns, queries)
        real = answer.scheduled_rate * took_ns / 1e9
        expected = mean_ns(real, took_ns)
        seen = answer.at("mean")
        print(f"load {load:.0%} asked, {real:.1%} offered, {answer.queries:,} queries")
        print(f"a service took {took_ns / 1e6:.3f} ms on average")
        print(f"{'':6}  {'theory':>12}  {'LoadGen':>12}   ratio")
        print(line("mean", expected, seen))
        for name in ("50", "90", "99"):
            theory = percentile_ns(real, took_ns, float(name) / 100)
            print(line(f"{name} %", theory, answer.at(name)))
        is_off |= abs(seen / expected - 1) > TOLERANCE
    return int(is_off)


if __name__ == "__main__":
    sys.exit(main())
