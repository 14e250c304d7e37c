"""Versions of a runtime that a plan names: asked what they take before anything is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from onnxprof.jobs.options import Options
from onnxprof.jobs.setting import Setting, setting
from onnxprof.runtimes.overlay import place
from onnxprof.runtimes.wanted import parse
from onnxprof.sweeps.devices import Ask

Say = Callable[[str], None]


def installing(say: Say) -> Ask:
    """Asks a version, which is installed apart where it is not there yet.

    `say` hears of that, and of what a version requires and lacks, once for each version.
    """

    heard: set[str] = set()

    def ask(options: Options) -> Setting:
        is_new = options.runtime not in heard
        heard.add(options.runtime)
        return setting(options, say=say if is_new else None)

    return ask


def is_new(options: Options) -> bool:
    """Whether the version that options name, if any, is still to be installed apart."""
    return bool(options.runtime) and not place(parse(options.runtime)).is_dir()


def kept(options: Options) -> Setting | None:
    """Asks a version that is in the cache; of others nothing is known, and nothing is installed."""
    return None if is_new(options) else setting(options)


def open_points(unasked: Iterable[str], is_elsewhere: bool) -> Iterator[str]:
    """A line for each version that could not be asked."""
    when = "on the machine that measures with it" if is_elsewhere else "once it is installed apart"
    for runtime in unasked:
        yield f"{runtime}: its devices and options are checked {when}"
