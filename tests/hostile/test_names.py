"""Layers of one name: naming them is linear work, and each is listed under a name of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import models
import pytest
from onnx import ModelProto, helper

from onnxprof.graph import unused
from onnxprof.inspector import inspect
from onnxprof.modelfile import open_model
from onnxprof.publish import layertable

#: A count of layers and how many times as many; work that grows with the square grows by 16.
FEW, TIMES, MOST = 200, 4, 6.0


def chain(names: list[str], op_type: str = "Relu", **more: object) -> ModelProto:
    nodes = [helper.make_node(op_type, [f"t{i}"], [f"t{i + 1}"], n) for i, n in enumerate(names)]
    for node in nodes:
        node.domain = str(more.get("domain", ""))
    ends = [models.value("t0", ["N", 4])], [models.value(f"t{len(names)}", None)]
    functions = more.get("functions", [])
    return models.model(nodes, *ends, domains=["my"] if functions else [], functions=functions)


def same(count: int) -> ModelProto:
    return chain(["same"] * count)


def taken(count: int) -> ModelProto:
    """The names that would be given next are taken."""
    return chain([f"same#{i}" for i in range(2, count)] + ["same"] * count)


def calls(count: int) -> ModelProto:
    """Calls of one local function, all of the same name."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    body = [helper.make_node("Relu", ["a"], ["b"], "same")]
    function = helper.make_function("my", "F", ["a"], ["b"], body, imports)
    return chain(["same"] * count, "F", domain="my", functions=[function])


def opened(path: Path) -> None:
    open_model(str(path))


def listed(path: Path) -> None:
    layertable.to_csv([inspect(open_model(str(path)), 3)])


def calls_made(work: Callable[[Path], None], path: Path) -> int:
    """How many functions are called for a file, those of C as well."""
    made = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work(path)
    finally:
        sys.setprofile(before)
    return made


@pytest.mark.parametrize("build", [same, taken, calls])
@pytest.mark.parametrize("work", [opened, listed])
def test_the_work_grows_no_faster_than_the_layers(
    build: Callable[[int], ModelProto], work: Callable[[Path], None], tmp_path: Path
) -> None:
    work(models.save(build(2), tmp_path, "first.onnx"))  # what is worked out once
    few = calls_made(work, models.save(build(FEW), tmp_path, "few.onnx"))
    many = calls_made(work, models.save(build(FEW * TIMES), tmp_path, "many.onnx"))
    assert few > FEW
    assert many < MOST * few


def test_looking_for_a_free_name_goes_on_where_it_left_off() -> None:
    given: set[str] = set()
    asked: list[str] = []
    tried: dict[str, int] = {}

    def is_taken(name: str) -> bool:
        asked.append(name)
        return name in given

    for _ in range(1000):
        given.add(unused("same", is_taken, tried))
    assert len(given) == 1000
    assert len(asked) <= 3000


def test_each_layer_of_one_name_is_listed(tmp_path: Path) -> None:
    models.save(same(2000), tmp_path, "s.onnx")
    words = [sys.executable, "-m", "onnxprof", "inspect", "s.onnx", "--format", "json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(done.stdout))
    assert '"same"' in text
    assert '"same#2000"' in text
    assert '"same#2001"' not in text
