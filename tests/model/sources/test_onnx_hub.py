"""Models of the ONNX Model Zoo, from a server on the loopback and from a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.sources.served import (
    MODEL,
    Server,
    alone,
    entry,
    files,
    list_hub,
)

from onnxprof.errors import ModelError, StoreError, UsageError
from onnxprof.model.sources import onnx_hub
from onnxprof.model.sources.resolve import resolve


@pytest.fixture(autouse=True)
def server(tmp_path: Path) -> Iterator[Server]:
    with alone(tmp_path) as state:
        yield state


def test_a_model_of_the_zoo_at_the_largest_opset(server: Server) -> None:
    list_hub(server, entry("ResNet 50", 7), entry("ResNet 50", 12), entry("Other", 20))
    found = resolve("hub:resnet 50")
    assert (found.reference, found.name) == ("hub:ResNet 50@12", "resnet 50-12")
    assert found.path.read_bytes() == MODEL
    assert resolve("hub:ResNet 50@7").reference == "hub:ResNet 50@7"
    server.asked.clear()
    resolve("hub:ResNet 50@12")
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "hint"), [("restnet", "It has ResNet, "), ("resnet@9", "It has 12")]
)
def test_a_name_that_the_zoo_does_not_have(server: Server, name: str, hint: str) -> None:
    list_hub(server, entry("ResNet"))
    with pytest.raises(UsageError, match=hint):
        resolve(f"hub:{name}")


def test_a_cut_download_is_removed(server: Server, tmp_path: Path) -> None:
    list_hub(server, entry("Net"))
    server.cut.add("validated/net-12.onnx")
    with pytest.raises(ModelError, match="removed"):
        resolve("hub:net")
    assert files(tmp_path) == []
    server.cut.clear()
    assert resolve("hub:net").path.read_bytes() == MODEL


@pytest.mark.parametrize("sent", [MODEL[:-1] + b"?", MODEL + b"more", b"<html>log in</html>"])
def test_other_bytes_are_refused_and_removed(server: Server, tmp_path: Path, sent: bytes) -> None:
    list_hub(server, entry("Net"))
    server.files["validated/net-12.onnx"] = sent
    with pytest.raises(ModelError, match=r"SHA-256|bytes where the manifest says"):
        resolve("hub:net")
    assert files(tmp_path) == []


def test_a_damaged_cached_model_is_fetched_again(server: Server) -> None:
    list_hub(server, entry("Net"))
    path = resolve("hub:net").path
    path.write_bytes(b"x" * len(MODEL))
    assert resolve("hub:net").path.read_bytes() == MODEL


@pytest.mark.parametrize("path", ["../x.onnx", "/etc/x.onnx", "a/../../x.onnx", "a\\b.onnx", ""])
def test_a_manifest_may_not_lead_elsewhere(
    server: Server, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {**entry("Net"), "model_path": path}
    server.files["ONNX_HUB_MANIFEST.json"] = json.dumps([listed]).encode()
    with pytest.raises(UsageError, match="no file of a repository"):
        resolve("hub:net")
    (tmp_path / "ONNX_HUB_MANIFEST.json").write_text(json.dumps([listed]))
    monkeypatch.setenv("ONNXPROF_HUB", str(tmp_path))
    with pytest.raises(UsageError, match="no file of a repository"):
        resolve("hub:net")


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"model": 1}]', "[" * 9000, "<html>", '{"a": 1}'])
def test_a_manifest_that_is_none(server: Server, text: str, tmp_path: Path) -> None:
    server.files["ONNX_HUB_MANIFEST.json"] = text.encode()
    with pytest.raises((ModelError, UsageError), match=r"manifest|no such model"):
        resolve("hub:net")
    assert files(tmp_path) == []


def test_an_entry_without_a_digest_is_not_offered(server: Server) -> None:
    list_hub(server, entry("Net", model_sha=""), entry("Other"))
    with pytest.raises(UsageError, match="It has Other"):
        resolve("hub:net")


def test_offline_and_unreachable_hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    list_hub(server, entry("Net"), entry("Far"))
    resolve("hub:net")
    monkeypatch.setenv("ONNXPROF_OFFLINE", "1")
    assert resolve("hub:net").path.read_bytes() == MODEL
    with pytest.raises(ModelError, match=r"ONNXPROF_OFFLINE is set.* put it at .*far-12"):
        resolve("hub:far")
    monkeypatch.delenv("ONNXPROF_OFFLINE")
    monkeypatch.setenv("ONNXPROF_HUB", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="no connection"):
        resolve("hub:net")


def test_a_file_put_into_the_cache_by_hand_is_checked_and_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_hub(server, entry("Net"))
    path = resolve("hub:net").path
    for each in path.parent.glob("net*"):
        each.unlink()
    path.write_bytes(MODEL)
    monkeypatch.setenv("ONNXPROF_OFFLINE", "1")
    assert resolve("hub:net").path == path


def test_what_the_hub_server_answers(server: Server) -> None:
    with pytest.raises(ModelError, match="the server answered 404"):
        resolve("hub:net")
    list_hub(server, entry("Net"))
    del server.files["validated/net-12.onnx"]
    with pytest.raises(ModelError, match=r"the server answered 404.*ONNXPROF_HUB"):
        resolve("hub:net")


def test_a_folder_serves_as_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "n.onnx").write_bytes(MODEL)
    manifest = json.dumps([entry("Net", path="m/n.onnx"), entry("Gone", path="m/g.onnx")])
    (tmp_path / "ONNX_HUB_MANIFEST.json").write_text(manifest)
    monkeypatch.setenv("ONNXPROF_HUB", f"file://{tmp_path}")
    assert resolve("hub:NET").path == tmp_path / "m" / "n.onnx"
    with pytest.raises(ModelError, match="no such file"):
        resolve("hub:gone")
    (tmp_path / "m" / "n.onnx").write_bytes(MODEL + b"\0")
    with pytest.raises(ModelError, match="tampered"):
        resolve("hub:net")
    assert (tmp_path / "m" / "n.onnx").exists()


def test_a_cache_that_is_no_folder(server: Server, tmp_path: Path) -> None:
    list_hub(server, entry("Net"))
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        resolve("hub:net")


def test_the_pinned_sources_are_a_commit_and_its_mirror() -> None:
    assert onnx_hub.MANIFEST_BASE.endswith(onnx_hub.COMMIT)
    assert len(onnx_hub.COMMIT) == 40
