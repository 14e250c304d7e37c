"""docs/store.md names every field, column, key and value that is stored."""

from __future__ import annotations

import dataclasses
import json

import pytest
from support.places import ROOT

from onnxprof.records import device, layer, parity, step, telemetry, warning
from onnxprof.records import run as records
from onnxprof.store import parquet
from onnxprof.store.formats import archive
from onnxprof.testing import sample_run

DOCUMENT = ROOT / "docs" / "store.md"


@pytest.mark.parametrize(
    "cls",
    [
        records.Run,
        records.Request,
        layer.ModelFacts,
        device.Device,
        layer.LayerTable,
        layer.Layer,
        layer.Tensor,
        step.Step,
        warning.RunWarning,
        parity.Parity,
        parity.OutputParity,
        telemetry.Telemetry,
        telemetry.Series,
        telemetry.Energy,
        telemetry.Absence,
        parquet.Summary,
    ],
)
def test_the_document_names_every_field(cls: type) -> None:
    text = DOCUMENT.read_text("utf-8")
    missing = [f.name for f in dataclasses.fields(cls) if f"`{f.name}`" not in text]
    assert missing == []


def test_the_document_names_columns_keys_and_values() -> None:
    text = DOCUMENT.read_text("utf-8")
    keys = [key.decode() for key in (parquet.SCHEMA_KEY, parquet.RUN_KEY, parquet.SUMMARY_KEY)]
    facts = json.loads(parquet._metadata(sample_run())[parquet.RUN_KEY])
    kinds = [
        *telemetry.Quantity,
        *layer.LayerKind,
        *step.Confidence,
        *warning.WarningKind,
        *step.Granularity,
        *step.Timer,
    ]
    wanted = [*archive.COLUMNS, *parquet.KINDS, *keys, *facts, *facts["timings"], *kinds]
    assert [name for name in wanted if f"`{name}`" not in text] == []


def test_the_document_names_every_column_of_the_exports() -> None:
    from onnxprof.publish.tables import runs as runlist
    from onnxprof.publish.tables import timings as timing_csv

    text = DOCUMENT.read_text("utf-8")
    wanted = [*timing_csv.COLUMNS, *timing_csv.timing_table([]).column_names, *runlist.COLUMNS]
    assert [name for name in wanted if f"`{name}`" not in text] == []
