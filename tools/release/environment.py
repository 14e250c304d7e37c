"""A fresh virtual environment, and commands in it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.release.errors import ReleaseError

#: What would let a command see this machine's packages or settings in place of the wheel's.
KEPT_OUT = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "VIRTUAL_ENV")


def ran(*command: str | Path, folder: Path) -> str:
    """Output of a command that must succeed."""
    settings = {
        name: value
        for name, value in os.environ.items()
        if name not in KEPT_OUT and not name.startswith("ONNXPROF_")
    }
    settings |= {"COLUMNS": "80", "ONNXPROF_CACHE": str(folder / "cache")}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=settings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        shown = " ".join([Path(words[0]).name, *words[1:]])
        said = f"{done.stdout}\n{done.stderr}".strip()[-2000:]
        raise ReleaseError(f"{shown} ended with {done.returncode}:\n{said}")
    return done.stdout


@dataclass(frozen=True)
class Fresh:
    """An environment with one wheel in it."""

    python: Path

    def command(self, name: str) -> Path:
        """A script that the environment has."""
        return self.python.with_name(name + (".exe" if os.name == "nt" else ""))


def fresh(folder: Path, wheel: Path, extra: str, *, offline: bool) -> Fresh:
    """An environment in `folder` with the wheel and an extra.

    Offline, dependencies are those of the Python that runs this: they come after the environment's
    own packages and without `.pth` files, so that no checkout is seen.
    """
    without = ("--without-pip",) if offline else ()
    ran(sys.executable, "-m", "venv", *without, folder / "env", folder=folder)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = ("install", "--quiet", "--disable-pip-version-check")
    if offline:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        own = Path(ran(python, "-c", code, folder=folder).strip())
        (own / "lent.pth").write_text("\n".join(_lent()) + "\n", "utf-8")
        options = ("--no-deps", "--no-index", "--ignore-installed")
        ran(sys.executable, "-m", "pip", "--python", python, *pip, *options, wheel, folder=folder)
    else:
        ran(python, "-m", "pip", *pip, f"{wheel}[{extra}]", folder=folder)
    return Fresh(python)


def _lent() -> list[str]:
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
