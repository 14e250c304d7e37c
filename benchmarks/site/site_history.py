"""What earlier runs cost: a model's page in kB after gzip, and CPU seconds of its build.

    python benchmarks/site/site_history.py [--runs 1,5,30] [--requests 18]

A model of 180 layers on three devices at six batch sizes, each request measured so many times; and
`changes.html` of so many models with two runs of one request each. Weights are of the HTML and of
the scripts and styles that it asks for at once. Builds are of this process alone, without a cache;
seconds are over those of a run a request.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from time import process_time

import site_build

from onnxprof.publish.site import build as site
from onnxprof.records.run import Run

MODELS = 100


def moment(number: int) -> str:
    return f"2026-01-{1 + number // 24:02}T{number % 24:02}:00:00Z"


def runs(times: int, requests: int) -> list[Run]:
    case = replace(site_build.CASES["large"], sizes=(180,))
    pairs = [(device, batch) for device in range(case.devices) for batch in case.batches]
    return [
        site_build.run(0, device, batch, case, moment(number))
        for device, batch in pairs[:requests]
        for number in range(times)
    ]


def built(given: list[Run], folder: Path) -> float:
    """CPU seconds of the build."""
    start = process_time()
    site.build_site(given, folder)
    return process_time() - start


def weight(folder: Path, page: Path) -> int:
    """Bytes after gzip of a page and of what its head asks for."""
    html = page.read_text("utf-8")
    asked = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', html.partition("</head>")[0])
    files = [page, *(page.parent / name for name in asked)]
    assert all(file.resolve().is_relative_to(folder.resolve()) for file in files)
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="1,5,30")
    parser.add_argument("--requests", type=int, default=18)
    asked = parser.parse_args()
    first = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ONNXPROF_CACHE"] = f"{scratch}/cache"
        for times in map(int, asked.runs.split(",")):
            out = Path(scratch) / f"site-{times}"
            seconds = built(runs(times, asked.requests), out)
            first = first or seconds
            [page] = (out / "models").glob("*/index.html")
            kilobytes = weight(out, page) / 1e3
            listed = len(list(page.parent.glob("history/*.js")))
            print(
                f"{times:3} runs a request: page {kilobytes:.1f} kB, {listed} files of earlier"
                f" runs, build {seconds / first:.2f} of that of one run"
            )
        out = Path(scratch) / "changes"
        case = site_build.CASES["many"]
        given = [
            site_build.run(model, 0, 1, case, moment(number))
            for model in range(MODELS)
            for number in range(2)
        ]
        built(given, out)
        kilobytes = weight(out, out / "changes.html") / 1e3
        print(f"changes.html of {MODELS} requests: {kilobytes:.1f} kB")


if __name__ == "__main__":
    main()
