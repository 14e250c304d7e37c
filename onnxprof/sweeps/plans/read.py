"""A plan's file: what it says of models, backends and exclusions, every key and value checked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnxprof import folders
from onnxprof.errors import UsageError, did_you_mean
from onnxprof.model.dims.grammar import Size
from onnxprof.plugins import registry
from onnxprof.sweeps.plans.lines import Lines, lines_of
from onnxprof.sweeps.plans.values import (
    FIELDS,
    LISTED,
    RUNTIME,
    WORK,
    WrongValueError,
    sizes,
    texts,
    values,
)

_MOST_BYTES = 1 << 20
#: Of a model alone.
_OF_MODELS = ("dim", "inputs")
#: Of a backend, or of all of them.
_OF_BACKENDS = ("provider", "device", RUNTIME)
_SHARED = (*(key for key in FIELDS if key not in ("backend", *_OF_MODELS)), *WORK)
#: By table the keys that it takes.
KEYS: Mapping[str, tuple[str, ...]] = {
    "defaults": ("dim", *_SHARED),
    "models": ("name", *_OF_MODELS, *(key for key in _SHARED if key not in _OF_BACKENDS)),
    "backends": ("name", "dim", *_SHARED),
    "exclude": (
        *("model", "backend", "dim"),
        *(key for key in _SHARED if key in LISTED),
    ),
}
_ARRAYS = ("models", "backends", "exclude")
#: What an exclusion has as patterns of texts.
_PATTERNS = ("model", "backend", RUNTIME)


@dataclass(frozen=True, slots=True)
class Entry:
    """A table of a plan: names, and for each key the values that it takes in turn."""

    names: tuple[str, ...] = ()
    given: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    dims: Mapping[str, tuple[Size, ...]] = field(default_factory=dict)
    line: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan's file says, before models are looked for."""

    path: Path
    defaults: Entry
    models: tuple[Entry, ...]
    backends: tuple[Entry, ...]
    exclusions: tuple[Entry, ...]

    def where(self, line: int) -> str:
        """A line of the plan, for messages."""
        return f"{self.path}, line {line}"


#: What a plan without backends has, unless it names a version of another backend's runtime.
USUAL_BACKENDS = (Entry(("ort",), line=0),)


def read_plan(path: Path) -> Plan:
    """The plan in a file. Raises UsageError, with the line, for what is wrong in it."""
    text = _text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"this is no TOML: {error}", where=str(path)) from None
    except RecursionError:
        raise UsageError("this is nested too deeply", where=str(path)) from None
    return _Reader(path, lines_of(text)).plan(data)


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise UsageError("this is no file", where=str(path), remedy=_INIT)
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"cannot be read: {reason}", where=str(path), remedy=_INIT) from None
    if len(data) > _MOST_BYTES:
        raise UsageError("this is too long for a plan", where=str(path), remedy=_INIT)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError("this is no UTF-8", where=f"{path}, line {line}") from None


_INIT = "onnxprof sweep init writes a plan for this machine"


@dataclass(frozen=True, slots=True)
class _Reader:
    """Checks tables, and knows where they stand."""

    path: Path
    lines: Lines

    def plan(self, data: Mapping[str, Any]) -> Plan:
        for key in data:
            if key not in KEYS:
                tables = ("[defaults]", "[[models]]", "[[backends]]", "[[exclude]]")
                raise self._unknown(key, (key,), "the plan", tuple(KEYS), ", ".join(tables))
        arrays = {name: self._array(name, data.get(name, [])) for name in _ARRAYS}
        defaults = data.get("defaults", {})
        if not isinstance(defaults, dict):
            raise self._error("defaults is no table", ("defaults",), "Write [defaults]")
        if not arrays["models"]:
            raise UsageError(
                "the plan names no model",
                where=str(self.path),
                remedy='Add [[models]] with name = "zoo:resnet50", a file or a pattern of files',
            )
        return Plan(self.path, self._entry("defaults", ("defaults",), defaults), **_named(arrays))

    def _array(self, name: str, given: Any) -> tuple[Entry, ...]:
        if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
            raise self._error(f"{name} is no list of tables", (name,), f"Write [[{name}]]")
        return tuple(self._entry(name, (name, i), item) for i, item in enumerate(given))

    def _entry(self, table: str, path: tuple[str | int, ...], data: Mapping[str, Any]) -> Entry:
        title = f"[{table}]" if table == "defaults" else f"[[{table}]]"
        for key in data:
            if key not in KEYS[table]:
                raise self._unknown(key, (*path, key), title, KEYS[table])
        names = self._names(table, path, data)
        patterns = _PATTERNS if table == "exclude" else ()
        given = {
            key: self._checked((*path, key), value, key)
            for key, value in data.items()
            if key not in ("name", "dim", *patterns)
        }
        for key in patterns:
            if key in data:
                given[key] = self._texts((*path, key), data[key])
        if table == "exclude" and not data:
            remedy = f"Give any of: {', '.join(KEYS[table])}"
            raise self._error("an [[exclude]] without keys would leave out all", path, remedy)
        return Entry(names, given, self._dims(path, data.get("dim", {})), self.lines.of(*path))

    def _names(
        self, table: str, path: tuple[str | int, ...], data: Mapping[str, Any]
    ) -> tuple[str, ...]:
        if "name" not in KEYS[table]:
            return ()
        if "name" not in data:
            what = "model" if table == "models" else "backend"
            raise self._error(f"[[{table}]] has no name", path, f'Say which {what}: name = "…"')
        names = self._texts((*path, "name"), data["name"])
        known = registry.backend_names()
        for name in names if table == "backends" else ():
            if name not in known:
                hint = did_you_mean(name, known)
                what = f"no backend is called {name!r}"
                raise self._error(what, (*path, "name"), f"{hint}Known: {', '.join(known)}")
        return names

    def _checked(self, path: tuple[str | int, ...], value: Any, key: str) -> tuple[Any, ...]:
        try:
            found = values(key, value)
        except WrongValueError as error:
            raise self._wrong(path, key, error) from None
        if key == "inputs":
            beside = (self.path.parent / folders.expanded(file) for file in found)
            return tuple(str(file.resolve()) for file in beside)
        return found

    def _texts(self, path: tuple[str | int, ...], value: Any) -> tuple[str, ...]:
        try:
            return texts(value)
        except WrongValueError as error:
            raise self._wrong(path, str(path[-1]), error) from None

    def _dims(self, path: tuple[str | int, ...], given: Any) -> dict[str, tuple[Size, ...]]:
        if not isinstance(given, dict):
            raise self._error("dim has no axis", (*path, "dim"), "Write dim.sequence = [16, 128]")
        found: dict[str, tuple[Size, ...]] = {}
        for name, value in given.items():
            try:
                found[name] = sizes(value)
            except WrongValueError as error:
                raise self._wrong((*path, "dim", name), f"dim.{name}", error) from None
        return found

    def _wrong(self, path: tuple[str | int, ...], key: str, error: WrongValueError) -> UsageError:
        shown = _as_toml(error.value)
        return self._error(f"{key} = {shown}", path, f"{key} takes {error.allowed}")

    def _unknown(
        self,
        key: str,
        path: tuple[str | int, ...],
        title: str,
        known: tuple[str, ...],
        listed: str = "",
    ) -> UsageError:
        remedy = f"{did_you_mean(key, known)}Allowed: {listed or ', '.join(known)}"
        return self._error(f"{title} has no key {key!r}", path, remedy)

    def _error(self, what: str, path: tuple[str | int, ...], remedy: str) -> UsageError:
        return UsageError(what, where=f"{self.path}, line {self.lines.of(*path)}", remedy=remedy)


def _named(arrays: Mapping[str, tuple[Entry, ...]]) -> dict[str, tuple[Entry, ...]]:
    return {
        "models": arrays["models"],
        "backends": arrays["backends"] or USUAL_BACKENDS,
        "exclusions": arrays["exclude"],
    }


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_as_toml, value))}]"[:80]
    return str(value)[:80]
