"""Which folders become which packages; everything else is in pyproject.toml.

Four packages lie beside `onnxprof/`, which holds links to them for work in a checkout.
"""

from collections.abc import Iterator

from setuptools import find_packages, setup

FOLDERS = {
    "onnxprof": "onnxprof",
    "onnxprof.backends": "backends",
    "onnxprof.exporters": "exporters",
    "onnxprof.zoo": "zoo",
    "onnxprof.site": "site",
}


def packages() -> Iterator[str]:
    """Every package of the distribution once, whether or not the links are there."""
    linked = [name.partition(".")[2] for name in FOLDERS if "." in name]
    for package, folder in FOLDERS.items():
        yield package
        hidden = [part for each in linked for part in (each, f"{each}.*")]
        exclude = hidden if package == "onnxprof" else []
        yield from (f"{package}.{sub}" for sub in find_packages(folder, exclude=exclude))


setup(packages=list(packages()), package_dir=FOLDERS)
