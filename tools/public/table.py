"""The list of public models: which file of which package, and what its axes must be."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LIST = Path(__file__).with_name("models.toml")
#: Where the files are put, of a checkout; git ignores it.
FOLDER = Path(__file__).resolve().parents[2] / ".public"

#: A size, or the expression of a tie, by the name of an axis.
Sizes = Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Refused:
    """Sizes that the graph does not take, and the node that says so."""

    batch: int
    sizes: Sizes
    node: str


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel of a registry."""

    name: str
    version: str
    sha256: str
    licence: str
    """As the package's metadata name it."""
    megabytes: int

    @property
    def folder(self) -> str:
        """Where its files are put."""
        return f"{self.name}-{self.version}"


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A model file in a package, as `models.toml` describes it."""

    package: Package
    file: str
    """The file's place in the wheel."""
    tested: bool
    """Whether `make test-public` downloads and runs it."""
    suggested: Sizes
    """What the message that asks for sizes must suggest; nothing where it asks for none."""
    usual: Sizes
    """What the package itself feeds."""
    refused: Refused | None

    @property
    def name(self) -> str:
        """`silero-vad/silero_vad`: unique in the list."""
        inner = Path(self.file).with_suffix("").parts[1:]
        return "/".join((self.package.name, *inner))

    def path(self, folder: Path = FOLDER) -> Path:
        """Where the file is once it is fetched."""
        return folder / self.package.folder / self.file


def public_models(text: str = "", *, tested: bool = False) -> list[PublicModel]:
    """The list in its order; `tested` those alone that the tests run."""
    read = tomllib.loads(text or _LIST.read_text(encoding="utf-8"))
    models = [model for entry in read["package"] for model in _of_package(entry)]
    return [model for model in models if model.tested or not tested]


def packages(models: Iterable[PublicModel]) -> dict[Package, list[PublicModel]]:
    """The models by their package, in order."""
    found: dict[Package, list[PublicModel]] = {}
    for model in models:
        found.setdefault(model.package, []).append(model)
    return found


def _of_package(entry: Mapping[str, Any]) -> list[PublicModel]:
    facts = {key: value for key, value in entry.items() if key != "model"}
    package = Package(**facts)
    return [_model(package, dict(given)) for given in entry["model"]]


def _model(package: Package, given: dict[str, Any]) -> PublicModel:
    refused = given.get("refused")
    return PublicModel(
        package,
        given["file"],
        given.get("tested", False),
        given.get("suggested", {}),
        given.get("usual", {}),
        Refused(refused.get("batch", 1), refused["sizes"], refused["node"]) if refused else None,
    )
