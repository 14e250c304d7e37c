"""`onnxprof doctor`: what it says of what works, what does not and what is broken."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import typer
from support.habits.documents import checked
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.doctor import doctor
from onnxprof.errors import UsageError
from onnxprof.plugins.registry import Plugin
from onnxprof.plugins.verbs import SelfTest, Verdict
from onnxprof.processes.cores import split
from onnxprof.processes.fence.enclose import SWITCH, Enclosure, Fence
from onnxprof.processes.trial import guards
from onnxprof.processes.trial.probe import Probe
from onnxprof.records.device import Availability
from onnxprof.testing import FakeBackend

#: `onnxprof.doctor` is the function of that name.
diagnose = import_module("onnxprof.doctor")


@dataclass
class Dead(FakeBackend):
    """A backend whose runtime is missing on one device, and absent on the other."""

    name: str = "dead"

    def availability(self) -> tuple[Availability, ...]:
        return (
            Availability("dead", "cuda", False, "no driver " * 12, "Install a driver"),
            Availability("dead", "cpu", False, "deadruntime is not installed", "pip install dead"),
        )


@dataclass
class Rude(FakeBackend):
    """Breaks the promise never to raise."""

    def availability(self) -> tuple[Availability, ...]:
        raise OSError("libfoo.so:\ncannot open")


BROKEN: Plugin[FakeBackend] = Plugin(
    "gone", "gone_plugin:Gone", "strange 1.2", None, "No module named 'gone_plugin'", "Reinstall it"
)
TESTS = "--conformance"


def plugin(backend: FakeBackend) -> Plugin[FakeBackend]:
    return Plugin(backend.name, "x:Y", "x 1", backend)


def run(
    monkeypatch: pytest.MonkeyPatch, *plugins: Plugin[FakeBackend], arguments: str = ""
) -> Result:
    monkeypatch.setattr(diagnose, "backends", lambda: {entry.name: entry for entry in plugins})
    monkeypatch.setattr(diagnose, "exporters", dict)
    app = typer.Typer()
    app.command()(doctor)
    return CliRunner().invoke(app, arguments.split())


def test_a_working_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, plugin(FakeBackend()))
    assert result.exit_code == 0
    assert "fake cpu:fake  works: 1.0" in result.output
    assert "Plugins that did not load" not in result.output
    for title in ("Backends", "Extras", "Folders", "Machine"):
        assert f"\n{title}\n" in result.output


def test_a_backend_that_does_not_work_says_why_and_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = run(monkeypatch, plugin(Dead()))
    assert result.exit_code == 1
    assert "dead cpu   does not work: deadruntime is not installed" in result.output
    assert "-> pip install dead" in result.output
    assert 'No backend works here: pip install "onnxprof[cpu]"' in result.stderr


def test_one_working_backend_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, plugin(Dead()), plugin(FakeBackend()), BROKEN)
    assert result.exit_code == 0
    assert "does not work" in result.output


def test_a_plugin_that_did_not_load_is_listed_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = run(monkeypatch, plugin(FakeBackend()), BROKEN).output
    assert "backend gone" in shown
    assert "strange 1.2: No module named 'gone_plugin'" in shown
    assert "-> Reinstall it" in shown


def test_a_backend_that_raises_does_not_stop_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, plugin(Rude()))
    assert result.exit_code == 1
    assert "OSError: libfoo.so: cannot open" in " ".join(result.output.split())


def test_no_backend_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch)
    assert result.exit_code == 1
    assert "pip install -e ." in result.output


def test_lines_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run(monkeypatch, plugin(FakeBackend()), plugin(Dead()), BROKEN).output
    paths = [line for line in shown.splitlines() if "/" in line]
    assert max(len(line) for line in shown.splitlines() if line not in paths) <= 80


def test_json_holds_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, plugin(Dead()), BROKEN, arguments="--format json")
    record = json.loads(result.stdout)
    assert result.exit_code == 1
    assert record["works"] is False
    assert record["backends"][1]["remedy"] == "pip install dead"
    assert record["broken"][0]["kind"] == "backend"
    assert record["facts"]["os"]
    assert {extra["name"] for extra in record["extras"]} == set(diagnose.EXTRAS)
    assert {place["purpose"] for place in record["folders"]} == {"cache", "store", "locks"}


def test_other_versions_of_runtimes_are_listed_with_their_sizes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path))
    assert checked(run(monkeypatch, arguments="--json").stdout, "doctor")["runtimes"] == []
    kept = tmp_path / "runtimes" / "fakert-1.0-cpython-311-linux"
    facts = kept / "fakert-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_bytes(bytes(2_100_000))
    (found,) = checked(run(monkeypatch, arguments="--json").stdout, "doctor")["runtimes"]
    assert found == {"name": kept.name, "path": str(kept), "size_bytes": 2_100_000}
    shown = run(monkeypatch, plugin(FakeBackend())).output
    assert "\nOther versions of runtimes (remove a folder to be rid of it)\n" in shown
    assert f"  2.1 MB  {kept.name}" in shown
    assert str(kept.parent) in shown.replace("\n", "").replace(" ", "")


def test_what_holds_of_the_isolation_is_told_and_what_does_not_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = json.loads(run(monkeypatch, plugin(FakeBackend()), arguments="--format json").stdout)
    found = {guard["name"]: guard for guard in record["guards"]}
    assert list(found) == ["files", "network", "memory", "cores"]
    for name in ("files", "network"):
        word = " refused (" if found[name]["holds"] else " not refused: "
        assert word in found[name]["detail"]
    monkeypatch.setenv(SWITCH, "off")
    shown = " ".join(run(monkeypatch, plugin(FakeBackend())).output.split())
    assert "Isolation of measurements" in shown
    if sys.platform == "linux":
        assert f"not refused: {SWITCH} switches fences off" in shown


def test_a_fence_that_does_not_hold_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    fences = Enclosure(Fence("Landlock 9"), Fence("seccomp"))
    monkeypatch.setattr(guards, "probe", lambda: Probe(fences, wrote=True, connected=False))
    files, network, *_ = guards.guards()
    assert not files.holds
    assert files.detail.endswith("not refused, in spite of Landlock 9")
    assert network.holds


@pytest.mark.parametrize(
    ("cores", "holds", "detail"),
    [
        ({0, 1, 2, 3}, True, "with up to 3 threads on 1-3; onnxprof keeps to 0"),
        ({0, 1}, True, "with 1 thread on 1; onnxprof keeps to 0"),
        ({5}, False, "a single core is shared"),
        (set(), False, "this system binds no process to cores"),
    ],
)
def test_which_cores_are_measured_is_told(
    cores: set[int], holds: bool, detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "usable", lambda: frozenset(cores))
    plain = partial(split, root=Path("/nowhere"))
    monkeypatch.setattr(guards, "split", plain)
    assert list(guards.guards())[-1] == guards.Guard("cores", holds, detail)


def test_the_node_tests_that_torch_passes_are_counted_on_demand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch", reason="needs onnxprof[torch]")
    from onnxprof.backends.torch import conformance
    from onnxprof.backends.torch.backend import TorchBackend

    torch = plugin(TorchBackend())
    some = [case for case in conformance.cases() if case.name in ("test_abs", "test_sin")]
    strings = [case for case in conformance.cases() if case.name == "test_string_concat"]
    monkeypatch.setattr(conformance, "cases", lambda: [*some, *strings])
    shown = run(monkeypatch, plugin(FakeBackend()), torch, arguments="--conformance").output
    assert "2 of the 3 node tests of onnx" in " ".join(shown.split())
    assert "test_string_concat" in shown
    assert "588 of 776" in shown, "the yardstick beside it"
    result = run(monkeypatch, torch, arguments="--conformance --format json")
    record = json.loads(result.stdout)["conformance"]["torch"]
    assert record["passed"] == 2
    assert len(record["verdicts"]) == 3
    assert record["yardstick"] == {"name": "onnx2pytorch", "passed": 588, "of": 776}


def test_counting_node_tests_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxprof.backends.torch.backend import TorchBackend

    monkeypatch.setitem(sys.modules, "torch", None)
    result = run(monkeypatch, plugin(FakeBackend()), plugin(TorchBackend()), arguments=TESTS)
    assert isinstance(result.exception, UsageError)
    assert "torch cannot be imported" in str(result.exception)
    assert 'pip install "onnxprof[torch]"' in str(result.exception)


@dataclass
class SelfTested(FakeBackend):
    """A backend with two tests, one of which fails."""

    name: str = "tested"
    error: Exception | None = None

    def self_test(self) -> SelfTest:
        if self.error:
            raise self.error
        verdicts = (Verdict("adds"), Verdict("rounds", "0.5 gives 1"))
        return SelfTest("testrt 2.0", "sums of testrt", verdicts)


def test_every_backend_with_tests_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SelfTested(name="broken", error=RuntimeError("two\nlines"))
    plugins = plugin(SelfTested()), plugin(broken), plugin(FakeBackend())
    shown = " ".join(run(monkeypatch, *plugins, arguments=TESTS).output.split())
    assert "testrt 2.0 1 of the 2 sums of testrt pass (50.0 %)" in shown
    assert "rounds 0.5 gives 1" in shown
    assert "broken could not be tested: broken: RuntimeError: two lines" in shown
    result = run(monkeypatch, *plugins, arguments=f"{TESTS} --format json")
    record = json.loads(result.stdout)["conformance"]
    assert record["tested"]["passed"] == 1
    assert record["tested"]["yardstick"] is None
    assert record["broken"] == {"error": "broken: RuntimeError: two lines"}


def test_without_any_tests_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, plugin(FakeBackend()), arguments=TESTS)
    assert isinstance(result.exception, UsageError)
    assert "no backend has tests of its own" in str(result.exception)


def test_a_missing_extra_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(diagnose.EXTRAS, "site", ("pages", ("jinja2", "a-package-nobody-has")))
    shown = run(monkeypatch, plugin(FakeBackend())).output
    assert "lacks a-package-nobody-has" in shown
    assert '-> pip install "onnxprof[site]"' in shown


def test_rival_runtimes_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "RIVALS", ("numpy", "onnx"))
    shown = " ".join(run(monkeypatch, plugin(FakeBackend())).output.split())
    assert "numpy and onnx are all installed and overwrite each other's files" in shown


def test_a_folder_is_looked_at_and_not_created(tmp_path: Path) -> None:
    found = diagnose.folder("store", tmp_path / "a" / "b")
    assert not found.exists
    assert found.writable
    assert found.free_bytes > 0
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    assert not diagnose.folder("store", tmp_path / "file" / "b").writable
