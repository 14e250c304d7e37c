"""Which run of a request is compared with which, the verdicts of all together, and the feed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from support.pages.repeated import at, day, failed, good, wrong

from onnxprof.compare.changes import compare
from onnxprof.compare.systems import differences
from onnxprof.compare.verdict import THRESHOLD, Verdict, decides_latency
from onnxprof.publish.history import changes, feed, model_part, page, strip
from onnxprof.publish.history.changes import Change, State
from onnxprof.publish.history.requests import History, Kind, is_dated
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.render import SiteFacts
from onnxprof.records.device import Device
from onnxprof.records.run import Run
from onnxprof.records.telemetry import Quantity, Series, Telemetry
from onnxprof.records.warning import RunWarning, WarningKind

ATOM = "{http://www.w3.org/2005/Atom}"
SITE = SiteFacts("the <site> & more", "1.2", "", "https://example.org/m/")


def changes_of(runs: Sequence[Run]) -> list[Change]:
    return [found for each in catalogue(runs) for found in changes.changes(each)]


def only(runs: Sequence[Run]) -> Change:
    [found] = changes.judged_together(changes_of(runs))
    return found


def listed(runs: Sequence[Run]) -> list[page.Listed]:
    pages = catalogue(runs)
    return page.listed(pages, {each.slug: changes.changes(each) for each in pages})


def test_the_newest_is_against_the_one_before_with_the_verdict_of_compare() -> None:
    runs = [good(1), good(3, 1.5), good(2, 1.2)]
    found = only(runs)
    alone = compare([((runs[2],), (runs[1],))], THRESHOLD).pairs[0]
    assert found.state is State.COMPARED
    assert found.newest.created == day(3)
    assert found.against is not None
    assert found.against.earlier.created == day(2)
    assert found.against.latency == alone.latency
    assert found.verdict is alone.latency.verdict is Verdict.SLOWER
    assert found.runs == 3


def test_any_order_of_reading_gives_the_same() -> None:
    runs = [good(1), good(2, 1.2), failed(3), good(4, 1.3), wrong(5)]
    expected = only(runs)
    for seed in range(5):
        shuffled = random.Random(seed).sample(runs, len(runs))
        assert only(shuffled) == expected


def test_a_failed_run_between_is_counted_and_not_compared() -> None:
    found = only([good(1), failed(2), failed(3), good(4, 1.5)])
    assert found.state is State.COMPARED
    assert found.against is not None
    assert found.against.earlier.created == day(1)
    assert found.between == 2


def test_a_newest_run_that_failed_is_a_change_and_has_no_verdict() -> None:
    found = only([good(1), failed(2), failed(3)])
    assert found.state is State.FAILED
    assert found.trouble == "killed <by> signal 9"
    assert found.against is not None
    assert found.against.earlier.created == day(1)
    assert found.between == 1
    assert found.verdict is None


def test_wrong_outputs_are_neither_fast_nor_what_others_are_compared_with() -> None:
    worse = only([good(1), wrong(2, 0.1)])
    assert worse.state is State.WRONG
    assert worse.verdict is None
    assert "0.5" in worse.trouble
    repaired = only([good(1), wrong(2, 0.1), good(3)])
    assert repaired.state is State.COMPARED
    assert repaired.against is not None
    assert repaired.against.earlier.created == day(1)
    assert repaired.between == 1


def test_the_first_right_run_is_no_change_and_neither_is_a_request_that_never_worked() -> None:
    assert only([good(1)]).state is State.FIRST
    assert only([failed(1), wrong(2), good(3)]).state is State.FIRST
    assert only([failed(1), failed(2)]).state is State.NEVER
    assert only([failed(1)]).against is None


def test_runs_of_other_settings_are_other_requests() -> None:
    runs = [
        good(1),
        dataclasses.replace(good(2, 3.0), request=dataclasses.replace(good(2).request, threads=8)),
        dataclasses.replace(
            good(3, 3.0), request=dataclasses.replace(good(3).request, dims=(("seq", 128),))
        ),
        good(4, 3.0, batch=8),
    ]
    found = changes_of(runs)
    assert len(found) == 4
    assert {each.state for each in found} == {State.FIRST}


def test_of_one_second_the_run_that_comes_later_is_the_newer() -> None:
    first, second = good(1), at(good(2, 2.0), day(1))
    history = History.of_runs([first, second])
    assert history.attempts[0].run is first
    assert history.newest is not None
    assert history.newest.run is second
    stamps = [attempt.stamp for attempt in history.attempts]
    assert stamps == ["20260101T030405Z", "20260101T030405Z.2"]
    found = only([first, second])
    assert found.verdict is Verdict.SLOWER
    assert found.newest.address.endswith("@20260101T030405Z.2")


@pytest.mark.parametrize(
    "created", ["1970-01-01T00:00:12Z", "", "yesterday", "2026-13-01T00:00:00Z", "2026-1-2T3:4:5Z"]
)
def test_a_clock_that_was_not_set_is_before_all_others_and_never_compared(created: str) -> None:
    assert not is_dated(created)
    found = only([good(2), at(good(9, 5.0), created), good(3)])
    assert found.against is not None
    assert found.against.earlier.created == day(2)
    assert found.newest.created == day(3)
    assert found.runs == 3
    alone = changes_of([at(good(1), created)])
    assert alone == []


def test_a_clock_that_jumped_back_leaves_the_order_of_the_times() -> None:
    """Nothing but its time tells when a run was: one of a clock that was ahead stays the newest."""
    ahead = at(good(2, 1.5), "2031-01-01T00:00:00Z")
    found = only([good(1), ahead, good(3)])
    assert found.newest.created == ahead.created
    assert found.against is not None
    assert found.against.earlier.created == day(3)


def test_verdicts_are_held_over_all_models_together() -> None:
    """A family of many rows calls fewer of them by chance: a borderline p is decided alone only."""
    alone = only([good(1), good(2, 1.2)])
    assert alone.against is not None
    row = dataclasses.replace(alone.against.latency, q=0.03)
    doubtful = dataclasses.replace(alone, against=dataclasses.replace(alone.against, latency=row))
    [judged] = changes.judged_together([doubtful])
    assert judged.verdict is Verdict.SLOWER
    same = dataclasses.replace(row, q=0.9)
    others = [
        dataclasses.replace(alone, against=dataclasses.replace(alone.against, latency=same))
        for _ in range(9)
    ]
    [judged, *_] = changes.judged_together([doubtful, *others])
    assert judged.verdict is not Verdict.SLOWER


def test_a_busy_machine_and_one_process_forbid_a_verdict() -> None:
    busy = dataclasses.replace(good(2, 1.5), warnings=(RunWarning(WarningKind.BUSY_MACHINE, 3.0),))
    runs = [good(1), busy]
    pair = compare([((runs[0],), (runs[1],))], THRESHOLD).pairs[0]
    assert not decides_latency(*pair.sides)
    found = only(runs)
    assert found.verdict is Verdict.UNDECIDED
    assert any("busy" in text for text in found.caveats)


def test_what_creeps_up_is_seen_against_the_best() -> None:
    runs = [good(1), *(good(1 + i, 1.05**i) for i in range(1, 5))]
    found = only(runs)
    assert found.best is not None
    assert found.best.earlier.created == day(1)
    assert found.best.ratio == pytest.approx(1.05**4, rel=0.03)
    alone = compare([((runs[0],), (runs[-1],))], THRESHOLD).pairs[0].latency
    assert alone.q is not None
    assert found.best.latency.q is not None
    assert only(runs[:3]).best is None  # two earlier runs have no best
    steep = [good(i, 1.06**i) for i in range(1, 7)]
    assert only(steep).verdict is Verdict.UNDECIDED
    html = page.changes_page(listed(steep), SITE)
    assert html.index("Slower than the best") < html.index("The same, or undecided")


def test_the_best_of_many_has_a_p_value_that_counts_as_often() -> None:
    runs = [good(1), good(2, 1.02), good(3, 1.01), good(4, 1.02)]
    [bare] = changes_of(runs)
    alone = compare([((runs[0],), (runs[-1],))], THRESHOLD).pairs[0].latency
    assert bare.best is not None
    assert alone.q is not None
    assert bare.best.latency.q == pytest.approx(min(1.0, 3 * alone.q))


def test_what_differs_is_the_table_of_compare_with_driver_and_clock() -> None:
    def on(number: int, driver: str, clock: float, kernel: str) -> Run:
        series = Series(Quantity.CLOCK, "nvml", (1.0, 2.0), (clock, clock))
        run = good(number, kernel=kernel)
        device = dataclasses.replace(run.device, driver=driver)
        return dataclasses.replace(run, device=device, telemetry=Telemetry(1.0, 5, 1.0, (series,)))

    runs = [on(1, "550.1", 1980.0, "Linux 6.1"), on(2, "560.2", 1410.0, "Linux 6.8")]
    found = only(runs).differences
    assert found == differences(*runs)
    told = {each.what: (each.a, each.b) for each in found}
    assert told["driver"] == ("550.1", "560.2")
    assert told["clock"] == ("2.0 GHz", "1.4 GHz")
    assert told["kernel"] == ("Linux 6.1", "Linux 6.8")
    without = dataclasses.replace(runs[1], telemetry=None)
    assert "clock" not in {each.what for each in differences(runs[0], without)}


def test_changes_are_the_same_after_they_were_stored() -> None:
    runs = [good(1), good(2), good(3, 0.9), good(4, 1.5), failed(1, "n"), good(1, model="o")]
    found = changes_of(runs)
    assert changes.from_stored(changes.stored(found)) == found


def test_the_page_lists_by_size_of_change_and_says_when_there_is_nothing() -> None:
    runs = [
        *(good(1, model="small"), good(2, 1.3, "small")),
        *(good(1, model="large"), good(2, 0.4, "large")),
        *(good(1, model="broken"), failed(2, "broken")),
        *(good(1, model="steady"), good(2, model="steady")),
    ]
    html = page.changes_page(listed(runs), SITE)
    places = [html.index(f">{name}<") for name in ("broken", "large", "small", "steady")]
    assert places == sorted(places)
    assert "Failed or wrong now" in html
    assert "killed &lt;by&gt; signal 9" in html
    once = page.changes_page(listed([good(1), good(1, model="n")]), SITE)
    assert "Nothing has been measured twice yet" in once
    assert "<table" not in once
    assert "Nothing is measured yet" in page.changes_page([], SITE)
    same = page.changes_page(listed([good(1), at(good(1), day(2))]), SITE)
    assert "Nothing got slower, faster, failed or went wrong" in same
    never = page.changes_page(listed([failed(1), failed(2)]), SITE)
    assert "Nothing can be compared yet" in never


def test_names_are_escaped_on_the_page_and_in_the_table_of_changes() -> None:
    name = "<script>alert(1)</script>\u202e & \ud800"
    rows = listed([good(1, model=name), good(2, 1.5, name)])
    html = page.changes_page(rows, SITE)
    assert "<script>alert" not in html
    html.encode()
    [record] = page.changes_csv(rows).splitlines()[1:]
    assert "slower" in record


def strips(runs: Sequence[Run]) -> tuple[model_part.Strip, ...]:
    [one] = catalogue(runs)
    return model_part.past(one)[0].strips


def test_a_strip_has_a_dot_a_run_and_a_line_where_something_changed() -> None:
    runs = [good(1), good(2, runtime="ort 2"), failed(3), wrong(4), good(5, runtime="ort 2")]
    [one] = strips(runs)
    root = ElementTree.fromstring(str(one.drawing))
    links = list(root.iter("a"))
    assert len(links) == 5
    assert [each.get("class", "").split()[0] for each in links] == [
        *("good", "good", "failed", "wrong", "good")
    ]
    assert all(each.get("href", "").startswith(f"#{one.key}@2026010") for each in links)
    titles = ["".join(each.itertext()) for each in root.iter("g")]
    assert titles[0] == "runtime: none → ort 2"
    assert len(one.lines) == len(titles)
    assert "5 runs (1 failed, 1 wrong)" in one.sentence


def test_a_request_that_was_measured_once_has_no_strip() -> None:
    assert strips([good(1)]) == ()


def test_a_strip_shows_the_newest_runs_and_says_how_many_there_are() -> None:
    moments = [f"2026-02-{1 + i // 24:02d}T{i % 24:02d}:00:00Z" for i in range(40)]
    [one] = strips([at(good(1), moment) for moment in moments])
    assert str(one.drawing).count("<a ") == strip.MOST_RUNS
    assert f"40 runs, of which the newest {strip.MOST_RUNS} are shown" in one.sentence


def test_a_wrong_run_sets_no_scale_and_stands_at_the_edge() -> None:
    [bare], [one] = strips([good(1), good(2), good(3)]), strips([good(1), wrong(2, 0.1), good(3)])
    assert heights(bare)[0] == pytest.approx(heights(one)[0], abs=3)
    assert max(heights(one)) == heights(one)[1] <= 156 - 26


def heights(one: model_part.Strip) -> list[float]:
    circles = ElementTree.fromstring(str(one.drawing)).iter("circle")
    return [float(circle.get("cy", "nan")) for circle in circles]


def test_noise_does_not_fill_a_strip() -> None:
    [one] = strips([good(1), good(2)])
    assert max(heights(one)) - min(heights(one)) < 60


def entries(text: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(text.encode()).findall(f"{ATOM}entry")


def told(entry: ElementTree.Element, name: str) -> str:
    found = entry.find(f"{ATOM}{name}")
    assert found is not None
    return found.text or ""


def feed_runs() -> list[Run]:
    return [
        *(
            good(1, model="<b>slow</b> & 'co' \u0007\ud800"),
            good(2, 1.5, "<b>slow</b> & 'co' \u0007\ud800"),
        ),
        *(good(1, model="broken"), failed(5, "broken")),
        *(good(3, model="new"), good(3, model="new", batch=8)),
        *(good(1, model="again"), at(good(1, model="again"), day(4))),
        at(good(1, model="undated"), "1970-01-01T00:00:00Z"),
    ]


def test_the_feed_is_valid_atom() -> None:
    """RFC 4287: what a feed and an entry must have, each once."""
    root = ElementTree.fromstring(feed.feed(listed(feed_runs()), SITE).encode())
    assert root.tag == f"{ATOM}feed"
    for element in ("id", "title", "updated", "author"):
        assert len(root.findall(f"{ATOM}{element}")) == 1, element
    assert root.find(f"{ATOM}author/{ATOM}name") is not None
    assert told(root, "id") == "https://example.org/m/feed.xml"
    relations = [(each.get("rel"), each.get("href")) for each in root.findall(f"{ATOM}link")]
    assert ("self", "https://example.org/m/feed.xml") in relations
    found = root.findall(f"{ATOM}entry")
    assert found
    for entry in found:
        for element in ("id", "title", "updated", "content"):
            assert len(entry.findall(f"{ATOM}{element}")) == 1, element
        assert told(entry, "id").startswith("urn:uuid:")
        assert is_dated(told(entry, "updated"))
        [link] = entry.findall(f"{ATOM}link")
        assert link.get("rel") == "alternate"
        assert str(link.get("href")).startswith("https://example.org/m/models/")
    identities = [told(entry, "id") for entry in found]
    assert len(set(identities)) == len(identities)


def test_the_feed_has_the_newest_first_and_new_runs_of_a_day_in_one_entry() -> None:
    found = entries(feed.feed(listed(feed_runs()), SITE))
    moments = [told(entry, "updated") for entry in found]
    assert moments == sorted(moments, reverse=True) == [day(n) for n in (5, 4, 3, 2)]
    titles = [told(entry, "title") for entry in found]
    assert titles[0].startswith("broken, batch 1")
    assert titles[0].endswith(": failed")
    assert titles[1:3] == ["again: 1 new run", "new: 2 new runs"]
    assert titles[3].startswith("<b>slow</b> & 'co' \\x07")
    assert ": slower, 1.498 times" in titles[3]


def test_identities_stay_when_a_site_moves_and_other_runs_join() -> None:
    before = {
        told(e, "title"): told(e, "id") for e in entries(feed.feed(listed(feed_runs()), SITE))
    }
    more = [*feed_runs(), good(1, model="Broken"), good(2, 9.0, "zz"), good(1, model="zz")]
    moved = dataclasses.replace(SITE, base_url="http://elsewhere.example/", title="other")
    after = {told(e, "title"): told(e, "id") for e in entries(feed.feed(listed(more), moved))}
    assert before.items() <= after.items()


def test_a_feed_of_nothing_and_one_of_too_much() -> None:
    assert entries(feed.feed([], SITE)) == []
    runs = [good(1, model=f"m{i}") for i in range(feed.MOST_ENTRIES + 5)]
    assert len(entries(feed.feed(listed(runs), SITE))) == feed.MOST_ENTRIES


def test_a_device_is_kept_in_a_changes_system() -> None:
    run = dataclasses.replace(good(1), device=Device("cpu:fake", "cpu", "<b>CPU</b>"))
    [found] = changes_of([run])
    assert found.system.startswith("<b>CPU</b>")
    assert [a.kind for a in History.of_runs([run, failed(2), wrong(3)]).attempts] == [
        *(Kind.GOOD, Kind.FAILED, Kind.WRONG)
    ]
