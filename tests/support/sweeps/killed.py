"""Sweeps that are killed and resumed: a place for one, the ways to kill it, and what must hold.

A sweep is killed after so many of its lines, and then some moments later, so that a moment is as
likely on a busy machine as on a quiet one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock

from onnxprof.store import folder as store
from onnxprof.store.encoding import request_digest
from onnxprof.sweeps.status.file import FOLDER, State, state, statuses
from support.networks import models

WAYS = ("group", "parent", "child", "terminate", "interrupt")
_SHARED = Path("/dev/shm")
#: No process of ours lives that long; whatever is older than that may be taken away.
_PATIENCE_S, _OLD_S = 120, 7200

#: Sleeps where others compute, and writes down which sweep had which batch measured.
_MODULE = """
import os, time
from contextlib import contextmanager
from pathlib import Path
from onnxprof.testing import FakeBackend, FakeSession

SEEN = Path(os.environ["MORTAL_SEEN"])


class Sleeper(FakeSession):
    def infer(self):
        before = self.clock.now_ns
        super().infer()
        time.sleep((self.clock.now_ns - before) / 1e9)


class Mortal(FakeBackend):
    def __init__(self):
        super().__init__(name="mortal", gap_ns=0, load_ns=0)

    def caches(self):
        return [SEEN]

    def lasts(self, provider):
        return bool(os.environ.get("MORTAL_LASTS"))

    @contextmanager
    def open(self, workload):
        (SEEN / f"{os.environ['MORTAL_SWEEP']}-{workload.table.batch}").touch()
        with super().open(workload) as session:
            yield session

    def _session(self, workload, traced_cost_ns):
        steps = tuple((lambda _: 200_000) for _ in workload.table.nodes)
        return Sleeper(self.clock, workload, steps, 0)
"""


@dataclass(slots=True)
class Ended:
    """A sweep that is over, in any way."""

    code: int
    events: list[dict[str, Any]]
    told: str

    def batches(self, *kinds: str) -> list[int]:
        """Of the jobs with these events."""
        return [each["job"]["batch"] for each in self.events if each["event"] in kinds]


@dataclass(slots=True)
class Trial:
    """A plan, a store and all folders that a sweep may write to."""

    folder: Path
    backend: str = "mortal"
    batches: tuple[int, ...] = (1, 2, 3)
    sweeps: int = 0
    started: Counter[int] = field(default_factory=Counter)
    """By batch the sweeps that started it, by their events."""

    def __post_init__(self) -> None:
        for name in ("plugin", "seen", "tmp", "locks", "cache"):
            (self.folder / name).mkdir()
        facts = self.folder / "plugin" / "mortal-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: mortal\nVersion: 1.0\n")
        point = "[onnxprof.backends]\nmortal = mortal_backend:Mortal\n"
        (facts / "entry_points.txt").write_text(point)
        (self.folder / "plugin" / "mortal_backend.py").write_text(textwrap.dedent(_MODULE))
        made = models.lenet() if self.backend == "ort" else models.linear()
        models.save(made, self.folder)
        checked = "parity = false\nverify = false\n" if self.backend == "mortal" else ""
        (self.folder / "plan.toml").write_text(
            f"[defaults]\nbudget = 0.05\nthreads = 1\nbatch = {list(self.batches)}\n{checked}"
            f'telemetry = false\n[[models]]\nname = "model.onnx"\n'
            f'[[backends]]\nname = "{self.backend}"\n'
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A sweep in a session of its own, so that all its processes are known."""
        self.sweeps += 1
        lasts = {"MORTAL_LASTS": "yes"} if self.sweeps % 2 else {}
        places = {
            "PYTHONPATH": str(self.folder / "plugin"),
            "MORTAL_SEEN": str(self.folder / "seen"),
            "MORTAL_SWEEP": str(self.sweeps),
            "TMPDIR": str(self.folder / "tmp"),
            "ONNXPROF_LOCKS": str(self.folder / "locks"),
            "ONNXPROF_CACHE": str(self.folder / "cache"),
        }
        command = [sys.executable, "-m", "onnxprof", "sweep", str(self.folder / "plan.toml")]
        return subprocess.Popen(
            [*command, "--json", "--store", str(self.runs), *words],
            cwd=self.folder,
            env=os.environ | places | lasts,
            stdout=subprocess.PIPE,
            stderr=(self.folder / "stderr").open("w"),
            text=True,
            start_new_session=True,
        )

    @property
    def runs(self) -> Path:
        """The store."""
        return self.folder / "runs"

    def ended(self, process: subprocess.Popen[str], lines: list[str]) -> Ended:
        """What a sweep has said, once it is over; `lines` are those that were read before."""
        assert process.stdout is not None
        # communicate() would lose what was read ahead of the last line.
        reader = threading.Thread(target=lines.extend, args=(process.stdout,), daemon=True)
        reader.start()
        reader.join(_PATIENCE_S)
        assert not reader.is_alive(), "somebody still holds the sweep's output"
        process.wait(_PATIENCE_S)
        process.stdout.close()
        whole = [line for line in lines if line.endswith("\n")]
        told = (self.folder / "stderr").read_text()
        done = Ended(process.returncode, list(map(json.loads, whole)), told)
        self.started.update(done.batches("started"))
        return done

    def good(self) -> dict[Path, bytes]:
        """The stored runs with times, each of which can be read, and no job twice."""
        runs, problems = store.load_all([self.runs])
        assert problems == []
        digests = Counter(request_digest(run.request) for run in runs if run.timings is not None)
        assert set(digests.values()) <= {1}, digests
        paths = store.Store(self.runs).paths()
        return {path: path.read_bytes() for path in paths if "-failed" not in path.name}

    def measured(self) -> Counter[int]:
        """By batch the sweeps in which the backend loaded it, as it says itself."""
        names = [path.name for path in (self.folder / "seen").iterdir()]
        return Counter(int(name.partition("-")[2]) for name in names)


def killed(trial: Trial, way: str, rng: random.Random, most_lines: int) -> Ended:
    """Start a sweep and end it at a random moment."""
    process = trial.start()
    lines: list[str] = []
    assert process.stdout is not None
    wanted = rng.randint(0, most_lines)
    while len(lines) < wanted and (line := process.stdout.readline()):
        lines.append(line)
    time.sleep(rng.uniform(0, 0.05 if lines else 1.0))
    _kill(process, way, rng)
    done = trial.ended(process, lines)
    if way in ("terminate", "interrupt") and lines:
        number = signal.SIGTERM if way == "terminate" else signal.SIGINT
        assert done.code in (0, 128 + number), done
        assert "Traceback" not in done.told
    return done


def _kill(process: subprocess.Popen[str], way: str, rng: random.Random) -> None:
    if way == "child":
        children = [pid for pid in living(process.pid) if pid != process.pid]
        if children:
            os.kill(rng.choice(children), signal.SIGKILL)
    elif way in ("group", "interrupt"):
        os.killpg(process.pid, signal.SIGKILL if way == "group" else signal.SIGINT)
    else:
        process.send_signal(signal.SIGKILL if way == "parent" else signal.SIGTERM)


def living(session: int) -> list[int]:
    """The processes of a session, but for those that are dead and not yet waited for."""
    found: list[int] = []
    for pid in psutil.pids():
        try:
            ours = os.getsid(pid) == session
            if ours and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (OSError, psutil.Error):
            continue
    return found


def killed_and_resumed(trial: Trial, way: str, rng: random.Random, most_lines: int) -> Ended:
    """Kill a sweep, resume it to the end, and see that nothing is lost, done twice or left."""
    shared = set(_SHARED.glob("*"))
    done = killed(trial, way, rng, most_lines)
    all_gone(trial)
    before = trial.good()
    in_flight = set(done.batches("started")) - set(done.batches("finished"))
    if way in ("terminate", "interrupt") and done.code > 0:
        assert leftovers(trial) == []
    age(trial.folder)
    process = trial.start("--retry-failed")
    resumed = trial.ended(process, [])
    assert resumed.code == 0, resumed
    after = trial.good()
    assert before.items() <= after.items()
    assert len(after) == len(trial.batches)
    assert sorted(resumed.batches("finished")) == sorted(resumed.batches("started"))
    assert len(resumed.batches("finished")) == len(after) - len(before)
    again = {batch for batch, count in trial.started.items() if count > 1}
    assert again <= in_flight
    assert way == "child" or len(again) <= 1
    if trial.backend == "mortal":
        assert {batch for batch, count in trial.measured().items() if count > 1} <= again
        assert set(trial.measured()) == set(trial.batches)
    all_gone(trial)
    assert leftovers(trial) == []
    assert [state(each) for each in statuses(trial.runs)[0]] == [State.ENDED]
    assert len(list((trial.runs / FOLDER).iterdir())) == 1
    assert _settled(lambda: _new(shared))
    return done


def all_gone(trial: Trial) -> None:
    """No process of the trial is left, and every lock can be had."""
    assert _settled(lambda: _processes(trial.folder)), _processes(trial.folder)
    for path in (trial.folder / "locks").glob("*.lock"):
        with FileLock(path, timeout=0):
            pass


def _settled(left: Any) -> bool:
    """Whether nothing of it is there, if not at once then soon."""
    for _ in range(_PATIENCE_S * 20):
        if not left():
            return True
        time.sleep(0.05)
    return False


def _processes(folder: Path) -> list[str]:
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder / "tmp"):
                found.append(f"{process.pid} {process.status()} {process.cmdline()}")
        except psutil.Error:
            continue
    return [each for each in found if psutil.STATUS_ZOMBIE not in each]


def _new(shared: set[Path]) -> list[Path]:
    """What lies in shared memory since then, but for what other programs keep there."""
    names = ("onnxprof", "sem.mp-", "psm_", "pym-")
    return [path for path in set(_SHARED.glob("*")) - shared if path.name.startswith(names)]


def leftovers(trial: Trial) -> list[str]:
    """Temporary files, and notes of who holds a device."""
    left = [*(trial.folder / "tmp").iterdir(), *trial.runs.rglob("*.tmp")]
    left += (trial.folder / "cache").rglob("*.tmp")
    left += [note for note in (trial.folder / "locks").glob("*.holder") if note.read_bytes()]
    return [path.relative_to(trial.folder).as_posix() for path in left]


def age(folder: Path) -> None:
    """Let temporary files look as if they had been left some hours ago."""
    then = time.clock_gettime(time.CLOCK_REALTIME) - _OLD_S
    for path in (*(folder / "tmp").rglob("*"), *folder.rglob("*.tmp")):
        os.utime(path, (then, then), follow_symlinks=False)
