"""A page a device: its facts, every model on it, what ran on a GPU, and CSVs of everything."""

from __future__ import annotations

import gzip
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from onnxprof.analysis.standing import newest, standing
from onnxprof.compare.settings import Facet, facet_words
from onnxprof.compare.systems import runtime_version
from onnxprof.publish.disk.files import write
from onnxprof.publish.pages.catalogue import Entry, ModelPage, System
from onnxprof.publish.pages.render import SiteFacts, render
from onnxprof.publish.tables.gpu import api_csv, kernels_csv
from onnxprof.publish.tables.timings import EVERY_COLUMN
from onnxprof.publish.text.csv import csv_text, for_spreadsheets, spreadsheet_name
from onnxprof.publish.text.device import device_text
from onnxprof.publish.text.numbers import count, size, unique_slug
from onnxprof.records.device import Device
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.run import Run

#: Kernels, and calls of the CUDA runtime, that the page lists of a run; the CSV has them all.
LISTED = 10
#: A CSV of more bytes is compressed: a spreadsheet is slow with so many rows, and hosts of static
#: sites take no file above 100 MB.
LARGEST_PLAIN = 10_000_000


#: Where the list of all devices lies in a site.
DEVICES = "devices.html"
#: Facts of a run's environment that stand among those of its device.
_TELLING = {
    "cpu.caches": "Caches",
    "os": "System",
    "hypervisor": "Virtual machine",
    "container": "Container",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A file of a device's figures."""

    file: str
    """Below the folder of devices."""
    what: str
    bytes: int
    spreadsheet: str = ""
    """The file of the variant for spreadsheets; empty where there is none."""

    @classmethod
    def at(cls, place: Path, name: str, what: str) -> Table:
        """The file of this name in the folder of devices, with its variant if that is there."""
        variant = spreadsheet_name(name)
        has_variant = name.endswith(".csv") and (place / variant).is_file()
        return cls(name, what, (place / name).stat().st_size, variant if has_variant else "")


@dataclass(frozen=True, slots=True)
class GpuRow:
    """A kernel or a call of one model's run."""

    line: Line
    batch: int
    row: KernelRow | ApiRow
    times: int
    """Instances, or calls."""
    share: float
    """Of the total of the run's rows."""


@dataclass(frozen=True, slots=True)
class Line:
    """One model on one backend with its settings."""

    model: ModelPage
    system: System
    entries: tuple[Entry, ...]
    """By batch."""
    here: str = ""
    """The runtime with every setting that tells it from another line of the page."""

    def at(self, batch: int) -> Entry | None:
        """The run at a batch size, if there is one."""
        return next((entry for entry in self.entries if entry.batch == batch), None)


@dataclass(frozen=True, slots=True)
class DevicePage:
    """Everything that was measured on one device."""

    slug: str
    name: str
    device: Device
    lines: tuple[Line, ...]
    on: str = ""
    """The threads of all lines, in words; empty where they differ or do not matter."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every run that is shown, in the order of the lines."""
        return tuple(entry for line in self.lines for entry in line.entries)

    @property
    def runs(self) -> list[Run]:
        """The runs that the device's CSV holds."""
        return [entry.run for entry in self.entries if entry.result]

    @property
    def batches(self) -> list[int]:
        """Every batch size that a model ran at."""
        return sorted({entry.batch for entry in self.entries})

    @property
    def newest(self) -> Run:
        """The run that says most about the machine as it is."""
        return newest(self.entries).run


def device_pages(models: Sequence[ModelPage]) -> list[DevicePage]:
    """The devices of all runs, by name."""
    lines: dict[str, list[Line]] = defaultdict(list)
    for model in models:
        for i, system in enumerate(model.systems):
            here = tuple(entry for entry in model.entries if entry.system == i)
            lines[here[0].run.request.device_id].append(Line(model, system, here))
    taken: set[str] = set()
    pages = []
    for identity, found in sorted(lines.items(), key=lambda item: (_name(item[1]), item[0])):
        slug = unique_slug(identity, taken, identity)
        taken.add(slug)
        told, on = _told(found)
        pages.append(DevicePage(slug, _name(found), _newest(found).run.device, told, on))
    return pages


def _told(lines: Sequence[Line]) -> tuple[tuple[Line, ...], str]:
    """The lines with their settings, and the threads that all of them have.

    What differs on the page only shows on its lines: a model knows what differs among its own.
    """
    threads = [facet_words(line.entries[0].settings, Facet.THREADS) for line in lines]
    if len(set(threads)) == 1:
        words = ", ".join(threads[0])
        return tuple(replace(line, here=line.system.here) for line in lines), words
    pairs = zip(lines, threads, strict=True)
    return tuple(replace(line, here=_here(line.system, words)) for line, words in pairs), ""


def _here(system: System, threads: tuple[str, ...]) -> str:
    missing = [word for word in threads if word not in system.settings]
    return " · ".join((system.here, *missing))


def _name(lines: Sequence[Line]) -> str:
    """What the newest run's page calls the device."""
    return max(lines, key=lambda line: standing(_newest([line]))).system.device


def device_page(page: DevicePage, site: SiteFacts, tables: Sequence[Table]) -> str:
    """The page of one device, which links to these tables."""
    return render(
        "device.html",
        replace(site, newest=page.newest.created),
        f"devices/{page.slug}.html",
        page=page,
        facts=[*device_facts(page.device), *_machine_facts(page.newest)],
        runtimes=_runtimes(page),
        tables=tables,
        kernels=_longest(page, lambda run: [(row, row.instances) for row in run.kernels]),
        calls=_longest(page, lambda run: [(row, row.calls) for row in run.api_calls]),
        listed=LISTED,
    )


def devices_page(pages: Sequence[DevicePage], site: SiteFacts) -> str:
    """The list of all devices, with their hardware in a line."""
    rows = [
        (page, _hardware(page.device), len({line.model.slug for line in page.lines}))
        for page in pages
    ]
    return render("devices.html", site, DEVICES, devices=rows)


def _hardware(device: Device) -> str:
    """Cores, memory, clocks and driver; the device is named beside it."""
    return device_text(replace(device, name="")) or "not known"


def write_tables(page: DevicePage, folder: Path) -> tuple[Table, ...]:
    """Write the device's CSVs below a site's folder, in which the runs' CSVs are already.

    Each stands beside its variant for spreadsheets where that differs, unless it is so large that
    it is compressed.
    """
    place = folder / "devices"
    place.mkdir(parents=True, exist_ok=True)
    made = [_every_layer(page, folder, place)]
    for kind, what, text in (
        ("kernels", "every kernel, copy and fill", kernels_csv),
        ("api-calls", "every call of the CUDA runtime", api_csv),
    ):
        runs = [run for run in page.runs if (run.kernels if kind == "kernels" else run.api_calls)]
        if runs:
            content, name = text(runs), f"{page.slug}.{kind}.csv"
            write(place / name, content)
            made.append(Table.at(place, name, what))
    return tuple(made)


def _every_layer(page: DevicePage, folder: Path, place: Path) -> Table:
    """The CSVs of all runs as one."""
    name, what = f"{page.slug}.csv", "every layer"
    parts, header = _runs_csvs(page, folder), csv_text(EVERY_COLUMN, ())
    if sum(part.stat().st_size for part in parts) > LARGEST_PLAIN:
        packed = place / f"{name}.gz"
        # a fixed time, so that equal runs make equal bytes
        with packed.open("wb") as file, gzip.GzipFile("", "wb", 6, file, mtime=0) as whole:
            _join(parts, cast(IO[bytes], whole), header)
        return Table.at(place, packed.name, what)
    with (place / name).open("wb") as whole:
        _join(parts, whole, header)
    variants = [part.with_name(spreadsheet_name(part.name)) for part in parts]
    if any(variant.is_file() for variant in variants):
        pairs = zip(parts, variants, strict=True)
        read = [variant if variant.is_file() else part for part, variant in pairs]
        with (place / spreadsheet_name(name)).open("wb") as whole:
            _join(read, whole, for_spreadsheets(header))
    return Table.at(place, name, what)


def _runs_csvs(page: DevicePage, folder: Path) -> list[Path]:
    return [
        folder / "models" / line.model.slug / "runs" / f"{entry.stem}.csv"
        for line in page.lines
        for entry in line.entries
        if entry.result
    ]


def _join(parts: Iterable[Path], whole: IO[bytes], header: str) -> None:
    """One CSV of several under one header; none is ever in memory whole."""
    whole.write(header.encode())
    for part in parts:
        with part.open("rb") as rows:
            rows.readline()
            shutil.copyfileobj(rows, whole)


def _longest(
    page: DevicePage, rows: Callable[[Run], Sequence[tuple[KernelRow | ApiRow, int]]]
) -> list[GpuRow]:
    """The longest of each line's largest batch that has any."""
    made = []
    for line in page.lines:
        told = [entry for entry in line.entries if entry.result and rows(entry.run)]
        if told:
            entry = told[-1]
            made += _gpu_rows(line, entry.batch, rows(entry.run))
    return made


def _gpu_rows(
    line: Line, batch: int, rows: Sequence[tuple[KernelRow | ApiRow, int]]
) -> list[GpuRow]:
    whole = sum(row.total_ns for row, _ in rows) or 1
    longest = sorted(rows, key=lambda pair: -pair[0].total_ns)[:LISTED]
    return [GpuRow(line, batch, row, times, row.total_ns / whole) for row, times in longest]


def device_facts(device: Device) -> list[tuple[str, str]]:
    """What is known of a device, in words."""
    gpu = device.kind != "cpu"
    found = (
        ("Identity", device.id),
        ("Kind", device.kind),
        ("Multiprocessors" if gpu else "Cores", _number(device.physical_cores)),
        ("Arithmetic lanes" if gpu else "Hardware threads", _number(device.logical_cores)),
        ("Memory", size(device.memory_bytes) if device.memory_bytes else ""),
        ("Driver", device.driver),
        ("Base clock", _clock(device.base_clock_mhz)),
        ("Highest clock", _clock(device.max_clock_mhz)),
        ("Memory clock", _clock(device.memory_clock_mhz)),
        ("Features", ", ".join(device.features)),
    )
    return [(name, value) for name, value in found if value]


def _machine_facts(run: Run) -> list[tuple[str, str]]:
    """What of a run's machine says at once how far its figures can be trusted elsewhere."""
    known = dict(run.environment)
    return [(name, known[key]) for key, name in _TELLING.items() if known.get(key)]


def _number(value: int) -> str:
    return count(value) if value else ""


def _clock(mhz: int) -> str:
    return f"{mhz:,} MHz" if mhz else ""


def _newest(lines: Sequence[Line]) -> Entry:
    return newest(entry for line in lines for entry in line.entries)


def _runtimes(page: DevicePage) -> list[tuple[str, list[str]]]:
    """The versions of each backend that the device's runs name, newest run first."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    newest_first = sorted((e.run for e in page.entries), key=lambda run: run.created, reverse=True)
    for run in newest_first:
        found[run.request.backend][runtime_version(run)] = None
    return [(name, [v for v in found[name] if v] or ["not named"]) for name in sorted(found)]
