"""Networks whose weights lie in a file beside the model: made, verified, copied, cleared, run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, numpy_helper

from onnxprof import zoo
from onnxprof.errors import ModelError
from onnxprof.zoo import materialisation
from onnxprof.zoo.declaration import Entry, Input, data_name
from onnxprof.zoo.making import rules, skeleton
from onnxprof.zoo.making.recipe import read
from onnxprof.zoo.making.stream import digest_pieces
from onnxprof.zoo.sources.genai import decoder
from onnxprof.zoo.sources.sizes import Sizes

#: A decoder of two layers.
SMALL = Sizes(2, 64, 96, 4, 2, 100, 300, 1e4, 1e-5, biased=True, tied=True)
NAME = "small-0.1b-int4"


def _entry() -> Entry:
    cache = tuple(
        Input(f"past_key_values.{layer}.{part}", ("batch", 2, "past_sequence_length", 16))
        for layer in range(2)
        for part in ("key", "value")
    )
    item = zoo.entry("qwen-0.5b-int4")
    return replace(item, name=NAME, inputs=(*item.inputs[:2], *cache))


def _model(item: Entry, location: str) -> ModelProto:
    model = decoder(SMALL, item, "float32", quantised=True)
    rules.assign(model, NAME, lambda _: 1.0)
    model.metadata_props.add(key=skeleton.DATA_KEY, value=location)
    return model


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entry]:
    """The decoder as a network of the zoo, the only one."""
    item, path = _entry(), tmp_path / "skeleton.onnx"
    path.write_bytes(_model(item, "unnamed").SerializeToString(deterministic=True))
    data = digest_pieces(skeleton.read_data(path))
    model = _model(item, data_name(NAME, data))
    path.write_bytes(model.SerializeToString(deterministic=True))
    pieces, outside = skeleton.read(path), skeleton.read_data(path)
    item = replace(
        item,
        bytes=skeleton.size(pieces) + skeleton.size(outside),
        sha256=digest_pieces(pieces),
        data_bytes=skeleton.size(outside),
        data_sha256=data,
    )
    monkeypatch.setattr(materialisation, "entry", lambda _: item)
    monkeypatch.setattr(materialisation, "skeleton_path", lambda _: path)
    return item


def test_both_files_are_made_verified_and_kept(network: Entry, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = zoo.materialise(NAME, lambda *step: seen.append(step), tmp_path)
    data = path.with_name(network.data_name)
    assert path.stat().st_size + data.stat().st_size == network.bytes
    assert data.name == f"{NAME}-{network.data_sha256[:12]}.onnx.data"
    assert seen == sorted(seen)
    assert seen[-1] == (network.bytes, network.bytes)
    before = [each.stat() for each in (path, data)]
    assert zoo.materialise(NAME, cache=tmp_path) == path
    assert [each.stat() for each in (path, data)] == before


@pytest.mark.parametrize("damage", ["flipped", "short", "gone"])
def test_damaged_data_is_made_again_and_the_model_stays(
    damage: str, network: Entry, tmp_path: Path
) -> None:
    path = zoo.materialise(NAME, cache=tmp_path)
    data, model = path.with_name(network.data_name), path.stat()
    good = data.read_bytes()
    if damage == "gone":
        data.unlink()
    else:
        flipped = bytes([good[0] ^ 1]) + good[1:]
        data.write_bytes({"flipped": flipped, "short": good[:-1]}[damage])
    assert zoo.materialise(NAME, cache=tmp_path) == path
    assert data.read_bytes() == good
    assert path.stat() == model


def test_data_of_other_bytes_is_refused(
    network: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialisation, "entry", lambda _: replace(network, data_sha256="0" * 64))
    with pytest.raises(ModelError, match="not the published 000000000000"):
        zoo.materialise(NAME, cache=tmp_path)
    assert not list((tmp_path / "zoo").iterdir())


def test_a_copy_has_both_files_and_runs(network: Entry, tmp_path: Path) -> None:
    made = zoo.materialise(NAME, cache=tmp_path)
    (tmp_path / "out").mkdir()
    copy = materialisation.copy_out(network, made, tmp_path / "out" / "mine.onnx")
    assert sorted(p.name for p in copy.parent.iterdir()) == ["mine.onnx", network.data_name]
    ids = np.zeros((1, 2), np.int64)
    logits = _session(copy).run(["logits"], _feeds(ids, _empty(1)))[0]
    assert logits.shape == (1, 2, SMALL.vocabulary)


def test_clearing_takes_both_files(network: Entry, tmp_path: Path) -> None:
    zoo.materialise(NAME, cache=tmp_path)
    assert materialisation.clear(NAME, tmp_path) >= network.bytes
    assert not list((tmp_path / "zoo").iterdir())


def test_a_hollow_file_has_the_shapes_and_the_sizes(
    network: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    path = materialisation.hollow(NAME, tmp_path)
    assert (tmp_path / network.data_name).stat().st_size == network.data_bytes
    tensors = {t.name: t for t in onnx.load(path, load_external_data=False).graph.initializer}
    assert list(tensors["lm_head.MatMul.weight_Q4"].dims) == [100, 2, 16]


@pytest.mark.usefixtures("network")
def test_external_data_lies_where_the_model_says(tmp_path: Path) -> None:
    small = zoo.materialise(NAME, cache=tmp_path)
    model = onnx.load(small)
    recipes = {t.name: t for t in _model(_entry(), "").graph.initializer}
    for tensor in model.graph.initializer:
        recipe = next((e.value for e in recipes[tensor.name].metadata_props), "")
        if recipe:
            held = numpy_helper.to_array(tensor)
            expected = read(recipe).values(held.dtype.str.lstrip("|"), 0, held.size)
            assert np.array_equal(held.ravel(), expected), tensor.name
    outside = onnx.load(small, load_external_data=False).graph.initializer
    offsets = [
        int(entry.value)
        for tensor in outside
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    assert len(offsets) == len(set(offsets)) > 10
    assert all(offset % skeleton.ALIGNMENT == 0 for offset in offsets)
    assert all(t.data_location == TensorProto.EXTERNAL for t in outside if t.external_data)


def _session(path: Path) -> Any:
    ort = pytest.importorskip("onnxruntime")
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def _empty(batch: int) -> list[np.ndarray]:
    return [np.zeros((batch, SMALL.groups, 0, SMALL.head), np.float32)] * 4


def _feeds(ids: np.ndarray, past: list[np.ndarray]) -> dict[str, np.ndarray]:
    total = ids.shape[1] + past[0].shape[2]
    names = [f"past_key_values.{at // 2}.{('key', 'value')[at % 2]}" for at in range(len(past))]
    return {
        "input_ids": ids,
        "attention_mask": np.ones((ids.shape[0], total), np.int64),
        **dict(zip(names, past, strict=True)),
    }


@pytest.mark.usefixtures("network")
def test_a_prompt_and_its_tokens_one_by_one_give_the_same(tmp_path: Path) -> None:
    """Positions, masks and caches fit together, from an empty past on."""
    session = _session(zoo.materialise(NAME, cache=tmp_path))
    ids = np.random.default_rng(0).integers(0, SMALL.vocabulary, (2, 7))
    empty = _empty(2)
    whole, *states = session.run(None, _feeds(ids, empty))
    past, steps = empty, []
    for at in range(ids.shape[1]):
        logits, *past = session.run(None, _feeds(ids[:, at : at + 1], past))
        steps.append(logits)
    # Products of integers of eight bits round each row by its own scale.
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, atol=0.1)
    assert [state.shape for state in past] == [state.shape for state in states]
    assert past[0].shape == (2, SMALL.groups, 7, SMALL.head)
    assert np.abs(whole).max() > 1
