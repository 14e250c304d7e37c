"""Names and versions of installed packages, from the first lines of their metadata.

`importlib.metadata` reads the whole file as a mail, of which the long description is most.
"""

from __future__ import annotations

from importlib.metadata import Distribution, distribution

_FILES = ("METADATA", "PKG-INFO")


def header(package: Distribution) -> tuple[str, str]:
    """The package's name and version (core metadata specification, packaging.python.org)."""
    text = next((text for file in _FILES if (text := package.read_text(file))), "")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not colon:
            break
        fields.setdefault(key.lower(), value.strip())
        if {"name", "version"} <= fields.keys():
            return fields["name"], fields["version"]
    return package.name or "", package.version or ""


def version(name: str) -> str:
    """The version of an installed package. Raises PackageNotFoundError."""
    return header(distribution(name))[1]
