"""Backends and exporters, registered by entry point and imported on first use.

Built-in and third-party plugins use the same groups. A plugin that fails to load stays in the
list, with the reason.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from onnxprof.errors import BackendError, UsageError, did_you_mean
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.distributions import header
from onnxprof.plugins.exporter import Exporter
from onnxprof.plugins.verbs import Reference, packages

BACKENDS = "onnxprof.backends"
EXPORTERS = "onnxprof.exporters"
#: The backend that outputs and steps of the others are compared with.
_REFERENCE = "ort"

_OURS = "onnxprof"
#: A folder may change once more within what its file system's clock shows as one moment, and a
#: package is written a file after another.
_UNSETTLED_NS = 2 * 10**9
_VERBS: Mapping[str, tuple[str, ...]] = {
    BACKENDS: ("name", "availability", "devices", "open", "open_traced"),
    EXPORTERS: ("name", "availability", "accepts", "export"),
}

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Plugin(Generic[T_co]):
    """A registered plugin: the object, or why it could not be loaded."""

    name: str
    target: str
    """The entry point's value, as `package.module:Class`."""
    distribution: str
    """Name and version of the package that registers it; empty if unknown."""
    value: T_co | None = None
    error: str = ""
    """Why the plugin did not load; empty if it did."""
    remedy: str = ""
    """What to install or change; empty where it loaded."""

    @property
    def is_built_in(self) -> bool:
        """Whether the plugin comes with onnxprof."""
        return self.target.startswith(f"{_OURS}.")


def backends() -> Mapping[str, Plugin[Backend]]:
    """Every registered backend by name, loaded; those that fail to load carry their reason."""
    return _load_all(BACKENDS)


def exporters() -> Mapping[str, Plugin[Exporter]]:
    """Every registered exporter by name, loaded; those that fail to load carry their reason."""
    return _load_all(EXPORTERS)


def backend(name: str) -> Backend:
    """The backend of that name; loads no other.

    Raises UsageError for a name that nobody registered, BackendError for one that does not load.
    """
    loaded: Backend = _get(BACKENDS, "backend", name)
    return loaded


def exporter(name: str) -> Exporter:
    """The exporter of that name; loads no other.

    Raises UsageError for a name that nobody registered, BackendError for one that does not load.
    """
    loaded: Exporter = _get(EXPORTERS, "exporter", name)
    return loaded


def reference() -> Reference:
    """The backend that outputs and steps of the others are compared with.

    Raises BackendError or UsageError where it is not available.
    """
    loaded: Reference = _get(BACKENDS, "backend", _REFERENCE)
    return loaded


def packages_of(name: str) -> tuple[str, ...]:
    """The packages of a backend, the runtime's first; the backend's name if it is not known.

    Stored runs may name backends that are not installed.
    """
    point = _registered(BACKENDS).get(name)
    value = _load(BACKENDS, name, point).value if point else None
    return (packages(value) if value else ()) or (name,)


def every_package() -> tuple[str, ...]:
    """The packages of all backends, sorted."""
    loaded = (plugin.value for plugin in backends().values())
    return tuple(sorted({name for value in loaded if value for name in packages(value)}))


def backend_names() -> tuple[str, ...]:
    """Names of the registered backends; loads none."""
    return tuple(sorted(_registered(BACKENDS)))


def exporter_names() -> tuple[str, ...]:
    """Names of the registered exporters; loads none."""
    return tuple(sorted(_registered(EXPORTERS)))


def _load_all(group: str) -> Mapping[str, Plugin[Any]]:
    registered = _registered(group)
    return {name: _load(group, name, registered[name]) for name in sorted(registered)}


def _get(group: str, noun: str, name: str) -> Any:
    registered = _registered(group)
    if name not in registered:
        raise _unknown(noun, name, sorted(registered))
    plugin = _load(group, name, registered[name])
    if plugin.value is None:
        raise BackendError(plugin.error, where=f"{noun} {name}", remedy=plugin.remedy)
    return plugin.value


def _unknown(noun: str, name: str, known: Sequence[str]) -> UsageError:
    if not known:
        remedy = "onnxprof itself is not installed here: run `pip install -e .` in its source tree"
        return UsageError(f"no {noun} is registered", where=f"{noun} {name}", remedy=remedy)
    meant = [each for each in known if noun == "backend" and name.lower() in packages_of(each)]
    hint = f"Did you mean {meant[0]}? " if meant else did_you_mean(name, known)
    return UsageError(f"no {noun} is called {name!r}", remedy=f"{hint}Known: {', '.join(known)}")


def _registered(group: str) -> Mapping[str, EntryPoint]:
    """Entry points by name; a name that is taken, built-in ones first, gets the package added.

    To read the facts of all packages takes longer than a small inference: they are read again only
    where a folder that packages lie in has changed, or did so a moment ago.
    """
    places = tuple(map(_place, sys.path))
    newest_ns = max((place.st_mtime_ns for place in places if place), default=0)
    if newest_ns > time.time_ns() - _UNSETTLED_NS:
        return _read(group)
    marks = tuple(place and (place.st_dev, place.st_ino, place.st_mtime_ns) for place in places)
    return _kept(group, marks, tuple(map(id, sys.meta_path)))


def _place(path: str) -> os.stat_result | None:
    try:
        return os.stat(path or os.curdir)
    except OSError:
        return None


@lru_cache(maxsize=16)
def _kept(group: str, *_: object) -> Mapping[str, EntryPoint]:
    """As read when all of this was as it is now."""
    return _read(group)


def _read(group: str) -> Mapping[str, EntryPoint]:
    points: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda point: _package(point) != _OURS):
        name = point.name if point.name not in points else f"{point.name} ({_package(point)})"
        points[name] = point
    return points


def _load(group: str, name: str, point: EntryPoint) -> Plugin[Any]:
    try:
        value = point.load()()
    except (Exception, SystemExit) as error:
        return _failed(name, point, f"{type(error).__name__}: {error}", _remedy(point, error))
    reason = "; ".join(_objections(group, name, value))
    if reason:
        return _failed(name, point, reason, f"Ask the makers of {_package(point) or 'the plugin'}")
    return Plugin(name, point.value, _distribution(point), value)


def _failed(name: str, point: EntryPoint, error: str, remedy: str) -> Plugin[Any]:
    line = " ".join(error.split())
    return Plugin(name, point.value, _distribution(point), None, line, remedy)


def _objections(group: str, name: str, value: object) -> Iterator[str]:
    missing = [verb for verb in _VERBS[group] if not hasattr(value, verb)]
    if missing:
        yield f"lacks {', '.join(missing)}"
    elif getattr(value, "name", None) != name:
        yield f"is registered as {name!r} but calls itself {getattr(value, 'name', None)!r}"


def _remedy(point: EntryPoint, error: BaseException) -> str:
    package = _package(point)
    again = f"`pip install --force-reinstall {package}`" if package else "reinstall the plugin"
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return f"Update or remove it: {again}"
    missing = error.name.partition(".")[0]
    if missing == point.module.partition(".")[0]:
        return f"Its files are gone: {again}"
    return f"Install the package that provides {missing!r}, or {again}"


def _package(point: EntryPoint) -> str:
    return header(point.dist)[0] if point.dist else ""


def _distribution(point: EntryPoint) -> str:
    return " ".join(header(point.dist)) if point.dist else ""
