"""A sweep from its first event to its last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from onnxprof.sweeps.events import Ended, Event, Planned
from onnxprof.sweeps.ledger import Ledger
from onnxprof.sweeps.places import Place
from onnxprof.sweeps.runner import Deadline, run
from onnxprof.sweeps.tasks import Task


def conduct(
    tasks: Sequence[Task],
    places: Sequence[Place],
    ledger: Ledger,
    planned: Planned,
    deadline: Deadline | None = None,
    clock: Callable[[], float] = time.monotonic,
    before: Iterable[Event] = (),
) -> Ended:
    """Run the tasks; the events begin with `planned` and end with Ended, interrupted or not.

    `before` are events that are known at the start, such as jobs whose device is not there.
    Raises StoreError where the store cannot be written, before anything is measured if that is
    known then, and KeyboardInterrupt.
    """
    ledger.store.check_writable()
    ledger.hear(planned)
    try:
        for event in before:
            ledger.hear(event)
        run(tasks, places, ledger, deadline, clock)
    except BaseException:
        ledger.end()
        raise
    return ledger.end()
