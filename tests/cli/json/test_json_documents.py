"""The envelope, the kinds and the schema files of what `--json` prints."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError
from support.habits.documents import checked, strict
from support.places import ROOT

import onnxprof
from onnxprof.publish import json as package
from onnxprof.publish.json import documents, kinds, parts
from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.every import DOCUMENTS, FOLDER, file_name, schema_text, write
from onnxprof.records.device import Device
from onnxprof.testing import sample_run


def test_a_document_says_what_it_is_and_who_wrote_it() -> None:
    made = Document("x", "An x", {"n": kinds.COUNT}).of({"n": 1})
    assert made == {"schema": "onnxprof.x/1", "onnxprof": onnxprof.__version__, "n": 1}


def test_text_is_ascii_and_has_no_number_that_is_none() -> None:
    wild = {"a": [float("nan"), 1.5, float("inf")], "b": {"net-Ω\u202e\x7f\ud800": -float("inf")}}
    text = documents.text(wild)
    assert text.isascii()
    assert "\x7f" not in text
    assert json.loads(text) == {"a": [None, 1.5, None], "b": {"net-Ω\u202e\x7f\ud800": None}}
    assert documents.line(wild).count("\n") == 1


def test_an_error_is_a_document() -> None:
    made = documents.error("no such run", 2, "runs", "onnxprof runs list")
    found = checked(documents.line(made), "error")
    assert found["error"] == {
        "what": "no such run",
        "where": "runs",
        "remedy": "onnxprof runs list",
    }
    assert found["exit_code"] == 2


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    colour: Colour
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner | None
    pair: tuple[str, float]
    path: Path
    flag: bool = False


def test_the_kind_of_a_record_is_that_of_its_fields() -> None:
    schema = kinds.of(Outer)
    good = {"inner": {"colour": "red", "sizes": [1]}, "pair": ["a", 1.5], "path": "p", "flag": True}
    validator = Draft202012Validator(schema)
    validator.validate(good)
    validator.validate(good | {"inner": None, "more": 1})
    for bad in (
        {"flag": "yes"},
        {"pair": ["a"]},
        {"pair": ["a", 1, 2]},
        {"inner": {"colour": "blue", "sizes": []}},
        {"inner": {"colour": "red", "sizes": ["1"]}},
    ):
        with pytest.raises(ValidationError):
            validator.validate(good | bad)
    with pytest.raises(ValidationError):
        validator.validate({key: value for key, value in good.items() if key != "path"})
    with pytest.raises(TypeError, match="no JSON kind"):
        kinds.of(complex)


def test_what_is_not_known_of_a_device_is_null() -> None:
    found = parts.device(Device("cpu:x", "cpu", "X", physical_cores=2))
    assert found["physical_cores"] == 2
    unknown = ("memory_bytes", "logical_cores", "base_clock_mhz", "max_clock_mhz")
    assert {found[name] for name in unknown} == {None}
    Draft202012Validator(strict(parts.DEVICE)).validate(found)


def test_each_kind_has_a_schema_file_that_is_up_to_date(tmp_path: Path) -> None:
    write(tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    shipped = {path.name: path.read_text("utf-8") for path in FOLDER.iterdir()}
    assert shipped == made, "python -m onnxprof.publish.json.every onnxprof/publish/json/schemas"
    assert len(made) == len(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_schema_is_one_and_every_key_says_what_it_is(name: str) -> None:
    document = DOCUMENTS[name]
    Draft202012Validator.check_schema(document.schema)
    assert json.loads(schema_text(document))["$id"] == f"onnxprof.{name}/{document.version}"
    assert file_name(document) == f"{name}.{document.version}.json"
    assert document.title


def test_no_kind_is_forgotten() -> None:
    modules = [
        importlib.import_module(f"{package.__name__}.{each.name}")
        for each in pkgutil.iter_modules(package.__path__)
    ]
    every = {v.name for module in modules for v in vars(module).values() if is_document(v)}
    assert every == set(DOCUMENTS)


def is_document(value: object) -> bool:
    return isinstance(value, Document)


def test_the_page_names_every_kind() -> None:
    page = (ROOT / "docs" / "json.md").read_text("utf-8")
    named = set(re.findall(r"`onnxprof\.([a-z-]+)/1`", page))
    assert named - {"runs-list"} == set(DOCUMENTS) - {"runs-list"}


def test_sample_warnings_are_told_by_kind_and_in_words() -> None:
    run = sample_run()
    found = parts.warnings(run)
    assert [each["kind"] for each in found] == [warning.kind.value for warning in run.warnings]
