"""The old model: from a commit, with its data and without surprises; from a folder or a file."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from support.gates.repositories import SETTINGS, Repository, repository
from support.networks import models

from onnxprof.errors import ModelError, UsageError
from onnxprof.gate.git import commit, written
from onnxprof.gate.subject import subjects
from onnxprof.processes.confined import Limits
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    return repository(tmp_path / "repo")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def with_data(weight: int) -> onnx.ModelProto:
    """A model whose one weight lies in sub/w.bin."""
    made = models.model(
        [models.node("Add", ["x", "w"], ["y"])],
        [models.value("x", [4])],
        [models.value("y", [4])],
        [models.weight("w", 4, seed=weight)],
    )
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="sub/w.bin")
    return made


def net(told: str) -> bytes:
    """A model that differs by what it says of itself."""
    made = models.model(
        [models.node("Relu", ["x"], ["y"])], [models.value("x", [4])], [models.value("y", [4])]
    )
    made.doc_string = told
    return made.SerializeToString()


def old(repo: Repository, name: str, reference: str, into: Path) -> Path | None:
    path = repo.root / name
    return written(commit(path.parent, reference), path, into, Limits())


def test_the_file_is_that_of_the_commit(repo: Repository, into: Path) -> None:
    repo.write("models/net.onnx", net("old\r\n"))
    first = repo.commit()
    repo.write("models/net.onnx", net("new"))
    repo.commit()
    for reference in (first, first[:12], "HEAD^", "main~1"):
        place = into / reference.replace("^", "")
        place.mkdir()
        found = old(repo, "models/net.onnx", reference, place)
        assert found == place / "net.onnx"
        assert found.read_bytes() == net("old\r\n")
    at = commit(repo.root / "models", "HEAD^")
    assert at.digest == first
    assert at.title == f"HEAD^ ({first[:10]})"
    assert commit(repo.root, first).title == first[:10]


def test_external_data_come_along(repo: Repository, into: Path) -> None:
    repo.write("m/net.onnx", with_data(1).SerializeToString())
    repo.write("m/sub/w.bin", b"a" * 16)
    repo.commit()
    repo.write("m/sub/w.bin", b"b" * 16)
    repo.commit()
    found = old(repo, "m/net.onnx", "HEAD^", into)
    assert found is not None
    assert (into / "sub" / "w.bin").read_bytes() == b"a" * 16


def test_external_data_that_were_never_committed_are_named(repo: Repository, into: Path) -> None:
    repo.write("net.onnx", with_data(1).SerializeToString())
    repo.commit()
    with pytest.raises(ModelError, match=r"'sub/w\.bin' are not in that commit"):
        old(repo, "net.onnx", "HEAD", into)


def test_external_data_outside_the_folder_are_not_fetched(repo: Repository, into: Path) -> None:
    made = with_data(1)
    made.graph.initializer[0].external_data[0].value = "../secret.bin"
    repo.write("secret.bin", b"s" * 16)
    repo.write("m/net.onnx", made.SerializeToString())
    repo.commit()
    assert old(repo, "m/net.onnx", "HEAD", into) is not None
    assert [path.name for path in into.parent.rglob("secret.bin")] == ["secret.bin"]


def test_a_model_that_the_commit_lacks_is_none(repo: Repository, into: Path) -> None:
    repo.write("readme", b"x")
    repo.commit()
    repo.write("net.onnx", net("new"))
    repo.write("readme2/net.onnx", net("new"))
    assert old(repo, "net.onnx", "HEAD", into) is None
    assert old(repo, "readme2/net.onnx", "HEAD", into) is None


def test_where_the_commit_has_a_file_in_place_of_the_folder_there_is_no_model(
    repo: Repository, into: Path
) -> None:
    repo.write("models", b"a file")
    repo.commit()
    (repo.root / "models").unlink()
    repo.write("models/net.onnx", net("new"))
    assert old(repo, "models/net.onnx", "HEAD", into) is None


@pytest.mark.parametrize("name", ["a b/ü ñ.onnx", "-x.onnx", "a:b.onnx", "$(touch x).onnx"])
def test_names_are_names(repo: Repository, into: Path, name: str) -> None:
    repo.write(name, net("old"))
    repo.commit()
    found = old(repo, name, "HEAD", into)
    assert found is not None
    assert found.read_bytes() == net("old")
    assert not (repo.root / "x").exists()


def test_a_name_that_breaks_a_line_is_refused(repo: Repository, into: Path) -> None:
    repo.write("a\nb.onnx", net("old"))
    repo.commit()
    with pytest.raises(UsageError, match="no place for such a name"):
        old(repo, "a\nb.onnx", "HEAD", into)


@pytest.mark.parametrize("reference", ["--output=x", "-h", "", "no-such", "HEAD\n--all", "a..b"])
def test_a_reference_is_never_an_option(repo: Repository, reference: str) -> None:
    repo.write("net.onnx", net("old"))
    repo.commit()
    before = sorted(path.name for path in repo.root.iterdir())
    with pytest.raises(UsageError, match="there is no folder, file or commit") as caught:
        commit(repo.root, reference)
    assert "git fetch" in caught.value.remedy
    assert sorted(path.name for path in repo.root.iterdir()) == before


def test_a_reference_to_what_is_no_commit_is_refused(repo: Repository) -> None:
    repo.write("net.onnx", net("old"))
    repo.commit()
    blob = repo.git("rev-parse", "HEAD:net.onnx")
    with pytest.raises(UsageError):
        commit(repo.root, blob)


def test_a_pointer_of_lfs_is_refused_with_what_to_do(repo: Repository, into: Path) -> None:
    repo.write("net.onnx", POINTER)
    repo.commit()
    with pytest.raises(ModelError, match="a pointer of Git LFS") as caught:
        old(repo, "net.onnx", "main", into)
    assert "git worktree add" in caught.value.remedy
    assert "--baseline ../old" in caught.value.remedy
    with pytest.raises(ModelError, match="a pointer of Git LFS") as caught:
        subjects([str(repo.root / "net.onnx")], "main", into, Limits())
    assert "lfs: true" in caught.value.remedy


def test_an_old_model_that_cannot_be_had_stops_no_other(
    repo: Repository, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.write("a.onnx", POINTER)
    repo.write("b.onnx", net("old"))
    repo.commit()
    repo.write("a.onnx", net("new"))
    monkeypatch.chdir(repo.root)
    first, second = subjects(["a.onnx", "b.onnx"], "main", into, Limits())
    assert "a pointer of Git LFS" in first.problem
    assert (first.old, second.problem) == ("", "")
    assert Path(second.old).read_bytes() == net("old")


def test_external_data_in_lfs_are_refused_too(repo: Repository, into: Path) -> None:
    repo.write("net.onnx", with_data(1).SerializeToString())
    repo.write("sub/w.bin", POINTER)
    repo.commit()
    with pytest.raises(ModelError, match="a pointer of Git LFS"):
        old(repo, "net.onnx", "main", into)


@pytest.mark.posix
def test_a_link_within_the_repository_is_followed_and_one_out_of_it_is_not(
    repo: Repository, into: Path
) -> None:
    repo.write("real.onnx", net("old"))
    (repo.root / "link.onnx").symlink_to("real.onnx")
    (repo.root / "out.onnx").symlink_to("/etc/passwd")
    repo.commit()
    found = old(repo, "link.onnx", "HEAD", into)
    assert found is not None
    assert found.read_bytes() == net("old")
    with pytest.raises(ModelError, match="no regular file in that commit"):
        old(repo, "out.onnx", "HEAD", into)


def test_outside_of_a_repository_no_reference_means_anything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="in no git repository"):
        commit(tmp_path, "main")


def test_without_git_a_folder_is_still_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git is not installed") as caught:
        commit(tmp_path, "main")
    assert "folder" in caught.value.remedy


def test_several_models_of_one_commit(
    repo: Repository, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/net.onnx", "b/net.onnx"):
        repo.write(name, net(name))
    repo.commit()
    repo.write("c.onnx", net("new"))
    monkeypatch.chdir(repo.root)
    found = subjects(["a/net.onnx", "b/net.onnx", "c.onnx", "a/net.onnx"], "main", into, Limits())
    assert [subject.model for subject in found] == ["a/net.onnx", "b/net.onnx", "c.onnx"]
    assert [Path(s.old).read_bytes() for s in found[:2]] == [net("a/net.onnx"), net("b/net.onnx")]
    assert found[2].old == ""
    assert found[0].origin.startswith("main (")


def test_a_folder_has_the_same_path_or_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("models/net.onnx", "net.onnx", "new.onnx"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"m")
    for name in ("old/models/net.onnx", "flat/net.onnx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"m")

    def found(model: str, folder: str) -> str:
        return subjects([model], folder, tmp_path, Limits())[0].old

    assert found("models/net.onnx", "old") == str(Path("old/models/net.onnx"))
    assert found("models/net.onnx", "flat") == str(Path("flat/net.onnx"))
    assert found(str(tmp_path / "net.onnx"), "flat") == str(Path("flat/net.onnx"))
    assert found("new.onnx", "flat") == ""


def test_stored_runs_are_no_baseline(tmp_path: Path) -> None:
    model = models.save(models.lenet(), tmp_path)
    path = Store(tmp_path / "runs").save(sample_run())
    for baseline in (tmp_path / "runs", path):
        with pytest.raises(UsageError, match="measured here, in turn"):
            subjects([str(model)], str(baseline), tmp_path, Limits())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no model in this folder") as caught:
        subjects([str(model)], str(tmp_path / "empty"), tmp_path, Limits())
    assert "refs/heads/NAME" in caught.value.remedy


def test_a_file_is_the_old_version_of_one_model(tmp_path: Path) -> None:
    new, other, before = (
        models.save(models.lenet(), tmp_path, name) for name in ("n.onnx", "o.onnx", "b.onnx")
    )
    (subject,) = subjects([str(new)], str(before), tmp_path, Limits())
    assert (subject.model, subject.old) == (str(new), str(before))
    with pytest.raises(UsageError, match="one old model for 2 new ones"):
        subjects([str(new), str(other)], str(before), tmp_path, Limits())


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        subjects([str(tmp_path / "none.onnx")], "main", tmp_path, Limits())
    with pytest.raises(UsageError, match="in no git repository"):
        subjects(["zoo:lenet"], "main", tmp_path, Limits())
    with pytest.raises(UsageError, match="no old version"):
        subjects(["zoo:lenet"], str(tmp_path), tmp_path, Limits())
