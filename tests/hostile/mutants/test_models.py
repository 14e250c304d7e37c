"""Damaged models: a table or one clear error, within memory, and never a traceback."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest
from modelmutants import mutants

from onnxprof.errors import OnnxprofError
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.processes.confined import Limits, confined
from onnxprof.publish.tables import layers

_LIMITS = Limits(3000, 4 << 30)


def look(path: Path) -> str:
    """What `inspect` and the preparations of `profile` do with a file."""
    model = open_model(str(path))
    for batch in (1, 3):
        table = inspect(model, batch)
        layers.to_csv([table])
        layers.to_json([table])
    prepare(model, 2, {})
    return "good"


def try_all(seed: int, count: int, folder: Path) -> dict[str, int]:
    """Runs in a process of its own, which a crash would end."""
    seen = {"good": 0, "refused": 0}
    for what, data in mutants(seed, count):
        path = folder / "m.onnx"
        path.write_bytes(data)
        try:
            seen[look(path)] += 1
        except OnnxprofError as error:
            seen["refused"] += 1
            if "\n" in str(error):
                raise AssertionError(f"mutant {what}: {error}") from error
        except Exception as error:
            raise AssertionError(f"mutant {what}: {type(error).__name__}: {error}") from error
    return seen


def test_mutants_of_models_are_refused_or_listed(tmp_path: Path) -> None:
    work = partial(try_all, random.randrange(1000), 200, tmp_path)
    seen = confined(work, _LIMITS, "trying mutants", writes=[tmp_path])
    assert min(seen.values()) > 5


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(20))
def test_thousands_of_mutants_of_models(seed: int, tmp_path: Path) -> None:
    work = partial(try_all, 1000 + seed, 250, tmp_path)
    confined(work, _LIMITS, "trying mutants", writes=[tmp_path])
