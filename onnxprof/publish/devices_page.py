"""A page a device: its facts, every model on it, and one CSV of everything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from onnxprof.publish.catalogue import Entry, ModelPage, System
from onnxprof.publish.figures import count, size, unique_slug
from onnxprof.publish.pages import SiteFacts, render
from onnxprof.publish.timing_csv import timing_csv
from onnxprof.records import Device, Run
from onnxprof.systems import runtime_version


@dataclass(frozen=True, slots=True)
class Line:
    """One model on one backend with its settings."""

    model: ModelPage
    system: System
    entries: tuple[Entry, ...]
    """By batch."""

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
        return max((entry.run for entry in self.entries), key=lambda run: run.created)


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
        pages.append(DevicePage(slug, _name(found), _newest(found).device, tuple(found)))
    return pages


def _name(lines: Sequence[Line]) -> str:
    """What the newest run's page calls the device."""
    return max(lines, key=lambda line: _newest([line]).created).system.device


def device_page(page: DevicePage, site: SiteFacts, csv_bytes: int) -> str:
    """The page of one device, whose CSV has so many bytes."""
    return render(
        "device.html",
        site,
        f"devices/{page.slug}.html",
        page=page,
        facts=device_facts(page.device),
        runtimes=_runtimes(page),
        csv_bytes=csv_bytes,
    )


def device_csv(page: DevicePage) -> str:
    """Every layer of every run that the site shows of the device."""
    return timing_csv(page.runs)


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


def _number(value: int) -> str:
    return count(value) if value else ""


def _clock(mhz: int) -> str:
    return f"{mhz:,} MHz" if mhz else ""


def _newest(lines: Sequence[Line]) -> Run:
    runs = (entry.run for line in lines for entry in line.entries)
    return max(runs, key=lambda run: run.created)


def _runtimes(page: DevicePage) -> list[tuple[str, list[str]]]:
    """The versions of each backend that the device's runs name, newest run first."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    newest_first = sorted((e.run for e in page.entries), key=lambda run: run.created, reverse=True)
    for run in newest_first:
        found[run.request.backend][runtime_version(run)] = None
    return [(name, [v for v in found[name] if v] or ["not named"]) for name in sorted(found)]
