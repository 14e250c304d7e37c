"""How far are tensors of verified ties apart? The corpus of the tests, and models, as Markdown.

    python benchmarks/tie_errors.py [--no-corpus] [MODEL ...]

Columns: what is allowed (by the coarsest type that a model computes in), the model, the largest
error of a tensor that was matched, how many were, and which it was, with its elements. Models
are files whose axes all have sizes but the batch, or zoo:NAME.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import models
from provenance_corpus import CORPUS
from test_verify import opened

from onnxprof.backends import ort_verify
from onnxprof.contracts import OnnxprofError
from onnxprof.verify.verdicts import Evidence

SHOWN = 12
Match = tuple[float, str, int]


class Recording(Evidence):
    """Evidence that keeps every match of a tensor that depends on the inputs."""

    found: list[Match]
    allowed: float

    def matches(self, tensor: str, candidates: Iterable[str]) -> str:
        """As the check has it, and kept."""
        best = super().matches(tensor, candidates)
        if best and self.varies(tensor):
            size = self.runs[0].original[tensor].size
            Recording.found.append((self.error(tensor, best), tensor, size))
            Recording.allowed = self.tolerance
        return best


def looked_at(path: str) -> list[Match]:
    """The matches of one model; says on stderr what was refuted."""
    Recording.found = []
    with opened(Path(path)) as checked:
        for step in checked.steps():
            if step.verdict.startswith("refuted"):
                print(f"{path}: {step.name}: {step.verdict}", file=sys.stderr)
    return Recording.found


def cases(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, str]]:
    """Names and files, each written when it is due."""
    for name, build in CORPUS.items() if arguments.corpus else ():
        yield name, str(models.save(build(folder), folder))
    yield from ((Path(each).stem, each) for each in arguments.models)


def main() -> None:
    """Print the largest error of each model, the worst of each tolerance first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*")
    parser.add_argument("--corpus", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # the quantiser advises on the root logger
    ort_verify.Evidence = Recording  # type: ignore[misc]
    rows: list[tuple[float, float, str, int, str, int]] = []
    with TemporaryDirectory() as scratch:
        for name, path in cases(arguments, Path(scratch)):
            try:
                found = looked_at(path)
            except OnnxprofError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            if found:
                error, tensor, size = max(found)
                rows.append((Recording.allowed, error, name, len(found), tensor, size))
    print("| allowed | model | largest error | tensors | of | elements |")
    print("| --- | --- | --- | --- | --- | --- |")
    for allowed in sorted({row[0] for row in rows}):
        worst = sorted((row for row in rows if row[0] == allowed), key=lambda row: -row[1])
        for _, error, name, count, tensor, size in worst[:SHOWN]:
            print(f"| {allowed} | {name} | {error:.2g} | {count} | {tensor} | {size} |")


if __name__ == "__main__":
    main()
