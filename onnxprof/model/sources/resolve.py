"""From a model's reference, as a user writes it, to a file.

`PATH`, `zoo:NAME`, `hub:NAME[@OPSET]` (the ONNX Model Zoo) and `hf:ORG/REPO/FILE[@REV]`
(Hugging Face). Only references with a scheme cause downloads, which have bounded sizes and
checked digests. Where a file has the reference's name, that file is meant.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from itertools import islice
from pathlib import Path

from onnxprof.errors import ModelError, UsageError
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.records.layer import ModelFacts

SCHEMES = ("zoo", "hub", "hf")
#: A folder's entries that are looked through for a name like the one that is not there.
_MOST_ENTRIES = 10_000
#: What this process was given, by reference.
_GIVEN: dict[str, Resolved] = {}


def give(reference: str, resolved: Resolved) -> None:
    """Have a reference mean a file that came from elsewhere, for as long as this process lives."""
    _GIVEN[reference] = resolved


def resolve(reference: str, progress: Progress | None = None) -> Resolved:
    """Find, make or download the file that a reference stands for.

    Raises UsageError for an invalid reference or a download that is not allowed, ModelError
    where there is no such model or its digest is wrong, StoreError where the cache cannot be
    written.
    """
    if reference in _GIVEN:
        return _GIVEN[reference]
    path = Path(reference)
    scheme, separator, rest = reference.partition(":")
    if not separator or scheme not in SCHEMES or _is_file(path):
        _refuse_absent(path, reference)
        return Resolved(path, path.stem or path.name, reference)
    if scheme == "zoo":
        return _from_zoo(rest, progress)
    refuse_form(reference)
    if scheme == "hub":
        from onnxprof.model.sources.onnx_hub import fetch

        return fetch(rest, progress)
    from onnxprof.model.sources.hugging_face import fetch as fetch_hf

    return fetch_hf(rest, progress)


def is_remote(reference: str) -> bool:
    """Whether a reference names a model by a scheme, not by a path."""
    return reference.partition(":")[0] in SCHEMES and ":" in reference


def argument(reference: str) -> str:
    """A reference as a word of a command, where a file named `-x.onnx` would be an option."""
    return f"./{reference}" if reference.startswith("-") else reference


def refuse_form(reference: str) -> None:
    """Raise UsageError for what cannot be the name of a model elsewhere; looks nowhere.

    The names of the zoo are known.
    """
    scheme, _, rest = reference.partition(":")
    if scheme == "zoo":
        from onnxprof.zoo.catalogue import entry

        entry(rest)
    elif scheme == "hf":
        from onnxprof.model.sources.hugging_face import parsed

        parsed(rest)
    elif scheme == "hub" and not re.fullmatch(r"[^@:]*\w[^@:]*(@\d+)?", rest):
        raise UsageError(
            "this names no model of the ONNX Model Zoo",
            where=reference,
            remedy="Write hub:NAME, and @OPSET behind it if need be",
        )


def published(facts: ModelFacts) -> ModelFacts:
    """The facts without the folder that the model lies in: records are made to be shown."""
    if is_remote(facts.reference):
        return facts
    return replace(facts, reference=Path(facts.reference).name)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL: open_model says so
        return False


def _refuse_absent(path: Path, reference: str) -> None:
    """Raise ModelError where there is nothing of that name, with what may have been meant."""
    try:
        if path.exists():
            return
    except (OSError, ValueError):  # too long, or with a NUL: open_model says so
        return
    raise ModelError("there is no such file", where=reference, remedy=_meant(reference))


def _meant(reference: str) -> str:
    if re.match(r"\w+://", reference):
        return "Download it first; zoo:NAME, hub:NAME and hf:ORG/REPO/FILE are fetched for you"
    if beside := _close_files(Path(reference)):
        return f"Did you mean {' or '.join(beside)}?"
    name = reference.removesuffix(".onnx")
    if not re.fullmatch(r"[\w.-]+", name):
        return "Check the path"
    from difflib import get_close_matches

    from onnxprof.zoo.catalogue import names

    close = get_close_matches(name.lower(), names(), n=3, cutoff=0.8 if name != reference else 0.6)
    close = [name.lower()] if name.lower() in close else close
    meant = f"Did you mean {' or '.join(f'zoo:{match}' for match in close)}? " if close else ""
    return f"{meant}onnxprof zoo list has the networks that come with onnxprof"


def _close_files(path: Path) -> list[str]:
    """Models in the same folder whose names are close, as the user would write them."""
    from difflib import get_close_matches

    try:
        with os.scandir(path.parent) as entries:
            there = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
    except (OSError, ValueError):
        return []
    models = [name for name in there if name.lower().endswith(".onnx")]
    close = get_close_matches(path.name, models, n=2, cutoff=0.8)
    return [str(path.with_name(name)) for name in close]


def _from_zoo(name: str, progress: Progress | None) -> Resolved:
    from onnxprof.zoo.materialisation import materialise

    advance = (lambda done, total: progress(name, done, total)) if progress else None
    return Resolved(Path(materialise(name, advance)), name, f"zoo:{name}")
