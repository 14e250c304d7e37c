"""`onnxprof runs` where it changes a store: tag, untag, remove, prune, merge."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support.habits.commands import inside
from typer.testing import CliRunner, Result

from onnxprof.cli.commands.site import app as site_app
from onnxprof.cli.commands.stored.runs import app
from onnxprof.errors import UsageError
from onnxprof.store import index, tags
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Store, scan
from onnxprof.testing import sample_run


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def good(*arguments: str | Path) -> Result:
    result = run(*arguments)
    assert result.exception is None, result.exception
    assert result.exit_code == 0, result.output
    return result


def batches(root: Path) -> list[tuple[int, str]]:
    return [(run.request.batch, run.created[8:10]) for run in scan([root])[0]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Batch 1 on two days, batch 8 on the second."""
    store = Store(tmp_path / "runs")
    for batch, day in ((1, 1), (1, 2), (8, 3)):
        store.save(sample_run("net", batch, created=f"2026-01-0{day}T03:04:05Z"))
    return store.root


ID = request_digest(sample_run("net").request)[:7]


def test_tagged_runs_are_found_by_every_command(root: Path, tmp_path: Path) -> None:
    said = good("tag", ID, "old", "--store", root).stderr
    assert "2 runs are called" in said
    assert said.endswith("1 run tagged old\n")
    assert good("tag", "--model", "net", "all", "--store", root).stderr == "3 runs tagged all\n"
    again = good("tag", "--all", ID, "all", "--store", root).stderr
    assert again == "0 runs tagged all; 2 runs had it before\n"
    text = good("list", "--store", root, "--tag", "old").stdout
    assert text.count("2026-01-") == 1
    assert f"tag old: {ID}\n" in text
    [entry] = json.loads(good("list", "--store", root, "--tag", "old", "--format", "json").stdout)
    assert entry["tags"] == ["all", "old"]
    rows = csv.DictReader(io.StringIO(good("export", "tag:old", "--store", root).stdout))
    assert {row["batch"] for row in rows} == {"1"}
    assert "tags: all, old\n" in good("show", "tag:old", "--store", root).stderr
    assert "tags: all" in good("show", next(Store(root).paths())).stderr
    out = tmp_path / "site"
    made = CliRunner().invoke(
        site_app, ["build", "--store", str(root), "--tag", "old", "--out", str(out)]
    )
    assert "1 model, 1 run," in made.stdout
    said = good("untag", "--tag", "all", "all", "--store", root).stderr
    assert said == "3 runs no longer tagged all\n"
    assert [run.tags for run in scan([root])[0]] == [(), ("old",), ()]


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "tag:a", "tag:b"),
        ("align", "tag:a", "tag:b", "--batch", "1"),
        ("scaling", "tag:b"),
        ("scaling", "--tag", "b"),
    ],
)
def test_commands_that_set_runs_side_by_side_take_tags(
    words: tuple[str, ...], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONNXPROF_STORE", str(root))
    first, second = sorted(root.rglob("b0001-*"))
    good("tag", first, "a")
    good("tag", second, "b")
    good("tag", "--batch", "8", "b")
    done = inside(*words)
    assert done.code == 0, done.err
    places = [root] * 2 if words[0] == "compare" else [root]
    lost = inside(words[0], *places, "--tag", "nobodys")
    assert (lost.code, "no stored run matches" in lost.err) == (2, True)


def test_the_index_may_be_deleted_and_nothing_is_lost(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_FEW", 1)
    monkeypatch.setattr(index, "_UNSETTLED_NS", -(10**12))
    good("tag", ID, "old", "--store", root)
    listing = ("list", "--store", root, "--format", "json")
    first = good(*listing).stdout
    assert (root / index.NAME).exists()
    assert good(*listing).stdout == first
    (root / index.NAME).unlink()
    assert good(*listing).stdout == first
    assert json.loads(first)[1]["tags"] == ["old"]


@pytest.mark.parametrize("tag", ["a b", "-", "*"])
def test_a_tag_that_cannot_be_one_changes_nothing(root: Path, tag: str) -> None:
    assert isinstance(run("tag", ID, "--store", root, "--", tag).exception, UsageError | SystemExit)
    assert not (root / tags.NAME).exists()


@pytest.mark.parametrize("command", [("tag", "x"), ("untag", "x"), ("remove", "--yes")])
def test_all_of_a_store_is_never_meant_by_default(root: Path, command: tuple[str, ...]) -> None:
    result = run(*command, "--store", root)
    assert isinstance(result.exception, UsageError)
    assert "no run is named" in str(result.exception)
    assert len(batches(root)) == 3


def test_remove_says_what_and_removes_it(root: Path) -> None:
    dry = good("remove", "--batch", "1", "--dry-run", "--store", root)
    assert dry.stdout.count("2026-01-") == 2
    assert "To be removed: 2 runs, " in dry.stderr
    assert len(batches(root)) == 3
    said = good("remove", ID, "--yes", "--store", root)
    assert said.stderr.endswith("1 run removed\n")
    assert batches(root) == [(1, "01"), (8, "03")]
    good("remove", next(Store(root).paths()), ID, "--yes", "--store", root)
    assert batches(root) == [(8, "03")]


def test_remove_takes_every_run_of_an_id_where_asked_to(root: Path) -> None:
    good("remove", ID, "--all", "--yes", "--store", root)
    assert batches(root) == [(8, "03")]


def test_nothing_that_is_no_run_is_removed(root: Path) -> None:
    bad, other = root / "bad.parquet", root / "notes.txt"
    bad.write_bytes(b"no")
    other.write_text("mine")
    result = good("remove", "--model", "*", "--yes", "--store", root)
    assert "skipped" in result.stderr
    assert bad.read_bytes() == b"no"
    assert other.read_text() == "mine"
    assert run("remove", bad, "--yes").exception is not None
    assert run("remove", other, "--yes").exception is not None
    assert bad.exists()
    assert other.exists()


def test_without_a_terminal_nothing_is_removed_unasked(root: Path) -> None:
    result = run("remove", "--model", "net", "--store", root)
    assert isinstance(result.exception, UsageError)
    assert "--yes" in str(result.exception)
    assert len(batches(root)) == 3


@pytest.mark.posix
@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 3), (b"\n", 3), (b"y\n", 1)])
def test_on_a_terminal_it_asks(root: Path, answer: bytes, left: int) -> None:
    leader, follower = pty.openpty()
    command = ("remove", "--batch", "1", "--store", str(root))
    process = subprocess.Popen(
        [sys.executable, "-m", "onnxprof", "runs", *command],
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while b"?" not in shown:
        shown += os.read(leader, 4096)
    os.write(leader, answer)
    code = _drained(process, leader)
    assert b"Remove these runs?" in shown
    assert len(batches(root)) == left
    assert code == (0 if left == 1 else 1)


def _drained(process: subprocess.Popen[bytes], leader: int) -> int:
    try:
        while os.read(leader, 4096):
            pass
    except OSError:  # the last one has closed the other end
        pass
    os.close(leader)
    return process.wait()


def test_prune_keeps_the_newest_of_each_request(root: Path) -> None:
    assert "1 run, " in good("prune", "--keep", "1", "--dry-run", "--store", root).stderr
    assert len(batches(root)) == 3
    good("prune", "--keep", "1", "--yes", "--store", root)
    assert batches(root) == [(1, "02"), (8, "03")]
    said = good("prune", "--keep", "1", "--yes", "--store", root).stderr
    assert said == "No request has more than 1: nothing to remove\n"


def test_prune_spares_tagged_runs_and_says_so(root: Path) -> None:
    good("tag", next(Store(root).paths()), "keep")
    said = good("prune", "--keep", "1", "--yes", "--store", root).stderr
    assert said.startswith("1 run stays because of a tag\n")
    assert len(batches(root)) == 3


def test_prune_has_filters(root: Path) -> None:
    assert (
        "nothing to remove"
        in good("prune", "--keep", "1", "--batch", "8", "--yes", "--store", root).stderr
    )
    assert run("prune", "--keep", "0", "--store", root).exit_code == 2


def test_merge_says_what_became_of_each_run(root: Path, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    other.save(sample_run("more"))
    (other.root / "bad.parquet").write_bytes(b"no")
    done = inside("runs", "merge", other.root, root, "--into", tmp_path / "all")
    assert done.out == f"{tmp_path / 'all'}: 4 new, 0 there already, 1 unreadable\n"
    assert "bad.parquet" in done.err
    assert done.code == 1
    good("tag", "--model", "more", "x", "--store", other.root)
    (other.root / "bad.parquet").unlink()
    again = good("merge", other.root, root, "--into", tmp_path / "all")
    assert "0 new, 4 there already, 0 unreadable; also 1 line about tags" in again.stdout


def test_merge_of_a_folder_that_is_not_there_copies_nothing(root: Path, tmp_path: Path) -> None:
    result = run("merge", root, tmp_path / "no", "--into", tmp_path / "all")
    assert isinstance(result.exception, UsageError)
    assert not (tmp_path / "all").exists()


def test_an_archive_is_unpacked_into_the_same_files(root: Path, tmp_path: Path) -> None:
    archive, target = tmp_path / "all.parquet", tmp_path / "all"
    good("pack", root, "-o", archive)
    good("unpack", archive, "--into", target)
    assert batches(target) == batches(root) != []
    assert "0 new, 3 there already" in good("merge", archive, "--into", target).stdout


def test_list_names_the_sizes_of_axes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for model, sequence, mask in (("bert", 16, 4), ("bert", 128, 4), ("gpt", 16, 4)):
        sample = sample_run(model)
        asked = dataclasses.replace(sample.request, dims=(("sequence", sequence), ("mask", mask)))
        store.save(dataclasses.replace(sample, request=asked))
    text = good("list", "--store", tmp_path).stdout
    headings = [line for line in text.splitlines() if "2 threads" in line]
    assert sorted(headings) == [
        "bert, fake on cpu:fake, 2 threads, mask=4, sequence=128",
        "bert, fake on cpu:fake, 2 threads, mask=4, sequence=16",
        "gpt, fake on cpu:fake, 2 threads, mask=4, sequence=16",
    ]
    assert max(map(len, text.splitlines())) <= 80
    listed = json.loads(good("list", "--store", tmp_path, "--format", "json").stdout)
    assert listed[0]["dims"] == {"sequence": 128, "mask": 4} or listed[0]["dims"]["mask"] == 4
    table = good("list", "--store", tmp_path, "--format", "csv").stdout
    assert {row["dims"] for row in csv.DictReader(io.StringIO(table))} == {
        "sequence=16;mask=4",
        "sequence=128;mask=4",
    }
