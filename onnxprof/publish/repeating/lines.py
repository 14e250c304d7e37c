"""The three lines that repeat a run, and what may differ where they are run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from onnxprof.publish.repeating.budget import estimate
from onnxprof.publish.repeating.command import REMOTE, command, is_repeatable, model_word
from onnxprof.publish.repeating.install import install
from onnxprof.publish.text.safe import counted
from onnxprof.publish.text.sentences import threads
from onnxprof.records.run import CORES, Run

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Repeat:
    """How to repeat a run; the lines are for a shell, and `#` begins a comment in them."""

    install: str
    model: str
    """Makes, fetches or checks the model, with its SHA-256."""
    command: str
    """Empty for what another program measured."""
    note: str
    """Why the budget is what it is; empty where there is nothing to say."""
    differs: str
    """`Your CPU may differ: …`; empty for what was published."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The three, in order; none for what another program measured."""
        return (self.install, self.model, self.command) if self.command else ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything, in the order in which a page's script reads it."""
        return self.install, self.model, self.command, self.note, self.differs


def repeat(run: Run) -> Repeat:
    """How to repeat this run; texts from it are not escaped."""
    if not is_repeatable(run):
        assert run.origin is not None
        if run.request.is_published:
            note = f"Published by {run.origin.program}: no command repeats it"
            return Repeat("", "", "", note, "")
        note = f"Measured by {run.origin.program}, not by onnxprof: repeat it there"
        return Repeat("", "", "", note, differs(run))
    wanted = estimate(run)
    return Repeat(
        install(run),
        model_line(run),
        command(run, wanted.seconds, wanted.processes),
        wanted.note,
        differs(run),
    )


def model_line(run: Run) -> str:
    """What makes or fetches the model, or the digest of its file; the SHA-256 is a comment."""
    reference, digest = run.model.reference, run.model.sha256
    if reference.startswith("zoo:"):
        name = reference.removeprefix("zoo:")
        given = ["onnxprof", "zoo", "materialise", *(["--"] if name.startswith("-") else []), name]
    elif reference.startswith(REMOTE):
        given = ["onnxprof", "inspect", reference]
    else:
        given = ["sha256sum", model_word(reference)]
    found = f"SHA-256 {digest}" if _SHA256.fullmatch(digest) else "its SHA-256 is not known"
    return f"{shlex.join(given)}  # {found}"


def differs(run: Run) -> str:
    """The facts of the machine that a repetition may not share."""
    device, facts = run.device, dict(run.environment)
    name = device.name or run.request.device_id
    if device.kind == "cpu":
        cores = counted(device.physical_cores, "core", "cores") if device.physical_cores else ""
        lanes = _lanes(device.logical_cores)
        parts = [name, " with ".join(filter(None, (cores, lanes)))]
        parts += [f"vector sets {' '.join(device.features)}"] if device.features else []
        ran = _cores(facts.get(CORES, "")) or threads(run.request.threads)
        return f"Your CPU may differ: {', '.join(filter(None, (*parts, f'measured on {ran}')))}"
    driver = f"driver {device.driver}" if device.driver else ""
    clock = f"up to {device.max_clock_mhz:,} MHz" if device.max_clock_mhz else ""
    parts = [name, " ".join(device.features), driver, clock]
    return f"Your {device.kind.upper()} device may differ: {', '.join(filter(None, parts))}"


def _lanes(number: int) -> str:
    return counted(number, "hardware thread", "hardware threads") if number else ""


def _cores(kept: str) -> str:
    """`cores 0-3` of the fact `0-3; onnxprof on 4-7`; empty where it is not known."""
    measured = kept.partition(";")[0].strip()
    if not measured:
        return ""
    return f"core {measured}" if measured.isdigit() else f"cores {measured}"
