"""What LoadGen and the way to a session take by themselves: a system that does nothing.

    python benchmarks/scenarios/floor.py

In each scenario the null system takes the place of a model, and the floor is measured beside it, as
beside any result: both are the same work, so their ratio is 1 but for noise. Half a minute.
"""

from __future__ import annotations

from functools import partial

from onnxprof.processes.confined import Limits
from onnxprof.publish.text.numbers import duration, rate
from onnxprof.records.scenarios.asked import Asked, Scenario
from onnxprof.scenarios import isolated, loads
from onnxprof.scenarios.isolated import Watch
from onnxprof.scenarios.orders import Done, Order, System, Work
from onnxprof.scenarios.systems import NullSystem


def make(asked: Asked, system: System, order: Order, doing: str) -> Done:
    """A run in a process of its own."""
    work = Work(order, loads.serving(asked, system), system)
    return isolated.run(work, Limits(), Watch(order.duration_s, doing, lambda *_: None))


def main() -> None:
    """Print a line for each scenario."""
    print(f"{'scenario':14} {'null system':>18} {'floor':>18} {'ratio':>7} {'queries':>9}")
    for scenario in Scenario:
        asked = Asked(
            *(scenario, "null", "", "null", "", "", 1),
            duration_s=5.0,
            rate=500.0,
            target_latency_ns=10**8,
        )
        run = partial(make, asked)
        answer = loads.outcome(asked, NullSystem(), run).done.answer
        floor = loads.floor(asked, answer, run)
        if scenario is Scenario.OFFLINE:
            pair = (answer.completed_rate, floor.completed_rate)
            shown = [f"{rate(value)}/s" for value in pair]
        else:
            pair = (answer.percentile_ns, floor.percentile_ns)
            shown = [duration(value) for value in pair]
        ratio = pair[0] / pair[1]
        print(f"{scenario:14} {shown[0]:>18} {shown[1]:>18} {ratio:7.2f} {answer.queries:9,}")


if __name__ == "__main__":
    main()
