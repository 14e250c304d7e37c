"""The page of downloads, and the Parquet file of every run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import UsageError
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.device import DevicePage, Table
from onnxprof.publish.pages.render import SiteFacts, render
from onnxprof.publish.tables.timings import RowsOf, timing_parquet, timing_table
from onnxprof.records.run import Run

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = "runs.parquet"

#: The columns of the Parquet file in order, and what they mean.
MEANINGS = {
    "model": "name of the model",
    "device": "identity of the device",
    "backend": "the runtime",
    "batch": "batch size",
    "layer_name": (
        "name of the layer, of a step that belongs to none, `(interruptions)`, `(overhead)` or"
        " `(total)`"
    ),
    "layer_type": "coarse class of the layer",
    "op_type": "ONNX operator; the runtime's name for it where a step belongs to no layer",
    "input_names": "tensors that the layer reads, joined with `;`",
    "output_names": "tensors that it makes, joined with `;`",
    "input_shapes": "their shapes at this batch size, as a list of lists; `?` where not known",
    "output_shapes": "likewise",
    "status": (
        "timed, fused, folded, constant, input, not executed, never timed, unknown,"
        " unattributed, interruptions, overhead or total"
    ),
    "step": "what the runtime executed it as",
    "median_ms": "median, in milliseconds; of all rows of a run but `(total)` the sum is `(total)`",
    "p5_ms": "5th percentile, in milliseconds",
    "p95_ms": "95th percentile, in milliseconds",
    "samples": "inferences behind the row",
    "share": "median over that of `(total)`, from 0 to 1",
    "caveat": "why the row's samples do not say how it ranks; else blank",
    "flops": "operations of the row's step, a multiply-add as two; null where not known",
    "bytes": "bytes that it has to read and write",
    "intensity": "operations a byte",
    "bound": "what binds it: compute, a level of memory, overhead; null without ceilings",
    "fraction_of_ceiling": "the least possible time over its time; null without ceilings",
    "alive_bytes": "activations in memory while the step ran; blank where that is not known",
    "run": "digest of everything that was asked for; equal for repetitions of one measurement",
    "created": "when it was stored, UTC, ISO 8601; with `run` it tells one measurement",
    "threads": "threads that the runtime was given",
    "granularity": "`executed`, or `written` where the runtime was not to optimise the graph",
    "timer": "the timer that was asked for",
    "provider": "execution provider of the runtime",
    "dims": "sizes of symbolic axes other than the batch, `NAME=SIZE`, joined with `;`",
    "onnxprof_version": "version of onnxprof that measured",
    "runtime_version": "package and version that ran the model",
    "model_sha256": "SHA-256 of the model's file and its external data",
    "half_width": (
        "half of the 95 % interval of the un-profiled median over that median; blank below six"
        " samples"
    ),
    "caveats": "kinds of the run's warnings, joined with `;`",
    "wrong": "how the outputs differ from the reference's; blank unless they do",
    "options": "what the user had the runtime set to, joined with `;`; blank for the usual setting",
}
_LONGEST_LICENCE = 200
#: Licences of data by their SPDX identifiers, which the page links to.
_LICENCES = frozenset(
    (
        *("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"),
        *("ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0"),
        *("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "Unlicense"),
    )
)


def rows_parquet(model: ModelPage, rows_of: RowsOf) -> bytes:
    """Every layer of a model's good runs, the earlier ones of a repetition too; empty of none."""
    runs = _good(model)
    return timing_parquet(runs, rows_of=rows_of) if runs else b""


def join_parquet(parts: Iterable[Path], target: Path, licence: str = "") -> int:
    """One file of these tables, a row group each, and how many rows it has.

    One part is in memory at a time.

    The licence of the results is its metadata's `license`; there is none without one.
    """
    import pyarrow.parquet as pq

    schema = parquet_schema()
    if licence:
        schema = schema.with_metadata({"license": licence})
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        rows = 0
        for part in parts:
            table = pq.ParquetFile(part).read()
            writer.write_table(table)
            rows += table.num_rows
    return rows


def parquet_schema() -> pa.Schema:
    """The file's columns and types."""
    return timing_table([]).schema


def downloads_page(
    devices: Sequence[tuple[DevicePage, Sequence[Table]]], joined: tuple[int, int], site: SiteFacts
) -> str:
    """The page; devices come with their tables, the Parquet file with its bytes and rows."""
    return render(
        "downloads.html",
        site,
        "downloads.html",
        devices=devices,
        parquet=PARQUET,
        parquet_bytes=joined[0],
        parquet_rows=joined[1],
        licence_address=licence_address(site.licence),
        columns=[(field.name, str(field.type), MEANINGS[field.name]) for field in parquet_schema()],
    )


def licence_address(licence: str) -> str:
    """Where a licence can be read: its own address, or that of a known SPDX identifier; or none."""
    if licence in _LICENCES:
        return f"https://spdx.org/licenses/{licence}.html"
    return licence if licence.startswith(("https://", "http://")) else ""


def checked_licence(text: str) -> str:
    """The licence without blanks around it. Raises UsageError for what is no line of a page."""
    licence = text.strip()
    if not licence.isprintable() or len(licence) > _LONGEST_LICENCE:
        raise UsageError(
            f"a licence is one line of at most {_LONGEST_LICENCE} characters",
            where="--license",
            remedy="Give an SPDX identifier such as CC-BY-4.0, a name or an address",
        )
    return licence


def _good(model: ModelPage) -> list[Run]:
    """In the catalogue's order, each request's newest run first."""
    found = [run for entry in model.entries for run in (entry.run, *entry.older)]
    return [run for run in found if run.timings is not None]
