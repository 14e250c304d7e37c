"""What a gate is to measure: models of the work tree, and where the old ones come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxprof.errors import ModelError, UsageError
from onnxprof.gate.git import Commit, commit, refuse_pointer, written
from onnxprof.model.sources.resolve import is_remote, refuse_form, resolve
from onnxprof.processes.confined import Limits

_RUNS = (
    "a stored run is of another time, and mostly of another machine, which differs by more than a"
    " gate is to see; the old model is measured here, in turn with the new one"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, and its old version."""

    model: str
    """As the user named it."""
    old: str
    """The old version's file or reference; empty where there is none."""
    origin: str
    """Where the old version is from, for readers."""
    problem: str = ""
    """Why the old version cannot be had."""


def subjects(models: Sequence[str], baseline: str, scratch: Path, limits: Limits) -> list[Subject]:
    """Each model with its old version.

    `baseline` is a folder with files of the same names, a model file or a reference to a model, or
    a commit of the repository that the models are in; the first of these that there is counts.
    Files of a commit are written into `scratch`. Raises UsageError and ModelError.
    """
    for reference in (*models, baseline):
        if is_remote(reference):
            refuse_form(reference)
    for model in models:
        _refuse_absent(model)
    place = Path(baseline)
    if is_remote(baseline) or place.is_file():
        return [_against_file(models, baseline)]
    if place.is_dir():
        return [_in_folder(model, place) for model in dict.fromkeys(models)]
    return _at_commit(list(dict.fromkeys(models)), baseline, scratch, limits)


def _refuse_absent(model: str) -> None:
    """Raise ModelError for a model that is not there, or that Git LFS has not fetched."""
    if is_remote(model):
        return
    if not Path(model).is_file():
        resolve(model)  # which says what may have been meant
        return
    remedy = "git lfs pull; in a workflow, actions/checkout with lfs: true"
    refuse_pointer(Path(model), model, remedy)


def _against_file(models: Sequence[str], baseline: str) -> Subject:
    if baseline.endswith(".parquet"):
        raise UsageError(f"a run, not a model: {_RUNS}", where=baseline)
    if len(models) != 1:
        raise UsageError(
            f"one old model for {len(models)} new ones",
            where=baseline,
            remedy="Name a folder that has them all, or gate one by one",
        )
    return Subject(models[0], baseline, baseline)


def _in_folder(model: str, folder: Path) -> Subject:
    """The file at the same relative path, else the one of the same name."""
    if is_remote(model):
        raise UsageError(
            "a folder has no old version of a model that is no file",
            where=model,
            remedy="Name the old model itself: --baseline FILE or --baseline zoo:NAME",
        )
    path = Path(model)
    near = () if path.is_absolute() else (folder / path,)
    found = next((p for p in (*near, folder / path.name) if p.is_file()), None)
    if found is None and not any(folder.rglob("*.onnx")):
        _refuse_runs(folder)
    return Subject(model, str(found or ""), str(folder))


def _refuse_runs(folder: Path) -> None:
    """Raise UsageError for a folder without a model: none of ours could be in it."""
    if any(folder.rglob("*.parquet")):
        raise UsageError(
            f"a folder of runs: {_RUNS}",
            where=str(folder),
            remedy="Name a folder with the old model, or a git reference; onnxprof compare sets"
            " stored runs of one machine against each other",
        )
    raise UsageError(
        "there is no model in this folder",
        where=str(folder),
        remedy="A git reference of the same name is meant by refs/heads/NAME",
    )


def _at_commit(
    models: Sequence[str], reference: str, scratch: Path, limits: Limits
) -> list[Subject]:
    remote = [model for model in models if is_remote(model)]
    if remote:
        raise UsageError("in no git repository", where=remote[0], remedy="Name a file")
    known: dict[Path, Commit] = {}
    found = []
    for number, model in enumerate(models):
        home = Path(model).parent
        if home not in known:
            known[home] = commit(home, reference)
        into = scratch / str(number)
        into.mkdir()
        found.append(_written(known[home], model, into, limits))
    return found


def _written(at: Commit, model: str, into: Path, limits: Limits) -> Subject:
    """A model with its old version, or with why there is none: it stops no other."""
    try:
        old = written(at, Path(model), into, limits)
    except ModelError as error:
        return Subject(model, "", at.title, str(error))
    return Subject(model, str(old or ""), at.title)
