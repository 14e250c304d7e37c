"""The list of warnings: what each entry says is what the words use and the document has."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.places import ROOT

from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.records.warning_entry import Amount, Figure, Values

CELLS = ("kind", "`value`", "`bound`", "`subject`")
#: Figures and a subject that no sentence has by itself.
GIVEN = Values(Amount(0.5, "VALUE"), Amount(2, "BOUND"), "SUBJECT")


def documented() -> list[tuple[str, ...]]:
    """Rows of the table of warnings in docs/store.md."""
    text = (ROOT / "docs" / "store.md").read_text("utf-8")
    section = text.partition("\n### Warnings\n")[2].partition("\n#")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in rows]


def listed() -> Iterator[tuple[str, ...]]:
    yield CELLS
    yield ("---",) * len(CELLS)
    for kind in WarningKind:
        entry = kind.entry
        yield f"`{kind}`", _cell(entry.value), _cell(entry.bound), entry.subject


def _cell(figure: Figure | None) -> str:
    return f"{figure.meaning} ({figure.unit})" if figure else ""


def test_the_document_has_the_table_of_the_entries() -> None:
    assert documented() == list(listed())


@pytest.mark.parametrize("kind", WarningKind)
def test_a_kind_is_named_as_it_is_stored(kind: WarningKind) -> None:
    assert kind.value == kind.entry.name == kind.name.lower() == str(kind)
    assert WarningKind(kind.value) is kind


def test_a_kind_of_another_version_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'too_warm' is not a valid WarningKind"):
        WarningKind("too_warm")


@pytest.mark.parametrize("kind", WarningKind)
def test_words_use_what_the_entry_names(kind: WarningKind) -> None:
    entry, nothing = kind.entry, Amount(0, "NONE")
    for values in (GIVEN, replace(GIVEN, bound=nothing), replace(GIVEN, value=nothing)):
        used = set(re.findall("VALUE|BOUND|SUBJECT", entry.words(values)))
        assert "VALUE" not in used or entry.value is not None
        assert "BOUND" not in used or entry.bound is not None
        assert "SUBJECT" not in used or entry.subject
    assert not entry.subject or "SUBJECT" in entry.words(GIVEN)


@pytest.mark.parametrize("kind", WarningKind)
def test_words_are_sentences_with_and_without_figures(kind: WarningKind) -> None:
    for number in (0.0, 0.5, -0.5, 1e308, float("inf"), float("nan")):
        text = kind.entry.words(replace(GIVEN, value=Amount(number, "VALUE")))
        assert text[0].isupper() or text.startswith("VALUE")
        assert text.endswith(".")
        assert not re.search(r"  |\.\.| [.,:]", text)


def test_an_amount_of_nothing_or_without_end_is_left_out() -> None:
    amounts = (0.0, 1e308, float("inf"), float("nan"), 0.1, -0.1)
    assert [bool(Amount(number, "")) for number in amounts] == [False] * 4 + [True] * 2


def test_a_warning_goes_through_a_pipe_as_it_is() -> None:
    warning = RunWarning(WarningKind.DRIFT, -0.03)
    assert pickle.loads(pickle.dumps(warning)) == copy.deepcopy(warning) == warning
