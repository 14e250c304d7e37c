"""References: Hugging Face and the ONNX Model Zoo, against servers on the loopback."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest
from support.networks import models

from onnxprof.errors import ModelError, StoreError, UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.model.file import open_model
from onnxprof.model.sources import onnx_hub, policy
from onnxprof.model.sources.resolve import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = models.linear().SerializeToString()
DIGEST = hashlib.sha256(MODEL).hexdigest()


class Server:
    """Files by address, how to answer for them, and what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.status: dict[str, tuple[int, str]] = {}
        self.cut: set[str] = set()
        self.other: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, whole: bool) -> None:
            path = unquote(self.path.partition("?")[0]).lstrip("/")
            for revision in ("main", "v1.0"):
                path = path.replace(f"/resolve/{revision}/", f"/resolve/{COMMIT}/")
            state.asked.append(f"{self.command} {path}")
            code, header = state.status.get(path, (200 if path in state.files else 404, ""))
            body = state.files.get(path, b"") if code == 200 else b"no"
            self.send_response(code)
            if code == 200:
                self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            if code == 404 and not header:
                header = "EntryNotFound"
            if header:
                self.send_header("X-Error-Code", header)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if whole:
                body = state.other.get(path, body)
                self.wfile.write(body[: len(body) // 2] if path in state.cut else body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("ONNXPROF_HUB", server.url)
    names = ("ONNXPROF_OFFLINE", "HF_HUB_OFFLINE", "HF_TOKEN", "ONNXPROF_MAX_DOWNLOAD")
    for name in (*names, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def put(server: Server, file: str, data: bytes, repo: str = "org/net") -> str:
    path = f"{repo}/resolve/{COMMIT}/{file}"
    server.files[path] = data
    return path


def entry(name: str, opset: int = 12, path: str = "", **facts: object) -> dict[str, object]:
    metadata = {"model_sha": DIGEST, "model_bytes": len(MODEL), **facts}
    place = path or f"validated/{name.lower()}-{opset}.onnx"
    return {"model": name, "model_path": place, "opset_version": opset, "metadata": metadata}


def list_hub(server: Server, *entries: dict[str, object]) -> None:
    server.files["ONNX_HUB_MANIFEST.json"] = json.dumps(entries).encode()
    for each in entries:
        server.files.setdefault(str(each["model_path"]), MODEL)


# Hugging Face


def test_a_file_of_a_repository_with_its_commit(server: Server) -> None:
    put(server, "onnx/model.onnx", MODEL)
    found = resolve("hf:org/net/onnx/model.onnx")
    assert found.path.read_bytes() == MODEL
    assert found.name == "net"
    assert found.reference == f"hf:org/net/onnx/model.onnx@{COMMIT}"
    assert open_model("hf:org/net/onnx/model.onnx@v1.0").reference == found.reference


def test_a_commit_is_asked_for_once(server: Server) -> None:
    put(server, "x.onnx", MODEL)
    pinned = resolve("hf:org/net/x.onnx").reference
    server.asked.clear()
    assert resolve(pinned).path.read_bytes() == MODEL
    assert server.asked == []


@pytest.mark.parametrize("file", ["两 层/模型 名.onnx", "a b.onnx", "x%20y.onnx"])
def test_names_with_blanks_and_of_any_script(server: Server, file: str) -> None:
    put(server, file, MODEL)
    assert open_model(f"hf:org/net/{file}").name == Path(file).stem


def test_external_data_come_along(server: Server, tmp_path: Path) -> None:
    """And a runtime takes them: real files side by side, whatever the cache looks like."""
    ort = pytest.importorskip("onnxruntime")
    path = models.external(models.linear(), tmp_path, "model.onnx_data")
    put(server, "onnx/model.onnx", path.read_bytes())
    data = put(server, "onnx/model.onnx_data", (tmp_path / "model.onnx_data").read_bytes())
    model = open_model("hf:org/net/onnx/model.onnx")
    assert model.facts().parameters == 15
    assert f"GET {data}" in server.asked
    ort.InferenceSession(model.path, providers=["CPUExecutionProvider"])
    server.asked.clear()
    assert open_model(model.reference).path == model.path
    assert server.asked == []


def test_external_data_elsewhere_are_neither_fetched_nor_read(
    server: Server, tmp_path: Path
) -> None:
    path = models.external(models.linear(), tmp_path, "../secret.bin")
    put(server, "model.onnx", path.read_bytes())
    with pytest.raises(ModelError, match="outside the model's folder"):
        open_model("hf:org/net/model.onnx")
    assert not any("secret" in asked for asked in server.asked)


@pytest.mark.parametrize(
    ("code", "header", "message"),
    [
        (404, "EntryNotFound", "no such file at this revision"),
        (404, "RevisionNotFound", "no such revision"),
        (404, "RepoNotFound", "no such repository"),
        (401, "GatedRepo", "hf auth login"),
        (403, "GatedRepo", "Accept its terms"),
        (401, "", "hf auth login"),
        (500, "", "failed"),
    ],
)
def test_what_the_server_refuses(server: Server, code: int, header: str, message: str) -> None:
    server.status[put(server, "x.onnx", MODEL)] = (code, header)
    with pytest.raises(ModelError, match=message) as caught:
        resolve("hf:org/net/x.onnx")
    assert "\n" not in str(caught.value)
    assert "hf:org/net/x.onnx@main" in str(caught.value)


def test_tampered_bytes_are_removed(server: Server, tmp_path: Path) -> None:
    path = put(server, "x.onnx", MODEL)
    server.other[path] = MODEL[:-1] + b"?"
    with pytest.raises(ModelError, match=r"not .*it was removed"):
        resolve("hf:org/net/x.onnx")
    assert not [p for p in (tmp_path / "hf").rglob("*") if p.name in ("x.onnx", DIGEST)]
    server.other.clear()
    assert resolve("hf:org/net/x.onnx").path.read_bytes() == MODEL


def test_a_damaged_cache_is_found(server: Server) -> None:
    put(server, "x.onnx", MODEL)
    found = resolve("hf:org/net/x.onnx")
    found.path.resolve().write_bytes(MODEL[:-3])
    with pytest.raises(ModelError, match="removed"):
        resolve(found.reference)
    assert resolve(found.reference).path.read_bytes() == MODEL


@pytest.mark.parametrize("variable", ["ONNXPROF_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_with_a_cache_and_without(
    server: Server, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "x.onnx", MODEL)
    put(server, "y.onnx", MODEL)
    resolve("hf:org/net/x.onnx")
    server.asked.clear()
    monkeypatch.setenv(variable, "1")
    assert resolve("hf:org/net/x.onnx").reference.endswith(COMMIT)
    with pytest.raises(ModelError, match=f"{variable} is set.*hf download org/net y.onnx"):
        resolve("hf:org/net/y.onnx")
    assert server.asked == []


def test_no_network_is_one_line_that_says_what_to_do(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server, "x.onnx", MODEL)
    resolve("hf:org/net/x.onnx")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert resolve("hf:org/net/x.onnx").path.read_bytes() == MODEL
    with pytest.raises(ModelError, match=r"no connection.*hf download") as caught:
        resolve("hf:org/net/y.onnx")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x.onnx", "org/x.onnx", "org/net/", "org/net/readme.md", "org/net/../x.onnx"),
        *("org/net//x.onnx", "org/net/a/../../x.onnx", "org/net/..\\x.onnx", "../net/x.onnx"),
        *("org/net/a\nb.onnx", "org/net/./x.onnx", "o r/net/x.onnx", "org/net/x.onnx@../../y"),
    ],
)
def test_what_is_no_reference(server: Server, text: str) -> None:
    with pytest.raises(UsageError):
        resolve(f"hf:{text}")
    assert server.asked == []


def test_a_download_above_the_bound_is_refused_with_its_size(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(server, "x.onnx", MODEL)
    monkeypatch.setenv("ONNXPROF_MAX_DOWNLOAD", "100")
    with pytest.raises(UsageError, match="ONNXPROF_MAX_DOWNLOAD=1G"):
        resolve("hf:org/net/x.onnx")
    assert f"GET {path}" not in server.asked
    list_hub(server, entry("Net"))
    with pytest.raises(UsageError, match=r"more than the 0\.0 MB allowed"):
        resolve("hub:net")


@pytest.mark.parametrize(("text", "size"), [("", 4e9), ("8G", 8e9), ("1.5gb", 1.5e9), ("7", 7)])
def test_the_bound(text: str, size: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_MAX_DOWNLOAD", text)
    assert policy.limit() == size
    monkeypatch.setenv("ONNXPROF_MAX_DOWNLOAD", f"{text}much")
    with pytest.raises(UsageError, match="no size"):
        policy.limit()


def test_progress_reaches_the_end(server: Server) -> None:
    put(server, "x.onnx", MODEL)
    list_hub(server, entry("Net"))
    for reference in ("hf:org/net/x.onnx", "hub:net"):
        seen: list[tuple[str, int, int]] = []
        resolve(reference, lambda *step, seen=seen: seen.append(step))
        assert seen[-1][1:] == (len(MODEL), len(MODEL))


# The ONNX Model Zoo


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


def files(tmp_path: Path) -> list[Path]:
    return [p for p in (tmp_path / "cache" / "hub").glob("*") if not p.name.startswith("manifest")]


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


# Everywhere


def test_a_planned_run_can_be_repeated_and_its_worker_needs_no_network(server: Server) -> None:
    pytest.importorskip("onnxruntime")
    put(server, "onnx/model.onnx", MODEL)
    job = plan(Options(models=("hf:org/net/onnx/model.onnx",)))[0]
    assert f"profile hf:org/net/onnx/model.onnx@{COMMIT} " in job.command
    assert job.model.path.read_bytes() == MODEL
    assert job.facts.name == "net"


def test_a_file_of_that_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models.save(models.linear(), tmp_path, "hub:x.onnx")
    assert resolve("hub:x.onnx").path == Path("hub:x.onnx")


def test_without_the_library_the_error_names_it() -> None:
    code = (
        "import sys; sys.modules['huggingface_hub'] = None\n"
        "from onnxprof.model.sources.resolve import resolve\n"
        "try: resolve('hf:a/b/c.onnx')\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "onnxprof[hub]"' in done.stdout, done.stderr
