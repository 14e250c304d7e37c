"""Does the command that an error message suggests run? Each model, as a newcomer meets it.

    python benchmarks/suggestions.py MODEL.onnx...
    python benchmarks/suggestions.py --public      # those of tools/public/models.toml, downloaded

A model is profiled without sizes; where the message asks for sizes, its suggestion is pasted behind
the same command. Prints a row a model, and how many run; the exit code is 1 where one does not.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

_SUGGESTED = re.compile(r"\. Add (?P<words>--dim .*)$", re.MULTILINE)
#: Whether it runs is asked, not how fast: what takes long is left out.
_QUICK = (
    *("--budget", "0.05", "--timer", "trace"),
    *("--no-telemetry", "--no-verify", "--no-parity", "-q"),
)
_USUAL = ("--batch", "1,2", *_QUICK)


def profiled(model: str, store: str, more: Sequence[str] = ()) -> tuple[bool, str]:
    """Whether the command measured, and what it said on stderr."""
    words = [sys.executable, "-m", "onnxprof", "profile", model, *more, *_USUAL, "--store", store]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr


def outcome(model: str, store: str) -> tuple[bool, str]:
    """Whether the first or the suggested command ran, and which that is."""
    runs, said = profiled(model, store)
    if runs:
        return True, "runs without sizes"
    match = _SUGGESTED.search(said)
    if match is None:
        return False, f"no suggestion: {said.strip()[-200:]}"
    words = shlex.split(match["words"])
    given = " ".join(words)
    if "--batch" in words:  # goes before the usual batches, of which the last would count
        place = words.index("--batch")
        words = words[:place] + words[place + 2 :]
        runs, said = _at_one(model, store, words)
    else:
        runs, said = profiled(model, store, words)
    return runs, given if runs else f"{given}: {said.strip()[-200:]}"


def _at_one(model: str, store: str, words: Sequence[str]) -> tuple[bool, str]:
    command = [sys.executable, "-m", "onnxprof", "profile", model, *words, "--batch", "1"]
    done = subprocess.run(
        [*command, *_QUICK, "--store", store], capture_output=True, text=True, check=False
    )
    return done.returncode == 0, done.stderr


def public() -> list[tuple[str, str]]:
    """Name and file of each public model of the list, fetched where it is not there."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tools.public.fetching import fetch
    from tools.public.table import public_models

    models = public_models()
    fetch(models)
    return [(model.name, str(model.path())) for model in models]


def main(words: Sequence[str]) -> int:
    """Try every model."""
    models = (
        public() if list(words) == ["--public"] else [(Path(word).name, word) for word in words]
    )
    good = 0
    with TemporaryDirectory() as store:
        for name, model in models:
            runs, what = outcome(model, store)
            good += runs
            print(f"{'runs ' if runs else 'FAILS'}  {name:62} {what}", flush=True)
    print(f"{good} of {len(models)} run")
    return int(good < len(models))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
