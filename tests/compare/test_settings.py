"""Settings of a run: which two may be compared, their key and their words."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from onnxprof.compare.settings import (
    ANY_THREADS,
    Facet,
    Settings,
    differing,
    facet_words,
    settings_of,
    threads_text,
    usual,
)
from onnxprof.records.step import USUAL, Granularity, Setup
from onnxprof.testing import sample_run

REQUEST = sample_run("m").request

names = st.text(max_size=6)
made = st.builds(
    Settings,
    dims=st.lists(st.tuples(names, st.integers(0, 999)), max_size=3).map(
        lambda d: tuple(sorted(d))
    ),
    inputs=st.sampled_from(["", "ab" * 32, "cd" * 32]),
    written=st.booleans(),
    threads=st.sampled_from([ANY_THREADS, 0, 1, 16]),
    setup=st.sampled_from(
        [USUAL, Setup("basic"), Setup("", (("a", "1"),)), Setup("", (), (("a", "1"),))]
    ),
)


def test_the_order_of_axes_does_not_matter() -> None:
    one = dataclasses.replace(REQUEST, dims=(("seq", 128), ("a", 1)))
    other = dataclasses.replace(REQUEST, dims=(("a", 1), ("seq", 128)))
    assert settings_of(one) == settings_of(other)


def test_timer_seed_processes_and_model_are_no_settings() -> None:
    changes: list[dict[str, object]] = [
        {"timer": "prefix"},
        {"seed": 7},
        {"processes": 10},
        {"model_name": "n"},
        {"batch": 8},
        {"backend": "other"},
    ]
    for change in changes:
        other = dataclasses.replace(REQUEST, **change)  # type: ignore[arg-type]
        assert settings_of(other) == settings_of(REQUEST), change


def test_each_setting_that_differs_is_named() -> None:
    plain = settings_of(REQUEST)
    for change, facet in (
        ({"dims": (("seq", 16),)}, Facet.WORK),
        ({"inputs_sha256": "ef" * 32}, Facet.WORK),
        ({"threads": 16}, Facet.THREADS),
        ({"granularity": Granularity.WRITTEN}, Facet.GRAPH),
        ({"optimization_level": "basic"}, Facet.SETUP),
        ({"session_options": (("a", "1"),)}, Facet.SETUP),
        ({"provider_options": (("a", "1"),)}, Facet.SETUP),
    ):
        other = settings_of(dataclasses.replace(REQUEST, **change))
        assert differing(plain, other) == (facet,), change
        assert facet_words(other, facet)


def test_threads_do_not_matter_on_a_gpu() -> None:
    gpu = dataclasses.replace(REQUEST, device_id="cuda:0:x")
    assert settings_of(gpu).threads == ANY_THREADS
    assert differing(settings_of(gpu), settings_of(REQUEST)) == ()
    assert facet_words(settings_of(gpu), Facet.THREADS) == ()


def test_unknown_threads_are_not_any_number() -> None:
    unknown = settings_of(dataclasses.replace(REQUEST, threads=0))
    assert differing(unknown, settings_of(REQUEST)) == (Facet.THREADS,)
    assert unknown.words == ("threads not known",)
    assert [threads_text(n) for n in (1, 2)] == ["1 thread", "2 threads"]


@given(made, made)
def test_keys_are_equal_for_equal_settings_alone(a: Settings, b: Settings) -> None:
    assert (a.key == b.key) == (a == b)


@given(made, made)
def test_comparing_is_symmetric_and_like_itself(a: Settings, b: Settings) -> None:
    assert differing(a, a) == ()
    assert differing(a, b) == differing(b, a)


def test_the_usual_value_is_the_most_common_and_of_equals_the_smallest() -> None:
    assert usual([4, 1, 4, 1, 8]) == 1
    assert usual([8, 8, 1]) == 8
    assert usual([]) is None
