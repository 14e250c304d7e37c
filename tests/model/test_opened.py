"""What a plan hands on of a model, and a file that changes in the meantime."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.networks import models

from onnxprof.errors import ModelError
from onnxprof.model.file import open_model
from onnxprof.model.opened import Opened, opened
from onnxprof.testing import sample_run


def test_an_opened_model_is_taken_over_without_its_file(tmp_path: Path) -> None:
    model = open_model(str(models.save(models.lenet(), tmp_path)))
    known = opened(model)
    again = known.unpacked()
    assert again.structure == model.structure
    assert (again.name, again.reference, again.path) == (model.name, model.reference, model.path)
    assert known.facts == model.facts()


def test_a_file_that_changed_after_planning_is_refused(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    known = opened(open_model(str(path)))
    content = path.read_bytes()
    path.write_bytes(content + b"\x72\x00")  # an empty field more
    with pytest.raises(ModelError, match="has changed since the measurement was planned"):
        known.unpacked()
    path.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        known.unpacked()
    path.write_bytes(content)  # written anew, with another time
    assert known.unpacked().path == path


def test_what_was_never_seen_is_read() -> None:
    with pytest.raises(EOFError):
        Opened(sample_run().model, Path("nowhere"), b"", ()).unpacked()
