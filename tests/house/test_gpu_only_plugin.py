"""A stranger's package with a backend that has no CPU: every command works with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from support.habits.commands import Done, program
from support.networks import models
from test_plugins import distribution

PLUGIN = """
    from onnxprof.errors import BackendError
    from onnxprof.plugins.readers import (
        FileOption, FileReader, Recorded, Unit, milliseconds, nanoseconds, parsed,
    )
    from onnxprof.plugins.verbs import SelfTest, Verdict
    from onnxprof.provenance.names import Evidence
    from onnxprof.records.device import Availability, Device
    from onnxprof.records.run import Origin
    from onnxprof.testing import FakeBackend

    class Xpu(FakeBackend):
        def __init__(self):
            super().__init__(name="xpu")

        def availability(self):
            return tuple(Availability("xpu", d.id, True, "xpurt 1.0") for d in self.devices())

        def devices(self):
            return tuple(Device(f"xpu:{i}:acme-x1", "xpu", "Acme X1", 8 << 30) for i in range(2))

        def packages(self):
            return ("xpurt", "xpurt-lite")

        def readers(self):
            log = FileOption("--xpu-log", "What xpuprof wrote.", ("xpu_layers",))
            notes = FileOption("--xpu-notes", "What xpuprof --notes wrote.", ("xpu_notes",))
            stolen = FileReader("thief", (FileOption("--profile", "Another's option."),), read)
            return (FileReader("xpuprof", (log, notes), read), stolen)

        def self_test(self):
            verdicts = (Verdict("add"), Verdict("round", "0.5 gives 1"))
            return SelfTest("xpurt 1.0", "kernel tests of xpurt", verdicts)

        def _session(self, workload, traced_cost_ns):
            self.step_ns = [1000] * len(workload.table.nodes)
            return super()._session(workload, traced_cost_ns)

    def read(files):
        def recorded(names, table):
            source = files["--xpu-log"]
            rows = parsed(source, layers)
            return Recorded(
                Origin("xpuprof", "xpu counters", 1, True, (source.digest,)),
                backend="xpu",
                device_kind="xpu",
                units=tuple(
                    Unit(name, "", Evidence("log", names.named(name), (name,), exact=False))
                    for name, _ in rows
                ),
                unit_ns=nanoseconds([ms for _, ms in rows]).reshape(-1, 1),
                lacks=("there are no latencies",),
            )
        return recorded

    def layers(data):
        if "xpu_layers" not in data:
            raise BackendError("no log of xpuprof")
        return [(name, milliseconds(ms, name)) for name, ms in data["xpu_layers"].items()]

    class Gone(Xpu):
        def __init__(self):
            super().__init__()
            self.name = "gone"

        def availability(self):
            return (Availability("gone", "xpu", False, "no driver of Acme's", "Install it"),)

        def devices(self):
            return ()

        def packages(self):
            raise OSError("no driver of Acme's")

        readers = self_test = packages

    class Before(Xpu):  # written for the contract that had a number of inferences
        def __init__(self):
            super().__init__()
            self.name = "before"

        def open_traced(self, workload, inferences):
            assert inferences > 0
            return super().open_traced(workload)
"""
POINTS = """
    [onnxprof.backends]
    xpu = acme_plugin:Xpu
    gone = acme_plugin:Gone
    before = acme_plugin:Before
"""
LOG = json.dumps({"xpu_layers": {"Convolution28": 0.5, "ReLU32": 0.25}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the package and its runtime in `site`, a model, and a log of a profiler.

    There is no torch, whose own tests take half a minute.
    """
    root = tmp_path_factory.mktemp("acme")
    distribution(root / "site", "acme", POINTS, "1.0")
    distribution(root / "site", "xpurt", "", "1.0")
    (root / "site" / "acme_plugin.py").write_text(dedent(PLUGIN))
    (root / "site" / "torch.py").write_text("raise ImportError('not here')")
    models.save(models.lenet(), root, "net.onnx")
    (root / "log.json").write_text(LOG)
    with program(root, root / "site") as PROGRAMS[root]:
        for rest in ("", "--device all --store every"):
            measured = f"profile net.onnx --backend xpu --batch 1,2 --budget 0.1 {rest}"
            done = command(root, measured)
            assert done.code == 0, done.err
        yield root


#: What runs the commands in a folder.
PROGRAMS: dict[Path, Callable[..., Done]] = {}


def command(folder: Path, line: str) -> Done:
    return PROGRAMS[folder](*line.split())


def test_its_first_device_is_measured_on(folder: Path) -> None:
    done = command(folder, "runs list --format json")
    runs = json.loads(done.out)
    assert {run["device"] for run in runs} == {"xpu:0:acme-x1"}, runs
    shown = command(folder, "runs show").out
    assert "--device xpu" in shown
    assert "Acme X1" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        "profile net.onnx --backend xpu --device xpu:1:acme-x1 --batch 1 --budget 0.1 --store one",
        "profile net.onnx --backend before --batch 1 --budget 0.1 --store before",
        "provenance net.onnx --backend xpu --batch 1",
        "inspect net.onnx",
        "compare net.onnx net.onnx --backend xpu --processes 2 --budget 0.1 --threshold 10",
        "align every --over batch",
        "site build --store every",
        "runs list --store every",
        "runs show --store every",
        "runs export -o all.csv",
        "runs export -o all.json",
        "runs import --help",
        "doctor",
    ],
)
def test_every_command_takes_it(folder: Path, arguments: str) -> None:
    done = command(folder, arguments)
    assert done.code == 0, done.err
    assert "onnxprof: no" not in done.err


def test_its_packages_are_in_the_environment_and_its_runtime_has_a_name(folder: Path) -> None:
    done = command(folder, "runs export --store every --format json -o kept.json")
    assert done.code == 0, done.err
    run = json.loads((folder / "kept.json").read_text())["runs"][0]
    facts = dict(run["environment"])
    assert facts["xpurt"] == "1.0"
    assert facts["runtime"] == "xpurt 1.0"
    assert "xpurt-lite" not in facts, "it is not installed"
    pair = command(folder, "align every runs --batch 1")
    assert "xpurt 1.0" in pair.out, pair.err


def test_its_readers_files_are_imported(folder: Path) -> None:
    done = command(folder, "runs import net.onnx --xpu-log log.json --store imported")
    assert done.code == 0, done.err
    assert "imported: xpu counters" in done.out
    runs = json.loads(command(folder, "runs list --store imported --format json").out)
    assert [run["device"] for run in runs] == ["xpu:0:unknown-device"]
    shown = command(folder, "runs show --store imported").out
    assert "onnxprof runs import net.onnx --xpu-log log.json" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("", "--benchmark-app (benchmark_app) or --xpu-log (xpuprof)"),
        ("--xpu-notes log.json --profile log.json", "--xpu-notes: only xpuprof writes that"),
        (
            "--profile log.json",
            "not a profile of trtexec: the JSON is not a list of objects. It looks like",
        ),
        ("--profile log.json", "It looks like a file for --xpu-log"),
        ("--xpu-log bad.json", "no log of xpuprof"),
    ],
)
def test_what_its_readers_refuse_is_one_line(folder: Path, options: str, text: str) -> None:
    (folder / "bad.json").write_text("{}")
    done = command(folder, f"runs import net.onnx {options}")
    assert done.code == 2
    assert text in done.err
    assert len(done.err.splitlines()) == 1


def test_the_help_lists_its_files_and_nobody_takes_anothers(folder: Path) -> None:
    shown = " ".join(command(folder, "runs import --help").out.split())
    assert "xpuprof:--xpu-log,with--xpu-notes." in shown.replace(" ", "")
    assert "What trtexec --exportProfile wrote." in shown
    assert "Another's option" not in shown


def test_its_self_test_is_one_of_the_doctors(folder: Path) -> None:
    done = command(folder, "doctor --conformance --format json")
    assert done.code == 0, done.err
    tests = json.loads(done.out)["conformance"]
    assert tests["xpu"]["passed"] == 1
    assert "no driver of Acme's" in tests["gone"]["error"]
    assert "torch cannot be imported: not here" in tests["torch"]["error"]


@pytest.mark.parametrize("name", ["profile net.onnx", "compare net.onnx net.onnx"])
def test_without_a_device_the_backends_reason_is_told(folder: Path, name: str) -> None:
    done = command(folder, f"{name} --backend gone")
    assert done.code == 2
    assert done.err == "onnxprof: gone: no driver of Acme's. Install it\n"


def test_tensorrt_without_a_device_tells_what_it_lacks(folder: Path) -> None:
    done = command(folder, "profile net.onnx --backend tensorrt --batch 1")
    assert "'cpu'" not in done.err
