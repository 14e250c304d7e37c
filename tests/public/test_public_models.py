"""Models of others, out of published packages: read whole, and run as their suggestions say."""

from __future__ import annotations

import shlex
from functools import partial

import pytest

from onnxprof.checks.running import trouble
from onnxprof.errors import UsageError
from onnxprof.model.dims.grammar import Size, parse
from onnxprof.model.feeds import generate
from onnxprof.model.file import ModelFile, missing_dims, open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.model.sizing import sizing
from onnxprof.model.suggestion import refuse_missing
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import LayerTable
from tools.public.table import PublicModel, Refused, public_models

pytestmark = pytest.mark.public
#: And those that `python -m tools.public --all` has fetched.
TESTED = [model for model in public_models() if model.tested or model.path().is_file()]


each = pytest.mark.parametrize("listed", TESTED, ids=[model.name for model in TESTED])


def opened(listed: PublicModel) -> ModelFile:
    """The model; skips where its file is not there."""
    if not listed.path().is_file():
        pytest.skip("public models are not here: make test-public downloads them")
    return open_model(str(listed.path()))


def suggestion(model: ModelFile) -> dict[str, Size]:
    """What the first command's message suggests, as its words behind the next command are read."""
    if not missing_dims(model, {}):
        return {}
    with pytest.raises(UsageError, match="no size given") as caught:
        refuse_missing(model, sizing(model, {}), partial(trouble, model))
    words = shlex.split(caught.value.remedy.removeprefix("Add "))
    assert words[::2] == ["--dim"] * (len(words) // 2), caught.value.remedy
    return parse(words[1::2])


def ran(model: ModelFile, batch: int, sizes: dict[str, Size]) -> LayerTable:
    """The table at these sizes, at which onnxruntime has run the model."""
    dims = sizing(model, sizes).at(batch)
    table = inspect(model, batch, dims)
    work = Workload(prepare(model, table.batch, dims), table, generate(table), 1)
    with registry.backend("ort").open(work) as session:
        session.infer()
    return table


def unknown(table: LayerTable) -> list[str]:
    """Outputs whose shapes are not known whole."""
    return [
        output.name
        for layer in table.nodes
        for output in layer.outputs
        if output.shape is None or not all(isinstance(size, int) for size in output.shape)
    ]


@each
def test_what_is_suggested_is_what_the_graph_demands_and_runs(listed: PublicModel) -> None:
    model = opened(listed)
    found = suggestion(model)
    assert found == dict(listed.suggested)
    assert unknown(ran(model, 1, found)) == []
    two = ran(model, 2, found)
    assert two.batch == 2 or two.obstacle


@each
def test_the_sizes_that_the_package_feeds_run(listed: PublicModel) -> None:
    usual = dict(listed.usual or listed.suggested)
    table = ran(opened(listed), 1, usual)
    assert {name: size for name, size in table.dims if isinstance(usual[name], int)} == {
        name: size for name, size in usual.items() if isinstance(size, int)
    }


@pytest.mark.parametrize(
    ("listed", "refused"),
    [pytest.param(model, model.refused, id=model.name) for model in TESTED if model.refused],
)
def test_sizes_that_the_graph_does_not_take_are_refused_by_its_node(
    listed: PublicModel, refused: Refused
) -> None:
    model = opened(listed)
    dims = sizing(model, dict(refused.sizes)).at(refused.batch)
    told = trouble(model, refused.batch, dims)
    assert refused.node in told
    assert "refuses" in told
