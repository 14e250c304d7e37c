"""The fake exporter, registered."""

from __future__ import annotations

import os

import pytest

from support.places import TESTS


@pytest.fixture
def site(tmp_path_factory, monkeypatch) -> None:
    """The fake exporter, registered for this process and the one it starts."""
    folder = tmp_path_factory.mktemp("site")
    facts = folder / "fake_exporter-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-exporter\nVersion: 1.0\n")
    points = "[onnxprof.exporters]\nfake = support.fake_exporter:FakeExporter\n"
    (facts / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(folder), str(TESTS))))
