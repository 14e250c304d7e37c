"""Completion: what is offered at the cursor, in the form that each shell reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from support.habits.commands import inside
from support.places import ROOT

from onnxprof.cli.completing.candidates import candidates
from onnxprof.cli.completing.scripts import SCRIPTS, Shell
from onnxprof.cli.completing.words import Candidate, answer, split
from onnxprof.cli.lazy import member
from onnxprof.cli.main import app

ROOT_COMMAND = typer.main.get_command(app)


def offered(line: str) -> tuple[list[str], bool]:
    words, typed = split(line)
    found, files = candidates(ROOT_COMMAND, words, typed, member)
    return [each.value for each in found], files


def test_commands_and_their_members() -> None:
    assert offered("onnxprof in") == (["inspect"], False)
    assert {"profile", "runs", "zoo", "completion"} <= set(offered("onnxprof ")[0])
    assert set(offered("onnxprof runs ")[0]) >= {"list", "show", "tag", "prune"}
    assert offered("onnxprof runs sh") == (["show"], False)
    assert offered("onnxprof nonsense x") == ([], False)


def test_networks_of_the_zoo_with_their_prefix_where_a_model_is_meant() -> None:
    assert offered("onnxprof profile zoo:len") == (["zoo:lenet"], True)
    assert offered("onnxprof profile zoo:lenet zoo:shuf")[0] == ["zoo:shufflenet"]
    assert "zoo:resnet50" in offered("onnxprof compare zoo:lenet ")[0]
    assert offered("onnxprof zoo info len") == (["lenet"], False)
    assert offered("onnxprof runs list --model len") == (["lenet"], False)
    assert offered("onnxprof runs show ") == ([], True)


def test_options_of_the_command_and_of_every_command() -> None:
    assert set(offered("onnxprof profile zoo:lenet --ba")[0]) == {"--batch", "--backend"}
    assert set(offered("onnxprof runs list --")[0]) >= {"--json", "--verbose", "--help", "--store"}
    assert "--no-parity" in offered("onnxprof profile --no-")[0]
    assert set(offered("onnxprof --")[0]) == {
        *("--version", "--debug", "--no-debug", "--verbose", "--quiet", "--help")
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("onnxprof profile m --backend o", {"ort", "openvino"}),
        ("onnxprof profile m --backend=o", {"--backend=ort", "--backend=openvino"}),
        ("onnxprof profile m --device c", {"cpu", "cuda"}),
        ("onnxprof profile m --timer ", {"auto", "trace", "prefix", "cupti"}),
        ("onnxprof runs list --format ", {"table", "json", "csv"}),
        ("onnxprof inspect m --format ", {"table", "csv", "json", "md", "xlsx"}),
        ("onnxprof align --sort ", {"graph", "time", "ratio", "gap"}),
        ("onnxprof completion ", set(Shell)),
        ("onnxprof schema runs", {"runs-list", "runs-history"}),
        ("onnxprof profile m --batch ", set()),
    ],
)
def test_values_of_options(line: str, expected: set[str]) -> None:
    assert set(offered(line)[0]) == expected


@pytest.mark.parametrize(
    ("line", "files"),
    [
        ("onnxprof inspect m -o x", True),
        ("onnxprof runs list --store ", True),
        ("onnxprof sweep pl", True),
        ("onnxprof sweep run ", True),
        ("onnxprof sweep plan.toml --st", False),
        ("onnxprof inspect -- -we", True),
        ("onnxprof profile m --threads ", False),
    ],
)
def test_files_where_a_file_is_meant(line: str, files: bool) -> None:
    assert offered(line)[1] is files


def test_a_plan_may_stand_in_place_of_a_command() -> None:
    assert "--store" in offered("onnxprof sweep plan.toml --st")[0]
    assert set(offered("onnxprof sweep ")[0]) >= {"run", "status", "init"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("onnxprof", ([], "")),
        ("onnxprof ", ([], "")),
        ("onnxprof pro", ([], "pro")),
        ("onnxprof profile 'my net", (["profile"], "my net")),
        ('onnxprof profile "a b" c', (["profile", "a b"], "c")),
        ("onnxprof profile a\\ b", (["profile"], "a b")),
        ("", ([], "")),
    ],
)
def test_a_line_is_split_as_the_shell_does(line: str, expected: object) -> None:
    assert split(line) == expected


def test_each_shell_gets_its_form() -> None:
    found = [Candidate("zoo:lenet", "LeNet:\n5"), Candidate("a b$")]
    assert list(answer(found[:1], Shell.BASH, "zoo:l", ":=")) == ["+lenet"]
    assert list(answer(found[:1], Shell.BASH, "zoo:l", " \t")) == ["+zoo:lenet"]
    assert list(answer(found[1:], Shell.BASH, "a", ":=")) == ["+a\\ b\\$"]
    assert list(answer(found, Shell.ZSH, "zoo:l")) == ["+zoo\\:lenet:LeNet: 5", "+a b$"]
    assert list(answer(found, Shell.FISH, "")) == ["+zoo:lenet\tLeNet: 5", "+a b$"]
    assert list(answer(found, Shell.POWERSHELL, "")) == ["+zoo:lenet\tLeNet: 5", "+a b$"]


def asked(shell: str, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "_ONNXPROF_COMPLETE": shell, "_ONNXPROF_LINE": line, **more}
    return subprocess.run(
        [sys.executable, "-m", "onnxprof"],
        capture_output=True,
        text=True,
        env={**env, "PYTHONPATH": str(ROOT)},
    )


def test_the_program_answers_by_its_environment() -> None:
    done = asked("fish", "onnxprof profile zoo:len")
    assert (done.returncode, done.stderr) == (0, "")
    first, files = done.stdout.splitlines()
    assert first.startswith("+zoo:lenet\t")
    assert files == "files"
    assert (
        asked("bash", "onnxprof profile zoo:len", _ONNXPROF_BREAKS=":").stdout == "+lenet\nfiles\n"
    )
    assert asked("zsh", "onnxprof runs sho").stdout.startswith("+show:Show a run")
    wrong = asked("bash", "onnxprof zoo info \udcff")
    assert wrong.stdout == ""


def test_tab_imports_no_runtime_and_opens_nothing() -> None:
    code = (
        "import os, sys\n"
        "os.environ.update(_ONNXPROF_COMPLETE='bash', _ONNXPROF_LINE=sys.argv[1])\n"
        "from onnxprof.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'onnx', 'onnxruntime', 'numpy', 'pyarrow', 'torch', 'openvino', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    for line in (
        "onnxprof ",
        "onnxprof profile zoo:",
        "onnxprof profile m --backend ",
        "onnxprof profile m --device ",
        "onnxprof runs list --",
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, line], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]", line


@pytest.mark.parametrize("shell", Shell)
def test_a_script_is_printed_for_each_shell(shell: Shell) -> None:
    done = inside("completion", shell)
    assert done.out == SCRIPTS[shell]
    assert all(len(line) <= 100 for line in done.out.splitlines())
    for name in ("_ONNXPROF_COMPLETE", "_ONNXPROF_LINE"):
        assert name in done.out


BASH = shutil.which("bash")
#: Bash splits at its word breaks; Readline does so too, and then calls the function.
DRIVER = r"""
eval "$(onnxprof completion bash)"
COMP_LINE="$1" COMP_POINT=${#1}
IFS=$'\n' read -r -d '' -a COMP_WORDS < <(printf '%s' "$2"; printf '\0')
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_onnxprof_complete onnxprof
printf '%s\n' "${COMPREPLY[@]}"
"""


def in_bash(folder: Path, line: str, *words: str) -> list[str]:
    assert BASH
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "onnxprof"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onnxprof "$@"\n')
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [BASH, "--norc", "-c", DRIVER, "bash", line, "\n".join(words)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.posix
@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_in_a_real_bash_where_a_colon_ends_a_word(tmp_path: Path) -> None:
    (tmp_path / "my net.onnx").touch()
    (tmp_path / "models").mkdir()
    told = in_bash(tmp_path, "onnxprof profile zoo:len", "onnxprof", "profile", "zoo", ":", "len")
    assert told == ["lenet"]
    told = in_bash(tmp_path, "onnxprof profile zoo:", "onnxprof", "profile", "zoo", ":")
    assert "lenet" in told
    told = in_bash(
        *(tmp_path, "onnxprof profile m --backend=o"),
        *("onnxprof", "profile", "m", "--backend", "=", "o"),
    )
    assert sorted(told) == ["openvino", "ort"]
    told = in_bash(tmp_path, "onnxprof inspect m", "onnxprof", "inspect", "m")
    assert sorted(told) == ["models/", "my\\ net.onnx"]


@pytest.mark.posix
@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_with_readline_at_a_terminal(tmp_path: Path) -> None:
    """A Tab in an interactive bash: the word is completed in place, behind its colon."""
    import pty
    import select
    import time

    in_bash(tmp_path, "onnxprof ", "onnxprof", "")  # makes the program
    rc = tmp_path / "rc"
    rc.write_text('PS1="ready> "\neval "$(onnxprof completion bash)"\n')
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.environ["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        os.environ |= {"PYTHONPATH": str(ROOT), "TERM": "dumb", "INPUTRC": "/dev/null"}
        os.execv(BASH or "", ["bash", "--noprofile", "--rcfile", str(rc), "-i"])
    shown = b""

    def until(mark: bytes, seconds: float = 60.0) -> None:
        nonlocal shown
        end = time.monotonic() + seconds
        while mark not in shown and time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                shown += os.read(terminal, 4096)
        assert mark in shown, shown

    try:
        until(b"ready> ")
        os.write(terminal, b"echo; onnxprof zoo info shuf\t")
        until(b"shufflenet")
        os.write(terminal, b"\x15onnxprof inspect zoo:shuf\t")
        until(b"zoo:shufflenet")
        os.write(terminal, b"\x15exit\n")
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
