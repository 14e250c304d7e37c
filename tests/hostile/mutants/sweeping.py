"""`onnxprof sweep` over a folder of damaged models, in one process; prints what came of it as JSON.

    python sweeping.py FOLDER SEED COUNT

FOLDER holds `models/`, where models are written and `weights.bin` lies, and `outside/`, of which
no file may be opened.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from inspecting import good, words  # noqa: E402
from modelmutants import mutants  # noqa: E402
from support.networks import models  # noqa: E402

from onnxprof.cli.main import _run  # noqa: E402
from onnxprof.machine.memory import peak_resident_bytes  # noqa: E402
from onnxprof.store.folder import load_all  # noqa: E402

#: A model that is not damaged, among those that are.
SOUND = "m-sound"
_PLAN = """
[defaults]
batch = [{batch}]
budget = 0.02
threads = 1
timeout = 20
memory = 2
telemetry = false

[[models]]
name = "models/m*.onnx"
"""


_ENDS = ("finished", "failed", "skipped", "already_stored")


def swept(folder: Path, number: int) -> tuple[int, str, str]:
    """Every other sweep asks for a batch that few of the models have."""
    plan = folder / "plan.toml"
    plan.write_text(_PLAN.format(batch=1 + 2 * (number % 2)))
    out, told = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        code = _run(["sweep", str(plan), "--store", str(folder / "runs"), "--json"])
    return code, _text(out), _text(told)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def faults(names: dict[str, str], events: list[dict[str, Any]]) -> Iterator[str]:
    """What is wrong with the answers: each job ends once, with a run or a reason in one line."""
    ends = [each for each in events if each["event"] in _ENDS]
    counted = Counter(each["job"]["model"] for each in ends)
    yield from (
        f"{names[name]}: ends {counted[name]} times" for name in names if counted[name] != 1
    )
    for each in ends:
        reason = each.get("reason", "")
        what = f"{names[each['job']['model']]}: {each['event']}: {reason[:300]}"
        if each["event"] in ("failed", "skipped") and not reason.strip():
            yield f"{what}: no reason"
        if re.search("Traceback|bug in onnxprof|failed: [A-Z]", reason):
            yield f"{what}: a traceback or a bug"
        if not reason.isprintable():
            yield f"{what}: more than a line, or control characters"


def main(folder: Path, seed: int, count: int) -> None:
    place = folder / "models"
    names: dict[str, str] = {}
    for number, (what, data) in enumerate(mutants(seed, count, good(place), words(folder))):
        (place / f"m{number:03}.onnx").write_bytes(data)
        names[f"m{number:03}"] = what
    (place / "model.onnx").unlink()  # the one that `good` has written
    models.save(models.linear(), place, f"{SOUND}.onnx")
    names[SOUND] = "sound"
    code, out, told = swept(folder, seed)
    events = [json.loads(line) for line in out.splitlines()]
    wrong = list(faults(names, events))
    wrong += [f"exit code {code}"] if code not in (0, 1, 2) else []
    wrong += [f"said: {told[-500:]}"] if re.search("Traceback|bug in", told) else []
    runs, problems = load_all([folder / "runs"])
    wrong += [str(problem) for problem in problems]
    wrong += [f"a folder on record: {run.failure}" for run in runs if str(place) in run.failure]
    reasons = [each.get("reason", "") for each in events]
    seen = Counter(each["event"] for each in events if each["event"] != "advanced")
    facts = {
        "seen": seen,
        "sound": [e["event"] for e in events if e.get("job", {}).get("model") == SOUND][-1],
        "wrong": wrong,
        "limited": [r for r in reasons if re.search("stopped after|more memory|was ended", r)],
        "stored": len(runs),
        "peak_bytes": peak_resident_bytes(),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
