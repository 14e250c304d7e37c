"""The packages of onnxprof and what they import: the floors, a table and a picture of them.

    python -m support.house    writes docs/house.svg and the table in docs/architecture.md

`make house` calls it; `tests/house/` holds the imports to the floors and both files to this.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

from support.places import ROOT

#: Where the source of each distribution package lies.
SOURCES = {
    "onnxprof": ROOT / "onnxprof",
    "onnxprof.backends": ROOT / "backends",
    "onnxprof.exporters": ROOT / "exporters",
    "onnxprof.zoo": ROOT / "zoo",
}
#: The lowest floor first. A package imports those below it and its own modules and packages.
FLOORS = (
    ("errors", "folders", "records"),
    ("processes", "model.graph", "writing"),
    ("provenance", "cost"),
    ("plugins",),
    ("machine", "analysis", "exporters", "testing", "backends.cuda"),
    ("measure", "store", "compare", "zoo", "doctor"),
    (
        "model",
        "reasons",
        "backends.ort",
        "backends.openvino",
        "backends.tensorrt",
        "backends.torch",
    ),
    ("checks", "publish", "imports", "runtimes", "sequences"),
    ("jobs", "repro", "rewrite"),
    ("sweeps", "scenarios"),
    ("gate",),
    ("api",),
    ("cli",),
    ("cli.commands", "__main__"),
)
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "house.svg"
BEGIN, END = "<!-- rooms: made by `make house` -->", "<!-- end of rooms -->"
_BOX, _GAP, _FLOOR, _MARGIN = (136, 30), 16, 84, 16


def files() -> Iterator[tuple[str, Path]]:
    """Every module of ours with its dotted name; the links inside onnxprof/ are not followed."""
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            inner = path.relative_to(folder)
            if not (folder / inner.parts[0]).is_symlink():
                parts = (package, *inner.with_suffix("").parts)
                yield ".".join(parts).removesuffix(".__init__"), path


MODULES = dict(files())


def package(module: str) -> str:
    """The folder that a module lies in; a module beside the packages stands for itself."""
    if MODULES[module].name == "__init__.py" or MODULES[module].parent == SOURCES["onnxprof"]:
        return module
    return module.rpartition(".")[0]


def room(module: str) -> str:
    """The name in FLOORS that holds a module, the longest of several; empty where none does."""
    inner = f"{module.removeprefix('onnxprof.')}."
    return max((name for name in HEIGHT if inner.startswith(f"{name}.")), key=len, default="")


@cache
def imports(module: str) -> tuple[str, ...]:
    """Every module that one imports, at module scope or inside a function."""
    names: list[str] = []
    for node in ast.walk(ast.parse(MODULES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [name if name in MODULES else node.module or "" for name in inner]
    return tuple(names)


def ours(module: str) -> set[str]:
    """The modules of ours that one imports; `onnxprof`, which has the version, is apart."""
    return {name for name in imports(module) if name in MODULES and name != "onnxprof"}


def arrows() -> dict[str, set[str]]:
    """Which packages each package imports."""
    drawn: dict[str, set[str]] = {package(module): set() for module in MODULES}
    for module in MODULES:
        drawn[package(module)] |= {package(name) for name in ours(module)} - {package(module)}
    return drawn


def uses() -> dict[str, set[str]]:
    """Which rooms each room imports."""
    drawn: dict[str, set[str]] = defaultdict(set)
    for module in MODULES:
        if mine := room(module):
            drawn[mine] |= {room(name) for name in ours(module)} - {mine, ""}
    return drawn


def needed() -> dict[str, set[str]]:
    """The same without what follows from other lines: its transitive reduction."""
    drawn = uses()
    reach: dict[str, set[str]] = {}
    for name in sorted(HEIGHT, key=lambda name: HEIGHT[name]):
        reach[name] = drawn[name].union(*(reach[other] for other in drawn[name]))
    return {
        name: {o for o in below if not any(o in reach[other] for other in below - {o})}
        for name, below in drawn.items()
    }


def purpose(name: str) -> str:
    """The first sentence of what a package or module says of itself."""
    text = ast.get_docstring(ast.parse(MODULES[f"onnxprof.{name}"].read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def table() -> str:
    """The rooms from the ground up, as Markdown."""
    drawn = uses()
    lines = ["| floor | room | what is in it | imports |", "| ---: | --- | --- | --- |"]
    for height, floor in enumerate(FLOORS, 1):
        for name in floor:
            below = ", ".join(f"`{other}`" for other in sorted(drawn[name])) or "nothing of ours"
            lines.append(f"| {height} | `{name}` | {purpose(name)} | {below} |")
    return "\n".join(lines)


def picture() -> str:
    """The floors as SVG: a box a room, a line to each room that it imports."""
    width = max(len(floor) for floor in FLOORS) * (_BOX[0] + _GAP) + 2 * _MARGIN
    height = len(FLOORS) * _FLOOR + 2 * _MARGIN
    places = dict(_places(width))
    lines = [
        f'<line x1="{x}" y1="{y + _BOX[1]}" x2="{a}" y2="{b}"/>'
        for name, below in sorted(needed().items())
        for other in sorted(below)
        for (x, y), (a, b) in [(places[name], places[other])]
    ]
    boxes = [_box(name, *place) for name, place in places.items()]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            ' font-family="sans-serif" font-size="13" text-anchor="middle">',
            "<title>The rooms of onnxprof; lines lead down to what a room imports</title>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            '<g stroke="#9ab" stroke-width="0.8">',
            *lines,
            "</g>",
            *boxes,
            "</svg>\n",
        ]
    )


def _places(width: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The middle of each box's upper edge; the highest floor is drawn at the top."""
    for height, floor in enumerate(FLOORS):
        left = (width - len(floor) * (_BOX[0] + _GAP) + _GAP) // 2 + _BOX[0] // 2
        top = _MARGIN + (len(FLOORS) - 1 - height) * _FLOOR
        yield from ((name, (left + i * (_BOX[0] + _GAP), top)) for i, name in enumerate(floor))


def _box(name: str, x: int, y: int) -> str:
    wide, high = _BOX
    return (
        f'<rect x="{x - wide // 2}" y="{y}" width="{wide}" height="{high}" rx="4"'
        ' fill="#eef3f8" stroke="#456"/>'
        f'<text x="{x}" y="{y + 20}">{escape(name)}</text>'
    )


def page(text: str) -> str:
    """docs/architecture.md with the table of today between its marks."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


if __name__ == "__main__":
    PICTURE.write_text(picture(), "utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
