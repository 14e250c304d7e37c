"""Plugins: discovery, the broken ones, and the errors that name what is known."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from onnxprof.errors import BackendError, UsageError
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend

GOOD = """
    from onnxprof.testing import FakeBackend

    class Good(FakeBackend):
        def __init__(self):
            super().__init__(name="good")

    class Misnamed(FakeBackend):
        pass

    class Halfway:
        name = "halfway"
        def devices(self): return ()

    class Exporter:
        name = "draw"
        def availability(self): pass
        def accepts(self, target): return False
        def export(self, request): pass
"""
POINTS = """
    [onnxprof.backends]
    good = strange_plugin:Good
    misnamed = strange_plugin:Misnamed
    halfway = strange_plugin:Halfway
    absent = strange_plugin:Nothing
    needy = needy_plugin:Needy
    gone = gone_plugin:Gone
    loud = loud_plugin:Loud
    quits = quitting_plugin:Quits

    [onnxprof.exporters]
    draw = strange_plugin:Exporter
"""
BROKEN = {
    "needy_plugin": "import a_runtime_nobody_has.core",
    "loud_plugin": "raise RuntimeError('two\\nlines')",
    "quitting_plugin": "raise SystemExit('no licence')",
}


def distribution(folder: Path, name: str, points: str, version: str = "1.2") -> None:
    """A dist-info folder as an installer leaves it."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(dedent(points))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    distribution(tmp_path, "strange", POINTS)
    for name, text in {"strange_plugin": dedent(GOOD), **BROKEN}.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("site")
def test_a_strangers_backend_is_found_and_loaded() -> None:
    plugin = registry.backends()["good"]
    assert isinstance(plugin.value, Backend)
    assert plugin.distribution == "strange 1.2"
    assert plugin.target == "strange_plugin:Good"
    assert plugin.error == plugin.remedy == ""
    assert registry.backend("good").name == "good"


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        ("needy", "No module named 'a_runtime_nobody_has'", "provides 'a_runtime_nobody_has'"),
        ("gone", "No module named 'gone_plugin'", "Its files are gone"),
        ("absent", "AttributeError", "--force-reinstall strange"),
        ("loud", "RuntimeError: two lines", "Update or remove it"),
        ("quits", "SystemExit: no licence", "Update or remove it"),
        ("halfway", "lacks availability, open, open_traced", "makers of strange"),
        ("misnamed", "registered as 'misnamed' but calls itself 'fake'", "makers of strange"),
    ],
)
def test_a_broken_plugin_stays_in_the_list_with_its_reason(
    name: str, reason: str, remedy: str
) -> None:
    plugin = registry.backends()[name]
    assert plugin.value is None
    assert reason in plugin.error
    assert remedy in plugin.remedy
    with pytest.raises(BackendError) as caught:
        registry.backend(name)
    assert f"backend {name}: " in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("site")
def test_one_backend_is_loaded_without_the_others() -> None:
    registry.backend_names()
    assert "strange_plugin" not in sys.modules
    registry.backend("good")
    assert "strange_plugin" in sys.modules
    assert not set(BROKEN) & set(sys.modules)


@pytest.mark.usefixtures("site")
def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"'goood'.*Did you mean good\?.*Known: .*needy"):
        registry.backend("goood")
    with pytest.raises(UsageError, match=r"Known: .*draw"):
        registry.exporter("zzz")


@pytest.mark.usefixtures("site")
def test_exporters_come_in_the_same_way() -> None:
    assert registry.exporters()["draw"].value is not None
    assert registry.exporter("draw").name == "draw"
    assert "draw" in registry.exporter_names()


def test_a_second_plugin_of_the_same_name_is_set_apart(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(site / "more", "another", "[onnxprof.backends]\ngood = strange_plugin:Good\n")
    monkeypatch.syspath_prepend(site / "more")
    names = registry.backend_names()
    assert "good" in names
    assert {"good (another)", "good (strange)"} & set(names)


def test_a_stranger_does_not_take_the_name_of_ours(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = "[onnxprof.backends]\nort = strange_plugin:Good\n"
    distribution(site / "more", "aaa", points)
    distribution(site / "ours", "onnxprof", "[onnxprof.backends]\nort = a:B\n")
    monkeypatch.syspath_prepend(site / "ours")
    monkeypatch.syspath_prepend(site / "more")
    found = registry.backends()
    assert found["ort"].distribution.startswith("onnxprof ")
    assert found["ort (aaa)"].distribution == "aaa 1.2"


@pytest.mark.parametrize(("unsettled_ns", "read"), [(0, 2), (1 << 62, 3)])
def test_packages_are_read_anew_where_a_folder_of_them_changes(
    site: Path, monkeypatch: pytest.MonkeyPatch, unsettled_ns: int, read: int
) -> None:
    asked: list[str] = []
    found = registry.entry_points
    monkeypatch.setattr(registry, "_UNSETTLED_NS", unsettled_ns)
    monkeypatch.setattr(
        registry, "entry_points", lambda group: asked.append(group) or found(group=group)
    )
    os.utime(site, ns=(1, 1))
    for _ in range(2):
        assert "later" not in registry.backend_names()
    distribution(site, "later", "[onnxprof.backends]\nlater = later:B\n")
    assert "later" in registry.backend_names()
    assert len(asked) == read


def test_without_any_metadata_the_remedy_is_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", lambda group: {})
    assert registry.backends() == {}
    with pytest.raises(UsageError, match=r"no backend is registered.*pip install -e \."):
        registry.backend("ort")


def test_the_built_in_backend_is_an_entry_point_like_any_other() -> None:
    plugin = registry.backends()["ort"]
    assert plugin.error == ""
    assert plugin.distribution.startswith("onnxprof ")
    assert registry.backend("ort").name == "ort"


def test_listing_imports_no_runtime() -> None:
    code = "import sys; from onnxprof.plugins import registry; "
    code += "registry.backends(); registry.exporters(); "
    code += "print([m for m in ('onnxruntime', 'torch', 'openvino') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
