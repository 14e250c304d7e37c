"""How ceilings are printed: 80 columns, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from support.golden import check_golden
from support.runs.ceilings import ceilings, point

from onnxprof.cli.output import plain_text
from onnxprof.publish.reasons.ceilings import COLUMNS, json_text, list_table, listed, tables, to_csv
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.warning import RunWarning, WarningKind


@pytest.fixture
def mixed() -> Ceilings:
    """Precisions that ran and one that did not, a disturbed one, a datasheet, a warning."""
    wild = [0.6 * (i % 3) for i in range(12)]
    points = (
        *ceilings().points,
        point("matmul", 30_000, flops=2_000_000, precision="float16", noise=wild, size="9x9x9"),
        point("matmul", 1, flops=9, precision="bfloat16", refused="no kernel for MatMul(13)"),
        point("conv3x3", 5_000, flops=2_000_000, precision="int8", size="64x56x56"),
    )
    return replace(
        ceilings(),
        points=points,
        datasheet=(("float32", "0.2 TFLOP/s"), ("main", "25 GB/s")),
        warnings=(RunWarning(WarningKind.BUSY_MACHINE, 1.7),),
    )


def test_the_tables_fit_80_columns(mixed: Ceilings) -> None:
    text = plain_text(*tables(mixed))
    assert max(map(len, text.splitlines())) <= 80
    check_golden("ceilings_80.txt", text)


def test_the_csv_has_a_row_a_point(mixed: Ceilings) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(mixed))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(mixed.points)
    by_kind = {(row["kind"], row["precision"]): row for row in rows}
    assert by_kind["matmul", "float32"]["gflops"] == "100.0"
    assert by_kind["matmul", "float16"]["counts"] == "False"
    refused = by_kind["matmul", "bfloat16"]
    assert (refused["ns"], refused["refused"]) == ("", "no kernel for MatMul(13)")


def test_the_json_has_ceilings_points_and_samples(mixed: Ceilings) -> None:
    made = json.loads(json_text(mixed))
    rates = {row["name"]: row for row in made["arithmetic"]}
    assert rates["float32"]["gflops"] == 100
    assert rates["bfloat16"]["gflops"] is None
    assert rates["bfloat16"]["refused"] == "no kernel for MatMul(13)"
    assert [row["name"] for row in made["memory"]] == ["L1", "L2", "L3", "main"]
    assert made["node_ns"] == 1000
    assert len(made["points"][0]["long_ns"]) == 12
    assert made["key"] == {
        **{"device_id": "cpu:fake", "backend": "fake", "provider": "cpu", "threads": 2}
    }


def test_a_list_says_which_are_stale(mixed: Ceilings) -> None:
    rows = listed([(mixed, ""), (replace(mixed, device=mixed.device), "runtime was 1 and is 2")])
    assert [row["stale"] for row in rows] == ["", "runtime was 1 and is 2"]
    text = plain_text(list_table(rows))
    assert "fresh" in text
    assert "stale" in text


def test_without_any_time_there_are_dashes_and_reasons() -> None:
    text = plain_text(*tables(ceilings(point("matmul", 1, flops=9, refused="no kernel"))))
    assert "float32 is refused: no kernel" in text
    assert "nothing ran" in text


def test_texts_of_a_stored_file_do_no_harm(mixed: Ceilings) -> None:
    odd = "\x1b[31m\u202e[/b]"
    points = tuple(
        replace(each, kind=odd, size=odd, executed=odd, refused=odd if each.refused else "")
        for each in mixed.points
    )
    key = replace(mixed.key, device_id=odd, backend=odd, provider=odd)
    wild = replace(
        mixed, points=points, key=key, created=odd, datasheet=(("float32", f"1 TFLOP/s {odd}"),)
    )
    shown = [plain_text(list_table(listed([(wild, odd)]))), json_text(wild)]
    shown.append(plain_text(*tables(replace(wild, datasheet=()))))
    for text in shown:
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "[/b]" in shown[0]
    assert json.loads(shown[1])["created"] == odd
