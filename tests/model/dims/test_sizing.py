"""The sizes that a model's axes come to: given, declared, of arrays, tied to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.axes import axes_models
from support.networks import models

from onnxprof.errors import UsageError
from onnxprof.model.file import ModelFile, open_model
from onnxprof.model.layers import inspect
from onnxprof.model.sizing import sizing


def opened(made: Any, folder: Path) -> ModelFile:
    return open_model(str(models.save(made, folder)))


def declaring(**dims: int) -> Any:
    made = axes_models.two_axes()
    for name, size in dims.items():
        entry = made.metadata_props.add()
        entry.key, entry.value = "onnxprof.dims", f'{{"{name}": {size}}}'
    return made


def test_a_tie_follows_what_it_is_tied_to(tmp_path: Path) -> None:
    model = opened(axes_models.decoder(), tmp_path)
    asked = {
        "past_sequence_length": 0,
        "sequence_length": 4,
        "total_sequence_length": "past_sequence_length+sequence_length",
    }
    sizes = sizing(model, asked)
    table = inspect(model, 2, sizes.at(2))
    assert dict(table.dims) == {**asked, "total_sequence_length": 4}
    assert {t.name: t.shape for layer in table.nodes for t in layer.outputs}["scores"] == (2, 4, 4)


def test_a_tie_to_the_batch(tmp_path: Path) -> None:
    model = opened(axes_models.two_axes(), tmp_path)
    for name in ("batch", "2*batch"):
        sizes = sizing(model, {"height": name, "width": "height+1"})
        assert sizes.at(3)["height"] == (3 if name == "batch" else 6)
        assert sizes.at(4)["width"] == sizes.at(4)["height"] + 1
    decoder = opened(axes_models.decoder(), tmp_path)
    asked = {"sequence_length": "batch", "past_sequence_length": "batch_size+1"}
    assert sizing(decoder, asked).at(2) == {"sequence_length": 2, "past_sequence_length": 3}


def test_a_declared_size_stands_for_what_is_not_given(tmp_path: Path) -> None:
    model = opened(declaring(height=7), tmp_path)
    assert sizing(model, {}).at(1) == {"height": 7}
    assert sizing(model, {"width": "height+1"}).at(1) == {"height": 7, "width": 8}
    assert sizing(model, {"height": 0, "width": "height"}).at(1) == {"height": 0, "width": 0}


def test_arrays_give_sizes_and_what_is_asked_goes_before(tmp_path: Path) -> None:
    model = opened(axes_models.two_axes(), tmp_path)
    assert sizing(model, {"width": "2*height"}, {"height": 3, "width": 9}).at(1) == {
        "height": 3,
        "width": 6,
    }


def test_an_axis_that_the_model_lacks_is_refused_by_name(tmp_path: Path) -> None:
    model = opened(axes_models.two_axes(), tmp_path)
    with pytest.raises(UsageError, match="no symbolic axis 'depth'") as caught:
        sizing(model, {"width": "depth+1"})
    assert "height" in caught.value.remedy
    with pytest.raises(UsageError, match="no symbolic axis 'depth'"):
        sizing(model, {"depth": "width+1"})


def test_what_is_tied_to_an_axis_without_a_size_stays_open(tmp_path: Path) -> None:
    model = opened(axes_models.two_axes(), tmp_path)
    sizes = sizing(model, {"width": "height+1"})
    assert sizes.at(1) == {}
    assert sizes.beside({"height": 0}).at(1) == {"width": 1, "height": 0}


def test_a_tie_names_axes_as_the_model_does(tmp_path: Path) -> None:
    made = models.model(
        [models.node("Relu", ["x"], ["y"])],
        [models.value("x", ["N", "past-length", "my total"])],
        [models.value("y", None)],
    )
    model = opened(made, tmp_path)
    for tie in ("past-length+2", "{past-length}+2", "past-length+2*batch"):
        asked = {"past-length": 3, "my total": tie}
        assert sizing(model, asked).at(1) == {"past-length": 3, "my total": 5}
    assert sizing(model, {"past-length": "{my total}+1", "my total": 4}).at(1)["past-length"] == 5
    with pytest.raises(UsageError, match="no symbolic axis 'past'"):
        sizing(model, {"past-length": 3, "my total": "past+1"})
