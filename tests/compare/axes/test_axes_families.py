"""Runs in groups over an axis: what is held still, and what follows."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.habits.documents import checked

import onnxprof
from onnxprof.api.scaling import scaled
from onnxprof.compare.axes.families import BATCH, families, followers, leading, size_in, strays
from onnxprof.compare.over_batches import over_batches
from onnxprof.compare.scaling import scaling
from onnxprof.compare.systems import refuse_unlike
from onnxprof.errors import UsageError
from onnxprof.publish.comparing import over_batches as over_text
from onnxprof.publish.comparing.alignment import Choice
from onnxprof.publish.json import documents
from onnxprof.publish.json.comparing import aligned
from onnxprof.publish.scaling.tables import markdown, sentences_of
from onnxprof.records.run import Request, Run
from onnxprof.testing import sample_run


def asked(batch: int = 1, **dims: int) -> Request:
    return replace(sample_run().request, batch=batch, dims=tuple(dims.items()))


def decoder() -> list[Request]:
    return [
        asked(batch, past=past, new=new, total=past + new)
        for batch, past, new in product((1, 2), (0, 64, 128), (1, 16))
    ]


def groups(requests: list[Request], axis: str) -> list[list[int | None]]:
    found = families(requests, axis, lambda each: each, lambda _: 0)
    return [[size_in(each, axis) for each in group] for group in found]


def test_a_total_follows_its_parts() -> None:
    requests = decoder()
    assert groups(requests, "past") == [[0, 64, 128]] * 4
    assert groups(requests, "new") == [[1, 16]] * 6
    assert groups(requests, BATCH) == [[1, 2]] * 6
    assert leading(requests) == [BATCH, "past", "new"]


def test_the_order_of_the_axes_does_not_matter_to_what_leads() -> None:
    requests = [
        asked(total=past + new, past=past, new=new) for past, new in product((0, 64), (1, 16))
    ]
    assert set(leading(requests)) == {"past", "new"}


def test_a_product_of_two_axes_is_held_still_in_one() -> None:
    requests = [asked(height=h, width=w) for h, w in product((32, 64), (32, 48, 64))]
    assert groups(requests, "height") == [[32, 64]] * 3
    assert groups(requests, "width") == [[32, 48, 64]] * 2
    assert leading(requests) == ["height", "width"]


def test_two_sides_of_a_square_go_together() -> None:
    requests = [asked(height=size, width=size) for size in (32, 64, 96)]
    assert groups(requests, "height") == [[32, 64, 96]]
    assert leading(requests) == ["height"]


def test_sums_of_the_same_parts_follow_together() -> None:
    requests = [
        asked(past=past, new=new, total=past + new, mask=past + new)
        for past, new in product((0, 64, 128), (1, 16))
    ]
    assert groups(requests, "past") == [[0, 64, 128]] * 2
    assert groups(requests, "new") == [[1, 16]] * 3
    assert leading(requests) == ["past", "new"]


def test_one_stray_undoes_no_tie_of_the_others() -> None:
    stray = asked(past=0, new=1, total=2)
    for requests in (decoder(), decoder()[::2], decoder()[:6:2]):
        for place in (0, 1, len(requests)):
            every = [*requests[:place], stray, *requests[place:]]
            assert strays(every, "past", lambda each: each) == [stray]
            assert groups(every, "past") == groups(requests, "past")
            assert leading(every) == leading(requests)


@pytest.mark.parametrize(
    "points",
    [
        [(0, 1), (64, 65), (128, 129)],  # all keep it
        [(0, 1), (64, 65), (0, 2)],  # too few to tell
        [(0, 1), (64, 65), (128, 129), (0, 2), (64, 67)],  # as good as none
        [(h, w) for h in (32, 64, 96) for w in (32, 64, 96)],  # a product
        [(0, 5), (64, 5), (128, 5), (128, 9)],  # one size of each, and two of one
    ],
)
def test_what_is_no_stray(points: list[tuple[int, int]]) -> None:
    requests = [asked(past=past, total=total) for past, total in points]
    assert strays(requests, "past", lambda each: each) == []


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4), st.integers(1, 8)), max_size=12),
    st.randoms(use_true_random=False),
)
def test_groups_and_strays_share_no_run_and_nothing_depends_on_the_order(
    points: list[tuple[int, int, int]], random: Random
) -> None:
    requests = [asked(past=p, new=n, total=t) for p, n, t in dict.fromkeys(points)]
    lost = strays(requests, "past", lambda each: each)
    found = families(requests, "past", lambda each: each, lambda _: 0)
    assert not [each for group in found for each in group if each in lost]
    assert len(lost) * 3 <= len(requests) - len(lost)
    mixed = random.sample(requests, len(requests))
    assert set(strays(mixed, "past", lambda each: each)) == set(lost)


def test_a_stray_run_is_left_out_and_named() -> None:
    good = [run for past in (64, 0, 128) for run in both(past)]
    dims = (("past", 0), ("new", 1), ("total", 2))
    stray = replace(good[0], request=replace(good[0].request, dims=dims))
    words = "left out: sample on fake at batch 1, new=1, past=0, total=2, where total does not"
    with pytest.warns(UserWarning, match=words):
        found = onnxprof.align([*good, stray], over="past")
    assert found.record == onnxprof.align(good, over="past").record
    with pytest.warns(UserWarning, match=words):
        [first, _] = onnxprof.scaling([stray, *good], "past")
    assert first.sizes == (0, 64, 128)
    assert first.points[0].run is good[2]


def test_a_mistyped_axis_is_refused_by_its_name() -> None:
    runs = [replace(sample_run(), request=each) for each in decoder()]
    for over, meant in (("batc", BATCH), ("pst", "past"), ("nothing", "")):
        for call in (
            lambda over=over: refuse_unlike(runs, over=over),
            lambda over=over: scaled(runs, over, print),
        ):
            with pytest.raises(UsageError, match=f"no run has an axis '{over}'") as caught:
                call()
            hint = f"Did you mean {meant}? " if meant else ""
            assert caught.value.remedy == f"{hint}--over takes one of: batch, new, past, total"


@pytest.mark.parametrize(
    "pairs",
    [
        [(16, 0), (1, 128)],  # prefill and decode: the cache does not grow with the new tokens
        [(1, 0), (16, 128)],  # by no whole step
        [(1, 1), (2, 2), (3, 4)],  # by no line
    ],
)
def test_what_differs_without_a_rule_follows_nothing(pairs: list[tuple[int, int]]) -> None:
    points = [{BATCH: 1, "new": new, "past": past} for new, past in pairs]
    assert followers(points, "new") == frozenset()


def test_an_axis_that_follows_the_batch() -> None:
    requests = [asked(batch, beams=4 * batch) for batch in (1, 2, 8)]
    assert groups(requests, BATCH) == [[1, 2, 8]]
    assert leading(requests) == [BATCH]


def test_a_size_of_nothing_is_a_size() -> None:
    assert groups([asked(past=0), asked(past=8), asked()], "past") == [[0, 8]]


def sized(past: int, scale: float) -> Run:
    run = sample_run(scale=scale)
    dims = (("past", past), ("total", past + 1))
    return replace(run, request=replace(run.request, dims=dims))


def test_a_fit_over_an_axis_begins_at_nothing() -> None:
    made = scaling([sized(0, 1), sized(64, 2), sized(128, 3)], "past")
    assert made.sizes == (0, 64, 128)
    assert made.points[1].gain is None
    assert made.points[2].gain is not None
    assert made.line.item_ns > 0
    text = markdown(made)
    assert "total=1…129: 3 sizes of past" in text
    assert "for each of past" in " ".join(sentences_of(made))


def both(past: int, new: int = 1) -> list[Run]:
    """On two systems."""
    dims = (("past", past), ("new", new), ("total", past + new))
    made = [sample_run(scale=1 + past), sample_run(backend="other", scale=2 + past, seed=1)]
    return [replace(run, request=replace(run.request, dims=dims)) for run in made]


def test_two_systems_over_an_axis() -> None:
    runs = [run for past in (64, 0, 128) for run in both(past)]
    refuse_unlike(runs, over="past")
    found = over_batches(runs, axis="past")
    assert found.batches == (0, 64, 128)
    assert found.held == "batch 1"
    text = over_text.markdown(found, Choice())
    assert "**sample, batch 1: other against fake, over past**" in text
    assert "| past | system |" in text
    assert "| layers | operators | past 0 | past 64 | past 128 |" in text
    rows = over_text.to_csv(found).splitlines()
    assert rows[0].startswith("model,axis,size,system,")
    assert rows[1].startswith("sample,past,0,fake,")
    plain = aligned(found)
    assert plain["axis"] == "past"
    assert [(each["batch"], each["size"]) for each in plain["batches"]] == [
        (1, 0),
        (1, 64),
        (1, 128),
    ]
    checked(documents.text(plain), "align-over-batches")


def test_sizes_that_do_not_follow_are_refused_with_what_to_choose() -> None:
    runs = [run for past, new in ((0, 1), (64, 1), (0, 16)) for run in both(past, new)]
    with pytest.raises(UsageError, match="axes differ: new=1, new=16") as caught:
        refuse_unlike(runs, over="past")
    assert caught.value.remedy == "Choose --dim new=1 or --dim new=16"
    with pytest.raises(UsageError, match="axes differ: new=1, past=0, total=1; new=1, past=64,"):
        refuse_unlike(runs)
    with pytest.raises(UsageError, match=r"no run has an axis 'width'.*one of: batch, new, past"):
        refuse_unlike(runs, over="width")
    with pytest.raises(UsageError, match="has no axis 'width'") as caught:
        over_batches(both(1), axis="width")
    assert "past" in caught.value.remedy
    with pytest.raises(UsageError, match="no size of past was measured"):
        over_batches([both(0)[0], both(1)[1]], axis="past")
