"""A mistake in a plan is named with its line and with what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.sweeps.plan_files import written

from onnxprof.errors import UsageError
from onnxprof.plugins import registry
from onnxprof.sweeps.plans.expand import expanded
from onnxprof.sweeps.plans.read import read_plan


@pytest.fixture(autouse=True)
def _backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "backend_names", lambda: ("openvino", "ort", "torch"))


MODEL = '[[models]]\nname = "zoo:lenet"\n'
BAD: list[tuple[str, int, tuple[str, ...]]] = [
    ("", 0, ("names no model", "[[models]]")),
    ("[defaults]\nbudget = 1\n", 0, ("names no model",)),
    ("models = 3\n", 1, ("models is no list of tables", "[[models]]")),
    ("[models]\nname = 'a'\n", 1, ("models is no list of tables", "[[models]]")),
    ("[[models]]\nnam = 'a'\n", 2, ("[[models]] has no key 'nam'", "Did you mean name?")),
    ("[[models]]\nbatch = 1\n", 1, ("[[models]] has no name", 'name = "…"')),
    ("[[models]]\nname = 3\n", 2, ("name = 3", "a text, or a list of texts")),
    ("[[models]]\nname = []\n", 2, ("name = []",)),
    ("[[models]]\nname = ['']\n", 2, ('name = [""]',)),
    (f"{MODEL}[[model]]\n", 3, ("the plan has no key 'model'", "Did you mean models?")),
    (f"store = 'x'\n{MODEL}", 1, ("no key 'store'", "[defaults], [[models]], [[backends]]")),
    (f"{MODEL}bacth = [1]\n", 3, ("'bacth'", "Did you mean batch?", "inputs")),
    (f"{MODEL}batch = 0\n", 3, ("batch = 0", "from 1 to 1048576")),
    (f"{MODEL}batch = -1\n", 3, ("batch = -1",)),
    (f"{MODEL}batch = 1.5\n", 3, ("batch = 1.5", "a whole number")),
    (f"{MODEL}batch = true\n", 3, ("batch = true", "a whole number")),
    (f"{MODEL}batch = '1,2'\n", 3, ('batch = "1,2"',)),
    (f"{MODEL}batch = []\n", 3, ("batch = []", "a value")),
    (f"{MODEL}batch = [\n  1,\n  0,\n]\n", 3, ("batch = 0",)),
    (f"{MODEL}batch = 99999999999999999999\n", 3, ("batch = 99999999999999999999",)),
    (f"{MODEL}dim = 3\n", 3, ("dim has no axis", "dim.sequence")),
    (f"{MODEL}dim.sequence = 'x +'\n", 3, ('dim.sequence = "x +"', "a whole number")),
    (f"{MODEL}dim.sequence = -1\n", 3, ("dim.sequence = -1",)),
    (f"{MODEL}[models.dim]\na = 1\nb = []\n", 5, ("dim.b = []",)),
    (f"{MODEL}inputs = ['a', 'b']\n", 3, ("inputs takes one value",)),
    (f"{MODEL}provider = 'cuda'\n", 3, ("[[models]] has no key 'provider'",)),
    (f"{MODEL}device = 'cuda'\n", 3, ("[[models]] has no key 'device'",)),
    (f"{MODEL}budget = 0\n", 3, ("budget = 0", "0.01 to 1000000")),
    (f"{MODEL}budget = [1, 2]\n", 3, ("budget takes one value",)),
    (f"{MODEL}budget = nan\n", 3, ("budget = nan",)),
    (f"{MODEL}budget = inf\n", 3, ("budget = inf",)),
    (f"{MODEL}threads = 2000\n", 3, ("threads = 2000", "0 to 1024")),
    (f"{MODEL}threads = -1\n", 3, ("threads = -1",)),
    (f"{MODEL}processes = 0\n", 3, ("processes = 0", "1 to 1000")),
    (f"{MODEL}seed = 'x'\n", 3, ('seed = "x"',)),
    (f"{MODEL}granularity = 'coarse'\n", 3, ('"coarse"', "executed or written")),
    (f"{MODEL}timer = ['trace', 'sundial']\n", 3, ('"sundial"', "auto, ", "cupti")),
    (f"{MODEL}parity = 'no'\n", 3, ('parity = "no"', "true or false")),
    (f"{MODEL}parity = [true, false]\n", 3, ("parity takes one value",)),
    (f"{MODEL}timeout = 0\n", 3, ("timeout = 0", "seconds, 1 to 1000000")),
    (f"{MODEL}timeout = 1e7\n", 3, ("timeout = 10000000.0", "seconds, 1 to 1000000")),
    (f"{MODEL}memory = -1\n", 3, ("memory = -1", "GiB")),
    (f"{MODEL}force = 1\n", 3, ("force = 1", "true or false")),
    ("defaults = 3\n" + MODEL, 1, ("defaults is no table", "[defaults]")),
    (f"[defaults]\nname = 'x'\n{MODEL}", 2, ("[defaults] has no key 'name'",)),
    (f"[defaults]\ninputs = 'x'\n{MODEL}", 2, ("[defaults] has no key 'inputs'",)),
    (f"[defaults]\n# a comment\n\nbudget = 'x'\n{MODEL}", 4, ('budget = "x"',)),
    (f"{MODEL}[[backends]]\nthreads = 1\n", 3, ("[[backends]] has no name",)),
    (f"{MODEL}[[backends]]\nname = 'otr'\n", 4, ("no backend is called 'otr'", "mean ort?")),
    (f"{MODEL}[[backends]]\nname = 'ort'\ninputs = 'x'\n", 5, ("no key 'inputs'",)),
    (f"{MODEL}[[backends]]\nname = 'ort'\nprovider = 3\n", 5, ("provider = 3", "a text")),
    (f"{MODEL}[[exclude]]\n", 3, ("[[exclude]] without keys", "model")),
    (f"{MODEL}[[exclude]]\nmodel = 3\n", 4, ("model = 3",)),
    (f"{MODEL}[[exclude]]\nbudget = 3\n", 4, ("[[exclude]] has no key 'budget'",)),
    (f"{MODEL}[[exclude]]\nbatch = 'x'\n", 4, ('batch = "x"',)),
    (f"{MODEL}[[models]]\nname = 'x.onnx'\nbatch = 0\n", 5, ("batch = 0",)),
    ('[[models]]\nname = """\nzoo:lenet"""\nbatch = 0\n', 4, ("batch = 0",)),
    ("[[models]]\nname = 'zoo:nope'\n", 1, ("the zoo has no such network",)),
    ("[[models]]\nname = 'zoo:nope*'\n", 1, ("no network of the zoo matches 'nope*'",)),
    ("[[models]]\nname = 'zoo:family=nope'\n", 1, ("no family 'nope'", "imagenet")),
    ("[[models]]\nname = 'hub:'\n", 1, ("hub:", "hub:NAME")),
    ("[[models]]\nname = 'hub::'\n", 1, ("no model of the ONNX Model Zoo",)),
    ("[[models]]\nname = 'hf:abc'\n", 1, ("no model file", "hf:ORG/REPO/FILE.onnx")),
    ("[[models]\n", 0, ("no TOML", "line 1")),
    ("[[models]]\nname = 'a'\nname = 'b'\n", 0, ("no TOML", "line 3")),
]


@pytest.mark.parametrize(("text", "line", "words"), BAD)
def test_a_mistake_is_named_with_its_line_and_what_is_allowed(
    text: str, line: int, words: tuple[str, ...], tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        expanded(read_plan(path))
    told = str(caught.value)
    assert told.startswith(f"{path}, line {line}: " if line else f"{path}: ")
    for word in words:
        assert word in told, told
    assert "\n" not in told


def test_a_plan_that_is_not_there_no_file_too_long_or_no_text(tmp_path: Path) -> None:
    def told(path: Path) -> str:
        with pytest.raises(UsageError) as caught:
            read_plan(path)
        return str(caught.value)

    assert "No such file" in told(tmp_path / "none.toml")
    assert "sweep init" in told(tmp_path / "none.toml")
    assert "this is no file" in told(tmp_path)
    long = tmp_path / "long.toml"
    long.write_bytes(b"#" * ((1 << 20) + 1))
    assert "too long" in told(long)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# a\n# \xe9\n")
    assert "latin.toml, line 2: this is no UTF-8" in told(latin)
    deep = tmp_path / "deep.toml"
    deep.write_text("a = " + "[" * 100_000)
    assert str(deep) in told(deep)
