"""Why filters let no stored run pass: the one that none has, and what was meant by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from onnxprof.errors import NoRunError, did_you_mean
from onnxprof.store.folder import Filters
from onnxprof.store.summary import Summary

_MOST_NAMES = 8


def refuse_filter(filters: Filters, runs: Sequence[Summary], where: str) -> None:
    """Raise NoRunError for filters that none of these runs passes; return where there is no run."""
    if not runs:
        return
    for name in (each.name for each in fields(filters) if getattr(filters, each.name)):
        alone = replace(Filters(), **{name: getattr(filters, name)})
        if not any(map(alone.accept, runs)):
            raise _none(name, filters, runs, where)
    raise NoRunError(
        "no stored run matches all of these filters, though each alone has some",
        where=where,
        remedy="Leave one of them out; onnxprof runs list shows what is stored",
    )


def _none(name: str, filters: Filters, runs: Sequence[Summary], where: str) -> NoRunError:
    asked, known = _asked(name, filters), _known(name, filters, runs)
    hint = did_you_mean(asked[0], known) if len(asked) == 1 and name != "batch" else ""
    more = len(known) - _MOST_NAMES
    listed = ", ".join(known[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return NoRunError(
        f"no stored run matches: none has {_WORDS.get(name, name)} {' or '.join(asked)}",
        where=where,
        remedy=f"{hint}There is: {listed}" if known else f"No run has {_NONE.get(name, name)}",
    )


_WORDS = {"model": "the model", "device": "the device", "backend": "the backend", "tag": "the tag"}
_WORDS |= {"batch": "the batch", "dims": "the sizes"}
_NONE = {"tag": "a tag", "dims": "such an axis"}


def _asked(name: str, filters: Filters) -> list[str]:
    if name == "dims":
        return [f"{axis}={','.join(map(str, sizes))}" for axis, sizes in filters.dims]
    return list(map(str, getattr(filters, name)))


def _known(name: str, filters: Filters, runs: Sequence[Summary]) -> list[str]:
    """What the runs have there, each once, in order."""
    if name == "batch":
        return [str(size) for size in sorted({run.request.batch for run in runs})]
    axes = {axis for axis, _ in filters.dims}
    found: dict[str, None] = {}
    for run in runs:
        asked = run.request
        names = {
            "model": (asked.model_name,),
            "device": (asked.device_id,),
            "backend": (asked.backend,),
            "tag": run.tags,
            "dims": tuple(f"{axis}={size}" for axis, size in asked.dims if axis in axes),
        }
        found |= dict.fromkeys(names[name])
    return sorted(found)
