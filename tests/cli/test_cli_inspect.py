from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.habits.commands import inside
from support.networks import models
from support.places import DATA

from onnxprof.cli.commands import inspect as command
from onnxprof.errors import ModelError, UsageError
from onnxprof.model.file import open_model

REFERENCE = DATA / "lenet_layers.csv"


@pytest.fixture
def lenet(tmp_path) -> str:
    return str(models.save(models.lenet(), tmp_path))


def test_format_follows_the_output_file(lenet, tmp_path):
    for suffix in ("csv", "json", "md"):
        command.inspect(lenet, output=tmp_path / f"out.{suffix}", layout="classic")
    assert (tmp_path / "out.csv").read_bytes() == REFERENCE.read_bytes()
    assert len(json.loads((tmp_path / "out.json").read_text())["layers"]) == 21
    assert (tmp_path / "out.md").read_text().startswith("## model batch 1")


def test_table_and_summary_in_the_terminal(lenet, capsys):
    command.inspect(lenet, batch="1,8")
    shown = capsys.readouterr().out
    assert "12 layers, 9 inputs and constants, 5,994 parameters, batch 1" in shown
    assert "float32[8,16,14,14]" in shown


def test_a_size_of_zero_and_one_that_is_computed(tmp_path, capsys):
    made = models.model(
        [models.node("Concat", ["past", "new"], ["y"], "cat", axis=1)],
        [models.value("past", ["2*batch", "before", 4]), models.value("new", ["2*batch", 3, 4])],
        [models.value("y", None)],
    )
    command.inspect(str(models.save(made, tmp_path)), batch="3", dim=["before=0"])
    shown = capsys.readouterr().out
    assert "float32[6,0,4]" in shown
    assert "float32[6,3,4]" in shown


def test_a_computed_size_that_makes_none(tmp_path):
    made = models.model(
        [models.node("Relu", ["x"], ["y"], "r")],
        [models.value("x", ["batch", "n", "n - 4", "n/2"])],
        [models.value("y", None)],
    )
    path = str(models.save(made, tmp_path))
    command.inspect(path, dim=["n=6"])
    with pytest.raises(UsageError, match=r"'n - 4' would be -2"):
        command.inspect(path, dim=["n=2"])
    with pytest.raises(UsageError, match=r"'n/2' would be 7/2"):
        command.inspect(path, dim=["n=7"])


def test_a_declaration_that_is_not_believed_is_told(tmp_path, capsys):
    made = models.custom_domain()
    made.graph.value_info.append(models.value("r", [1, 9]))
    command.inspect(str(models.save(made, tmp_path)), format="csv")
    assert "'r' is declared as [1,9], and is [1,4] by its graph" in capsys.readouterr().err


def test_obstacle_is_told_on_stderr_and_csv_stays_clean(tmp_path, capsysbinary):
    path = str(models.save(models.class_token(), tmp_path))
    command.inspect(path, batch="2,8", format="csv")
    out, err = capsysbinary.readouterr()
    assert out.count(b"\r\n") == 5
    assert b"stays at batch 1" in err
    assert b"layer cat (Concat)" in err


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layout": "wide"}, "no layout 'wide'"),
        ({"format": "xml"}, "no format 'xml'"),
        ({"output": Path("x.foo")}, r"end in \.foo"),
        ({"output": Path("/nowhere/x.csv")}, "cannot be written"),
        ({"batch": "0"}, "--batch"),
        ({"dim": ["width=3"]}, "no symbolic axis 'width'"),
    ],
)
def test_bad_options(lenet, options, match):
    with pytest.raises(UsageError, match=match):
        command.inspect(lenet, **options)


def test_importing_the_command_loads_nothing_heavy():
    code = (
        "import sys, onnxprof.cli.commands.inspect;"
        " print([m for m in ('onnx', 'numpy', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


#: `inspect`, and at its end which of the modules that take long this process has imported.
_MODULES = """
import sys
from onnxprof.cli.main import main
try:
    main()
finally:
    print([m for m in ("rich", "numpy", "onnx") if m in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("variables", "imported"), [({}, "[]\n"), ({"FORCE_COLOR": "1"}, "['rich']\n")]
)
def test_a_model_is_read_elsewhere_and_listed_without_rich(lenet, variables, imported):
    environment = {**os.environ, "COLUMNS": "70", **variables}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-c", _MODULES, "inspect", lenet],
        **{"capture_output": True, "text": True, "check": True, "env": environment},
    )
    assert done.stderr.endswith(imported)
    assert ("\x1b[" in done.stdout) == bool(variables)
    assert max(map(len, done.stdout.splitlines())) >= 70


def test_a_narrow_encoding_gets_the_same_table_in_ascii(lenet):
    shown = {}
    for encoding in ("utf-8", "ascii"):
        done = inside("inspect", lenet, env={"COLUMNS": "70"}, encoding=encoding)
        assert done.code == 0
        shown[encoding] = done.out
    words = {key: re.findall(r"[\w/]+", text) for key, text in shown.items()}
    assert words["ascii"] == words["utf-8"]
    assert len(words["ascii"]) > 100


def test_zoo_reference(tmp_path):
    model = open_model("zoo:lenet")
    assert model.name == "lenet"
    assert model.facts().reference == "zoo:lenet"


def test_costs_in_the_terminal_and_in_files(lenet, tmp_path, capsys):
    command.inspect(lenet, batch="1,8", cost=True)
    shown = capsys.readouterr().out
    assert "model, batch 8" in shown
    assert "787 k multiply-accumulates" in shown
    assert "6.29 M multiply-accumulates" in shown
    for suffix in ("csv", "json", "md", "txt"):
        command.inspect(lenet, output=tmp_path / f"out.{suffix}", cost=True)
    whole = json.loads((tmp_path / "out.json").read_text())
    assert whole["total"]["operations"]["macs"] == 786_560
    assert whole["total"]["parameters"] == 5_994
    assert (tmp_path / "out.csv").read_text().startswith("layer_name,op_type,domain,parent,flops")
    assert (tmp_path / "out.md").read_text().startswith("## model batch 1")
    assert "786 k" not in (tmp_path / "out.txt").read_text()


def test_costs_as_expressions(lenet, tmp_path, capsys):
    command.inspect(lenet, batch="1,8", cost=True, symbolic=True)
    shown = capsys.readouterr().out
    assert "MACs: 786560*batch" in shown
    assert "at batch 8: 6.29 M MACs" in shown
    for suffix in ("csv", "json", "md", "txt"):
        command.inspect(lenet, output=tmp_path / f"out.{suffix}", cost=True, symbolic=True)
    assert json.loads((tmp_path / "out.json").read_text())["total"]["macs"] == "786560*batch"


def test_a_fixed_batch_is_no_axis(tmp_path, capsys):
    path = str(models.save(models.class_token(), tmp_path))
    command.inspect(path, cost=True, symbolic=True)
    out, err = capsys.readouterr()
    assert "its batch is fixed" in err
    assert "in no free axes" in out


def test_a_batch_that_a_size_alone_fixes_says_why(tmp_path, capsys):
    """Only with a length for `s` does the sum over the batch show."""
    made = models.model(
        [models.node("Einsum", ["x"], ["y"], "turn", equation="bsi->is")],
        [models.value("x", ["n", "s", 16])],
        [models.value("y", None)],
    )
    command.inspect(str(models.save(made, tmp_path)), cost=True, symbolic=True)
    assert "its batch is fixed: layer turn (Einsum)" in capsys.readouterr().err


def test_costs_without_a_size_name_the_option_that_gives_it(tmp_path, capsys):
    made = models.model(
        [models.node("MatMul", ["x", "w"], ["y"], "product")],
        [models.value("x", ["n", "s", 16])],
        [models.value("y", None)],
        [models.weight("w", 16, 16)],
    )
    path = str(models.save(made, tmp_path))
    command.inspect(path, cost=True)
    assert "no size given for symbolic axes: s (of x). Add --dim s=128" in capsys.readouterr().err
    command.inspect(path, cost=True, dim=["s=3"])
    assert "no size given" not in capsys.readouterr().err
    command.inspect(path)
    assert "no size given" not in capsys.readouterr().err


def test_too_many_axes_name_the_model(tmp_path):
    made = models.model(
        [models.node("Relu", ["x"], ["y"], "relu")],
        [models.value("x", [f"a{i}" for i in range(9)])],
        [models.value("y", None)],
    )
    with pytest.raises(ModelError, match=r"model: has \d free axes"):
        command.inspect(str(models.save(made, tmp_path)), cost=True, symbolic=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"symbolic": True}, "--symbolic goes with --cost"),
        ({"cost": True, "layout": "classic"}, "classic layout shows no costs"),
        ({"cost": True, "dim": ["width=3"]}, "no symbolic axis 'width'"),
        ({"cost": True, "symbolic": True, "dim": ["width=3"]}, "no symbolic axis 'width'"),
    ],
)
def test_bad_options_of_costs(lenet, options, match):
    with pytest.raises(UsageError, match=match):
        command.inspect(lenet, **options)


def test_what_is_alive_in_every_format(lenet, tmp_path, capsys):
    command.inspect(lenet, batch="1,8", alive=True)
    shown = capsys.readouterr().out
    assert "largest tensor" in shown
    assert shown.count("of activations at the peak, at ") == 2
    assert shown.count("onnxruntime on the CPU will take some ") == 2
    for suffix in ("csv", "json", "md"):
        command.inspect(lenet, output=tmp_path / f"out.{suffix}", alive=True)
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["peak_bytes"] == max(step["alive_bytes"] for step in told["steps"])
    assert all(step["alive_bytes"] == sum(step["tensors"].values()) for step in told["steps"])
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "batch,layer_name,alive_bytes,at_least,tensors"
    assert len(lines) == 1 + len(told["steps"])
    assert (tmp_path / "out.md").read_text().startswith("## model, batch 1")


def test_a_size_that_data_decide_is_a_lower_limit(tmp_path, capsys):
    made = models.model(
        [models.node("NonZero", ["x"], ["y"], "nz")],
        [models.value("x", ["batch", 4])],
        [models.value("y", None, 7)],
    )
    command.inspect(str(models.save(made, tmp_path)), alive=True)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Memory: at least 16 B of activations" in shown
    assert "of unknown size" in shown
    assert "will take at least " in shown
