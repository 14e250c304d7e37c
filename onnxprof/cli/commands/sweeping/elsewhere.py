"""Where a sweep measures and stores, if not here: `--fleet`, and `--store` with a URL."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from onnxprof.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onnxprof.store.folder import Store
    from onnxprof.sweeps.devices import DevicesOf
    from onnxprof.sweeps.places import Place
    from onnxprof.sweeps.plans.read import Plan


@contextmanager
def machines(
    fleet: str, mixed_versions: bool, plan: Plan
) -> Iterator[tuple[DevicesOf, Sequence[Place]]]:
    """The devices that a plan may mean, and the places that run it; no places for this machine."""
    from onnxprof.sweeps.devices import here

    if not fleet:
        yield here, ()
        return
    from onnxprof.sweeps.fleet.near.addresses import parse
    from onnxprof.sweeps.fleet.near.admission import Asked
    from onnxprof.sweeps.fleet.near.stock import Stock
    from onnxprof.sweeps.fleet.opened import opened
    from onnxprof.sweeps.plans.expand import expanded

    backends = dict.fromkeys(task.options.backend for task in expanded(plan).tasks)
    asked = Asked(parse(fleet), tuple(backends), mixed_versions)
    with opened(asked, Stock(), say) as found:
        yield found.machines.devices_of, found.places


def store_at(text: str, *, is_written: bool) -> Store:
    """The store that an option names: a folder, or a shared one whose mirror is up to date."""
    from onnxprof import folders
    from onnxprof.store.folder import Store
    from onnxprof.store.shared import is_shared, shared

    if not is_shared(text):
        return Store(folders.store(text))
    found = shared(text)
    if is_written:
        found.check_writable()
    found.synchronise(say)
    return found
