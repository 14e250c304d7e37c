"""Options as backends list them: values in one spelling, refusals with their reason."""

from __future__ import annotations

import pytest

from onnxprof.errors import UsageError
from onnxprof.plugins import verbs
from onnxprof.plugins.settings import (
    FILES,
    SESSION,
    SWITCH,
    Kind,
    Refusal,
    checked,
    choice,
    matching,
    whole,
)
from onnxprof.records.step import USUAL, Setup
from onnxprof.testing import FakeBackend

KNOWN = {"a.switch": SWITCH, "count": whole(2, 9), "Mode": choice("slow", "FAST")}
REFUSALS = (Refusal("thread", "onnxprof sets it", "Use --threads"), FILES)


def stored(*given: tuple[str, str]) -> dict[str, str]:
    return dict(checked(given, KNOWN, REFUSALS, SESSION, "the runtime"))


@pytest.mark.parametrize(
    ("kind", "given", "stored"),
    [
        *((SWITCH, text, "1") for text in ("1", "true", "True", "YES", "on")),
        *((SWITCH, text, "0") for text in ("0", "false", "No", "off")),
        *((SWITCH, text, None) for text in ("", "2", "maybe", "01")),
        *((whole(2, 9), text, known) for text, known in (("2", "2"), ("009", "9"), (" 3 ", "3"))),
        *((whole(2, 9), text, None) for text in ("1", "10", "-3", "3.0", "", "²", "9" * 30)),
        (whole(), "123456", "123456"),
        *((choice("slow", "FAST"), text, "FAST") for text in ("fast", "FAST", "Fast")),
        (choice("slow", "FAST"), "quick", None),
        (matching(r"\w+", "a word"), "ab", "ab"),
        (matching(r"\w+", "a word"), "a b", None),
    ],
)
def test_a_value_has_one_spelling_or_is_refused(kind: Kind, given: str, stored: str | None) -> None:
    assert kind.read(given) == stored
    if stored is not None:
        assert kind.read(stored) == stored, "what is stored is read as itself"


def test_options_are_sorted_and_in_their_stored_spelling() -> None:
    made = checked((("count", "07"), ("a.switch", "yes")), KNOWN, REFUSALS, SESSION, "it")
    assert made == (("a.switch", "1"), ("count", "7"))


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("a.swich", "1", "Did you mean a.switch?"),
        ("MODE", "fast", "Did you mean Mode?"),
        ("count", "1", "count takes a whole number from 2 to 9"),
        ("Mode", "quick", "Mode takes slow or FAST"),
        ("num_threads", "4", "onnxprof sets it. Use --threads"),
        ("cache_path", "/tmp/x", "loads no code"),
        ("register_custom_ops_library", "x.so", "loads no code"),
        ("CACHE_DIR", "/tmp", "loads no code"),
    ],
)
def test_what_cannot_be_set_says_why_and_what_to_do(name: str, value: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        stored((name, value))
    assert what in str(caught.value)
    assert SESSION in str(caught.value)


def test_an_option_has_one_value() -> None:
    assert stored(("count", "3"), ("count", "03")) == {"count": "3"}
    with pytest.raises(UsageError, match="'count' two values"):
        stored(("count", "3"), ("count", "4"))


def test_a_backend_that_cannot_be_set_refuses_all_options() -> None:
    fake = FakeBackend()
    assert verbs.configured(fake, USUAL, "cpu") is USUAL
    with pytest.raises(UsageError, match="takes no options of a runtime: optimisation level basic"):
        verbs.configured(fake, Setup("basic"), "cpu")
