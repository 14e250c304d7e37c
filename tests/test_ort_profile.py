"""Reading onnxruntime's profile events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onnxprof.backends.ort_profile import collect, keys_by_node, read_profile
from onnxprof.contracts import BackendError


def kernel(name: str, ts: int, dur: int, op: str = "Conv", index: int = 0) -> dict:
    args = {"op_name": op, "node_index": str(index), "provider": "CPUExecutionProvider"}
    args["output_type_shape"] = [{"float": [1, 2]}, {"int64": []}]
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def run(ts: int, dur: int) -> dict:
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


def test_times_are_summed_for_each_inference() -> None:
    events = [kernel("a", 1, 5), kernel("b", 7, 3, index=1), run(0, 11)]
    events += [kernel("a", 21, 6), kernel("b", 28, 2, index=1), run(20, 11)]
    profile = collect(events, ())
    assert profile.inferences == 2
    assert profile.steps["a", "Conv", "0"] == {0: 5000, 1: 6000}
    assert profile.steps["b", "Conv", "1"] == {0: 3000, 1: 2000}
    assert profile.shapes["a", "Conv", "0"] == (("float32", (1, 2)), ("int64", ()))


def test_a_control_flow_node_is_charged_only_for_itself() -> None:
    events = [
        kernel("before", 0, 4),
        kernel("inner", 6, 3, index=1),
        kernel("inner", 10, 3, index=1),  # a loop's second turn
        kernel("loop", 5, 10, "Loop", 2),
        run(0, 20),
    ]
    profile = collect(events, {"loop"})
    assert profile.steps["loop", "Loop", "2"] == {0: 4000}
    assert profile.steps["inner", "Conv", "1"] == {0: 6000}
    assert profile.steps["before", "Conv", "0"] == {0: 4000}


def test_nested_control_flow_subtracts_everything_inside_once() -> None:
    events = [
        kernel("leaf", 3, 2, index=0),
        kernel("inner_if", 2, 4, "If", 1),
        kernel("outer_if", 1, 7, "If", 2),
        run(0, 9),
    ]
    profile = collect(events, {"inner_if", "outer_if"})
    own = {key[0]: times[0] for key, times in profile.steps.items()}
    assert own == {"leaf": 2000, "inner_if": 2000, "outer_if": 3000}


def test_a_step_that_an_inference_skips_has_no_time_there() -> None:
    events = [kernel("a", 1, 5), run(0, 7), run(8, 1), kernel("a", 11, 5), run(10, 7)]
    assert collect(events, ()).steps["a", "Conv", "0"] == {0: 5000, 2: 5000}


def test_a_truncated_profile_keeps_its_whole_inferences(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    cut = [kernel("a", 11, 6), {"name": "profile_truncated", "cat": "Session"}]
    file.write_text(json.dumps([kernel("a", 1, 5), run(0, 7), *cut]))
    found = read_profile(file, ())
    assert found.inferences == 1
    assert found.steps["a", "Conv", "0"] == {0: 5000}
    file.write_text(json.dumps(cut))
    with pytest.raises(BackendError, match="more events than"):
        read_profile(file, ())


def test_a_node_that_is_named_as_the_profile_names_one_without_a_name() -> None:
    named, unnamed, other = (
        ("Equal_0", "Equal", "0"),
        ("Equal_2", "Equal", "2"),
        ("e", "Equal", "1"),
    )
    nodes = [("Equal_0", "Equal"), ("e", "Equal"), ("", "Equal")]
    found = keys_by_node([named, other, unnamed], nodes)
    assert found == {nodes[0]: [named], nodes[1]: [other], nodes[2]: [unnamed]}


def test_a_name_that_another_node_has_in_truth_belongs_to_that_one() -> None:
    unnamed, named = ("Equal_2", "Equal", "2"), ("Equal_2", "Equal", "5")
    for keys in ([unnamed, named], [named, unnamed]):
        found = keys_by_node(keys, [("", "Equal"), ("Equal_2", "Equal")])
        assert found == {("", "Equal"): [unnamed], ("Equal_2", "Equal"): [named]}
    alike = [("Equal_2", "Equal", "7"), unnamed]
    assert keys_by_node(alike, [("Equal_2", "Equal")] * 2) == {("Equal_2", "Equal"): alike}
