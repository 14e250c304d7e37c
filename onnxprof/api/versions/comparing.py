"""`onnxprof.compare_versions`: what a version of a runtime made slower, and which was the first."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from onnxprof import folders
from onnxprof.api.base.door import public
from onnxprof.api.base.models import Model, referred
from onnxprof.api.base.progress import Line
from onnxprof.api.comparing import LineMeter, compared, in_turn_options, texts_of
from onnxprof.api.in_turn import measured, planned
from onnxprof.api.options import Measuring, fields_of, sizes
from onnxprof.api.versions import conduct
from onnxprof.errors import UsageError
from onnxprof.store.folder import Store

if TYPE_CHECKING:
    from onnxprof.api.results.versions import VersionsCompared
    from onnxprof.compare.pairing import Pairing


@public
def compare_versions(
    model: Model,
    a: str,
    b: str = "",
    *,
    bisect: bool = False,
    threshold: float = 0.02,
    limit: int | None = 12,
    batches: int | Iterable[int] = 1,
    phases: str | Iterable[str] = (),
    store: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Unpack[Measuring],
) -> VersionsCompared:
    """Say what is slower or faster with version B of a runtime than with version A.

    Both are named as pip has them, `onnxruntime==1.22.1`; B may be left out for the installed one.
    What is not in the cache is downloaded and installed apart; this environment stays as it is.
    The model is measured with both in turn, ten pairs of processes in ten seconds unless
    `processes` and `budget` say otherwise. `bisect` searches between A and B for the first version
    that is slower, at one batch, size and phase. `phases` of models with states are as in
    `profile`. `store` is where the runs are kept. Raises UsageError for
    versions that do not go together, BackendError for one that cannot be installed or measured.

    >>> import onnxprof as op
    >>> op.compare_versions("zoo:lenet", "onnxruntime")
    Traceback (most recent call last):
    onnxprof.errors.UsageError: a cannot be 'onnxruntime'. Give a package and one version, ...
    """
    from onnxprof.api.results.versions import VersionsCompared

    runtimes = [_version("a", a), *([_version("b", b)] if b else [])]
    if bisect and not b:
        raise UsageError("bisect needs both ends, and b is not given", remedy="Name the slow one")
    if "runtime" in options:
        raise UsageError("runtime is given beside a and b", remedy="Give versions as a and b")
    asked = in_turn_options(fields_of(options) | {"batches": sizes(batches)})
    texts = texts_of(phases)
    place = None if store is None else Store(folders.store(Path(store)))
    if place is not None:
        place.check_writable()
    judge = partial(compared, threshold=threshold, force=False, in_turn=True)
    with ExitStack() as opened:
        line = Line(progress)
        opened.callback(line.clear)

        def measure(sides: conduct.Sides, *, brief: bool, hear: conduct.Say) -> Pairing:
            found = planned(sides, hear, phases=texts)
            return measured(found, place, LineMeter(line), line.note, brief=brief)

        [reference] = opened.enter_context(referred(model))
        given = replace(asked, models=(reference,))
        found = conduct.compared(given, runtimes, bisect, measure, judge, line.note, texts)
        return VersionsCompared(found[0], limit, found[1])


def _version(name: str, text: str) -> str:
    try:
        return str(fields_of({"runtime": text})["runtime"])
    except UsageError as error:
        what = error.what.replace("runtime", name, 1)
        raise UsageError(what, remedy=error.remedy) from None
