"""References: files of Hugging Face's repositories, from a server on the loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.networks import models
from support.sources.served import (
    COMMIT,
    DIGEST,
    MODEL,
    Server,
    alone,
    entry,
    list_hub,
    put,
)

from onnxprof.errors import ModelError, UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.model.file import open_model
from onnxprof.model.sources import policy
from onnxprof.model.sources.resolve import resolve


@pytest.fixture(autouse=True)
def server(tmp_path: Path) -> Iterator[Server]:
    with alone(tmp_path) as state:
        yield state


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
