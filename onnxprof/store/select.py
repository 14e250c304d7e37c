"""Which stored runs a text means: the rule of every command that takes one.

docs/store.md has it for users.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path, PurePath

from onnxprof import folders
from onnxprof.analysis.standing import newest
from onnxprof.errors import NoRunError, StoreError, UsageError, did_you_mean
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Filters, scan, tell
from onnxprof.store.summary import Summary
from onnxprof.store.tags import applied
from onnxprof.store.walk import SUFFIX

_REMEDY = (
    "Give an id of `onnxprof runs list`, a .parquet file or a folder of runs;"
    " `onnxprof profile MODEL` measures a model and stores the run"
)


#: Names that a refusal lists; what filters are called; what no run has of them.
_MOST_NAMES = 8
_WORDS = {"model": "the model", "device": "the device", "backend": "the backend", "tag": "the tag"}
_WORDS |= {"batch": "the batch", "dims": "the sizes", "phase": "the phase"}
_NONE = {"tag": "a tag", "dims": "such an axis", "phase": "a phase"}
#: What a text begins or ends with that names a model, as in `onnxprof profile`.
_SCHEMES, _MODELS = ("zoo", "hub", "hf"), (".onnx", ".ort")
#: What a text begins with that means runs with a tag.
TAG = "tag:"


class Need(StrEnum):
    """What a command needs of a run."""

    NOTHING = "nothing"
    TIMES = "times"
    """Un-profiled latencies or times of steps."""
    LATENCIES = "latencies"
    """Un-profiled latencies."""

    def met(self, run: Summary) -> bool:
        """Whether the run has it."""
        if self is Need.NOTHING or run.median_ns is not None:
            return True
        return self is Need.TIMES and bool(run.layer_sum_ns)


def select(
    text: str,
    stores: Sequence[Path],
    filters: Filters | None = None,
    need: Need = Need.NOTHING,
    *,
    every: bool = False,
    shown: bool = False,
    say: Callable[[str], None],
) -> list[Summary]:
    """The runs that a text means, oldest first, at least one.

    A file is its run, whatever the filters. A folder or an archive is its runs that pass the
    filters; an empty text is the stores, `tag:NAME` their runs with that tag. Any other text is an
    id or the first digits of one: the newest run of the stores that has it and passes the filters,
    or with `every` all that have it; a command that shows it (`shown`) means the newest good one, a
    failed one only where no other succeeded. `say` hears what is left out. Raises UsageError where
    nothing matches or a model is named, and StoreError for a file without what is needed.
    """
    _refuse_model(text)
    if text.startswith(TAG):
        filters = dataclasses.replace(filters or Filters(), tag=(text.removeprefix(TAG),))
        text = ""
    path = folders.expanded(text)
    is_store = path.is_dir() or _is_archive(path)
    if not is_store and (path.is_file() or text.endswith(SUFFIX)):
        return [_of_file(path, need)]
    is_id = bool(text) and not is_store
    places = stores if is_id or not text else [path]
    runs, problems = scan(places, filters)
    tell(problems, say)
    if is_id:
        runs = [run for run in runs if request_digest(run.request).startswith(text.lower())]
    where = ", ".join(map(str, places))
    if not runs and filters is not None and not is_id:
        _refuse_filter(filters, scan(places)[0], where)
    good = _with(need, runs, f"{text} in {where}" if is_id else where, say)
    if every or not is_id:
        return good
    meant = newest(good) if shown else good[-1]
    if len(good) > 1:
        say(f"{len(good)} runs are called {text}; {told(meant, good)} is {meant.path}")
    return [meant]


def _refuse_model(text: str) -> None:
    """Raise UsageError for the name of a model; a run may be in a file of any name."""
    scheme, colon, rest = text.partition(":")
    is_remote = bool(colon) and scheme in _SCHEMES
    path = folders.expanded(text)
    if path.is_dir() or not (is_remote or text.lower().endswith(_MODELS)):
        return
    if path.is_file() and _begins_as_parquet(path):
        return
    name = PurePath(re.split(r"[@:]", rest)[0] if is_remote else text).name
    known = shlex.quote(name if is_remote else name.rpartition(".")[0] or name)
    raise UsageError(
        "is a model, and a run of one is needed",
        where=text,
        remedy=f"`onnxprof runs list --model {known}` lists its stored runs,"
        f" `onnxprof profile {shlex.quote(text)}` measures one",
    )


def _begins_as_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return True  # what reads it says why it cannot


def told(meant: Summary, runs: Sequence[Summary]) -> str:
    """What the run that stands for others, oldest first, is called: the newest, if it is."""
    return "the newest" if meant is runs[-1] else "the newest good one"


def _is_archive(path: Path) -> bool:
    from onnxprof.store import parquet

    return path.is_file() and parquet.is_archive(path)


def _of_file(path: Path, need: Need) -> Summary:
    from onnxprof.store import parquet

    run = parquet.read_summary(path)
    if not need.met(run):
        raise StoreError(f"this run has no {need}: {_reason(run)}", where=str(path))
    return applied([run])[0][0]


def _reason(run: Summary) -> str:
    return run.failure or "no un-profiled samples"


def _with(
    need: Need, runs: Sequence[Summary], where: str, say: Callable[[str], None]
) -> list[Summary]:
    """Those that have what is needed."""
    good = [run for run in runs if need.met(run)]
    lost = f"{len(runs) - len(good)} run{'' if len(runs) - len(good) == 1 else 's'}"
    if not runs:
        raise NoRunError("no stored run matches", where=where, remedy=_REMEDY)
    if not good:
        what = f"{lost} without {need} and no other match: {_reason(runs[-1])}"
        raise UsageError(what, where=where, remedy=_REMEDY)
    if len(good) < len(runs):
        say(f"{lost} without {need} in {where} left out")
    return good


def _refuse_filter(filters: Filters, runs: Sequence[Summary], where: str) -> None:
    """Raise NoRunError for filters that none of these runs passes; return where there is no run."""
    if not runs:
        return
    for name in (each.name for each in dataclasses.fields(filters) if getattr(filters, each.name)):
        alone = dataclasses.replace(Filters(), **{name: getattr(filters, name)})
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
            "phase": (asked.phase,) if asked.phase else (),
            "dims": tuple(f"{axis}={size}" for axis, size in asked.dims if axis in axes),
        }
        found |= dict.fromkeys(names[name])
    return sorted(found)
