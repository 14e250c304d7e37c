"""Plans in TOML: what they come to, and where in them a mistake is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.sweeps.plan_files import written

from onnxprof.errors import UsageError
from onnxprof.jobs.options import TABLE
from onnxprof.plugins import registry
from onnxprof.records.step import Granularity, Timer
from onnxprof.sweeps.plans.expand import expanded
from onnxprof.sweeps.plans.lines import lines_of
from onnxprof.sweeps.plans.read import KEYS, read_plan
from onnxprof.sweeps.plans.values import WORK
from onnxprof.sweeps.tasks import Task


@pytest.fixture(autouse=True)
def _backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "backend_names", lambda: ("openvino", "ort", "torch"))


def tasks(folder: Path, text: str) -> tuple[Task, ...]:
    return expanded(read_plan(written(folder, text))).tasks


def test_every_key_reaches_the_options(tmp_path: Path) -> None:
    (made,) = tasks(
        tmp_path,
        """
        [defaults]
        batch = 4
        threads = 3
        budget = 1
        granularity = "written"
        timer = "prefix"
        seed = 7
        processes = 2
        parity = false
        verify = false
        telemetry = false
        allocations = true
        optimization-level = "basic"
        session-option = {"session.disable_prepacking" = true, A = "x"}
        provider-option.use_tf32 = 0
        timeout = 30
        memory = 1.5
        force = true
        dim.length = 5
        [[models]]
        name = "a.onnx"
        inputs = "in.npz"
        dim = {width = 6}
        [[backends]]
        name = "openvino"
        device = "gpu"
        provider = "latency"
        """,
    )
    options = made.options
    assert options.models == (str(tmp_path / "a.onnx"),)
    assert (options.backend, options.device, options.provider) == ("openvino", "gpu", "latency")
    assert (options.batches, options.threads, options.seed, options.processes) == ((4,), 3, 7, 2)
    assert options.budget.seconds == 1.0
    assert (options.granularity, options.timer) == (Granularity.WRITTEN, Timer.PREFIX)
    switches = (options.parity, options.verify, options.telemetry, options.allocations)
    assert switches == (False, False, False, True)
    assert options.optimization_level == "basic"
    assert options.session_options == (("A", "x"), ("session.disable_prepacking", "1"))
    assert options.provider_options == (("use_tf32", "0"),)
    assert (options.limits.seconds, options.limits.memory_bytes) == (30.0, 3 << 29)
    assert dict(options.dims) == {"length": 5, "width": 6}
    assert made.optional_dims == ("length",)
    assert options.inputs == str(tmp_path / "in.npz")
    assert made.force


def test_every_option_of_a_measurement_is_a_key_of_a_plan() -> None:
    of_models = {"name"} | set(KEYS["models"])
    named = {option.name for option in TABLE.values()} | set(WORK)
    assert named - of_models == {"backend", "device", "provider", "runtime"}
    assert named - set(KEYS["defaults"]) == {"backend", "inputs"}


def test_options_of_a_runtime_are_multiplied_out(tmp_path: Path) -> None:
    found = tasks(
        tmp_path,
        """
        [[models]]
        name = "a.onnx"
        [[backends]]
        name = "ort"
        optimization-level = ["basic", "all"]
        session-option = {a = [0, 1], b = "x"}
        """,
    )
    assert [(t.options.optimization_level, t.options.session_options) for t in found] == [
        (level, (("a", a), ("b", "x"))) for level in ("basic", "all") for a in ("0", "1")
    ]
    assert len({task.key for task in found}) == 4


@pytest.mark.parametrize("given", ["1", '"a=1"', "{}", "{a = []}", "{a = 1.5}", "{a = {b = 1}}"])
def test_options_of_a_runtime_are_a_table(given: str, tmp_path: Path) -> None:
    text = f'[[models]]\nname = "a.onnx"\nsession-option = {given}\n'
    with pytest.raises(UsageError, match=r"line 3.*takes a table of names") as caught:
        tasks(tmp_path, text)
    assert "session-option = " in str(caught.value)


def test_options_of_a_runtime_are_excluded_by_any_of_them(tmp_path: Path) -> None:
    from onnxprof.sweeps.plans.expand import excluded

    plan = read_plan(
        written(
            tmp_path,
            """
            [[models]]
            name = "a.onnx"
            [defaults]
            session-option = {a = [0, 1], b = "x"}
            optimization-level = ["basic", "all"]
            [[exclude]]
            session-option = {a = 1}
            optimization-level = "all"
            """,
        )
    )
    kept = excluded(plan, expanded(plan).tasks)
    assert not kept.notes
    assert len(kept.tasks) == 3


def test_versions_of_a_runtime_are_multiplied_out_and_bring_their_backend(tmp_path: Path) -> None:
    found = tasks(
        tmp_path,
        """
        [defaults]
        runtime = ["", "onnxruntime == 1.22.1", "openvino==2026.3"]
        [[models]]
        name = "a.onnx"
        """,
    )
    assert [(task.options.backend, task.options.runtime) for task in found] == [
        ("ort", ""),
        ("ort", "onnxruntime==1.22.1"),
        ("openvino", "openvino==2026.3"),
    ]
    assert [task.job(1).runtime for task in found] == [task.options.runtime for task in found]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[defaults]\nruntime = "onnxruntime>=1.22"\n[[models]]\nname = "a.onnx"\n',
            'line 2: runtime = "onnxruntime>=1.22". runtime takes a package and one version',
        ),
        (
            '[[models]]\nname = "a.onnx"\n[[backends]]\nname = ["ort", "torch"]\n'
            'runtime = "torch==2.0"\n',
            "line 3: torch is a runtime of the backend torch, not of ort",
        ),
        (
            '[[models]]\nname = "a.onnx"\n[[backends]]\nname = "ort"\nruntime = "numpy==2.0"\n',
            "line 3: numpy is the package of no backend here",
        ),
        (
            '[[models]]\nname = "a.onnx"\nruntime = "onnxruntime==1.22.1"\n',
            "line 3: [[models]] has no key 'runtime'",
        ),
    ],
)
def test_a_version_that_makes_no_sense_is_refused_with_its_line(
    text: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        tasks(tmp_path, text)
    assert told in str(caught.value)


def test_versions_of_a_runtime_are_excluded_by_pattern(tmp_path: Path) -> None:
    from onnxprof.sweeps.plans.expand import excluded

    text = """
        [defaults]
        runtime = ["", "onnxruntime==1.22.1", "onnxruntime==1.23.2"]
        [[models]]
        name = "a.onnx"
        [[exclude]]
        runtime = "onnxruntime==1.22*"
        """
    plan = read_plan(written(tmp_path, text))
    kept = excluded(plan, expanded(plan).tasks)
    assert [task.options.runtime for task in kept.tasks] == ["", "onnxruntime==1.23.2"]


def test_a_model_goes_before_a_backend_and_that_before_the_defaults(tmp_path: Path) -> None:
    found = tasks(
        tmp_path,
        """
        [defaults]
        threads = 1
        budget = 1
        seed = 1
        dim.n = 1
        [[models]]
        name = "a.onnx"
        threads = 3
        dim.n = 3
        [[models]]
        name = "b.onnx"
        [[backends]]
        name = "ort"
        threads = 2
        budget = 2
        dim.n = 2
        """,
    )
    given = [
        (t.options.threads, t.options.budget.seconds, t.options.seed, t.options.dims) for t in found
    ]
    assert given == [(3, 2.0, 1, (("n", 3),)), (2, 2.0, 1, (("n", 2),))]
    assert [t.optional_dims for t in found] == [(), ("n",)]


def test_without_backends_it_is_onnxruntime_and_without_batches_one(tmp_path: Path) -> None:
    (made,) = tasks(tmp_path, '[[models]]\nname = "zoo:lenet"\n')
    assert (made.options.backend, made.options.batches) == ("ort", (1,))


def test_families_patterns_and_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("b.onnx", "a.onnx", "c.txt", "deep/d.onnx", "odd[1].onnx"):
        (tmp_path / name).write_text("")
    found = tasks(
        tmp_path,
        """
        [[models]]
        name = ["zoo:resnet18*", "zoo:family=light", "**/[abd].onnx", "hub:x@7", "odd[1].onnx"]
        """,
    )
    names = [made.model for made in found]
    assert names[:2] == ["zoo:resnet18", "zoo:resnet18-v2"]
    assert "zoo:lenet" in names
    files = [str(tmp_path / name) for name in ("a.onnx", "b.onnx", "deep/d.onnx")]
    assert names[-5:] == [*files, "hub:x@7", str(tmp_path / "odd[1].onnx")]


def test_a_pattern_without_a_file_is_noted_and_the_others_stay(tmp_path: Path) -> None:
    plan = written(tmp_path, '[[models]]\nname = ["*.onnx", "zoo:lenet"]\n')
    found = expanded(read_plan(plan))
    assert [made.model for made in found.tasks] == ["zoo:lenet"]
    assert found.notes == (f"{plan}, line 1: *.onnx matches no file",)


def test_what_two_entries_ask_for_is_one_task(tmp_path: Path) -> None:
    text = """
    [[models]]
    name = "zoo:lenet"
    batch = [1, 8]
    [[models]]
    name = "zoo:family=light"
    batch = [8, 2]
    """
    (made,) = [made for made in tasks(tmp_path, text) if made.model == "zoo:lenet"]
    assert made.options.batches == (1, 8, 2)


def test_windows_line_ends_and_a_mark_of_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(b'\xef\xbb\xbf[[models]]\r\nname = "zoo:lenet"\r\nbatch = 8\r\n')
    (made,) = expanded(read_plan(path)).tasks
    assert made.options.batches == (8,)


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a = 1\nb = 2\n", ("b",), 2),
        ("[t]\na.b = 1\n", ("t", "a", "b"), 2),
        ("[[t]]\n[[t]]\n'a' = 1\n", ("t", 1, "a"), 3),
        ("[[t]]\nx = [ # ]\n  '[',\n]\ny = 1\n", ("t", 0, "y"), 5),
        ("x = '''\n[t]\n'''\n[t]\ny=1\n", ("t",), 4),
        ("x = {a = 1, b = [2]}\ny = 3\n", ("y",), 2),
        ('x = "]" # [\ny = 3\n', ("y",), 2),
        ("[a.b]\n[[a.c]]\n[a.c.d]\ne = 1\n", ("a", "c", 0, "d", "e"), 4),
        ("x = 1\n", ("nowhere", 3), 1),
        ('x = """never', ("x",), 1),
    ],
)
def test_the_lines_of_keys(text: str, path: tuple[Any, ...], line: int) -> None:
    assert lines_of(text).of(*path) == line
