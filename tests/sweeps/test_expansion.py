"""Expansion: every combination that a plan lists, exactly once, but for what it excludes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.errors import BackendError, FleetError, UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.setting import Setting
from onnxprof.records.device import Device
from onnxprof.sweeps.devices import spread
from onnxprof.sweeps.plans.expand import excluded, expanded
from onnxprof.sweeps.plans.read import Entry, Plan, read_plan
from onnxprof.sweeps.plans.survey import survey
from onnxprof.sweeps.tasks import Task

AXES: dict[str, list[Any]] = {
    "threads": [0, 1, 2],
    "provider": ["", "cpu", "cuda"],
    "processes": [1, 3],
    "seed": [0, 5],
}
BATCHES = [1, 2, 8, 32]
some = {key: st.lists(st.sampled_from(v), min_size=1, unique=True) for key, v in AXES.items()}
settings = st.fixed_dictionaries({}, optional=some).map(
    lambda given: {key: tuple(values) for key, values in given.items()}
)
batches = st.lists(st.sampled_from(BATCHES), min_size=1, unique=True).map(tuple)
dims = st.dictionaries(
    st.sampled_from("ab"),
    st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True).map(tuple),
    max_size=2,
)
names = st.lists(st.sampled_from(["zoo:lenet", "zoo:vgg16", "x.onnx"]), min_size=1, unique=True)
of_models = settings.map(lambda given: {k: v for k, v in given.items() if k != "provider"})
models = st.lists(
    st.builds(
        Entry,
        names.map(tuple),
        st.tuples(of_models, batches).map(lambda both: both[0] | {"batch": both[1]}),
        dims,
    ),
    min_size=1,
    max_size=2,
).map(tuple)
backends = st.lists(
    st.builds(Entry, st.sampled_from([("ort",), ("torch",), ("ort", "openvino")]), settings),
    min_size=1,
    max_size=2,
).map(tuple)
exclusions = st.lists(
    st.builds(
        Entry,
        st.just(()),
        st.fixed_dictionaries(
            {},
            optional={
                "model": st.sampled_from([("lenet",), ("v*",), ("zoo:*",)]),
                "backend": st.sampled_from([("ort",), ("torch", "openvino")]),
                "batch": batches,
                "threads": st.sampled_from([(1,), (0, 2)]),
                "provider": st.sampled_from([("cpu",), ("cu*",)]),
            },
        ).filter(bool),
        st.just({}),
    ),
    max_size=3,
).map(tuple)
plans = st.builds(
    Plan,
    st.just(Path("plan.toml")),
    st.builds(Entry, st.just(()), settings, dims),
    models,
    backends,
    exclusions,
)


def combinations(plan: Plan) -> set[tuple[Any, ...]]:
    """By brute force: one for each job."""
    found = set()
    for model, backend in product(plan.models, plan.backends):
        given = {**plan.defaults.given, **backend.given, **model.given}
        axes = [
            given.get(key, (default,))
            for key, default in (("threads", 0), ("provider", ""), ("processes", 1), ("seed", 0))
        ]
        sizes = {**plan.defaults.dims, **backend.dims, **model.dims}
        for name, runtime, batch, *chosen in product(
            model.names, backend.names, given["batch"], *axes
        ):
            for each in product(*sizes.values()):
                pairs = frozenset(zip(sizes, each, strict=True))
                # an axis that the model may lack is another request than one that it must have
                optional = frozenset({*plan.defaults.dims, *backend.dims} - set(model.dims))
                found.add((name, runtime, batch, *chosen, pairs, optional))
    return found


def listed(tasks: tuple[Task, ...]) -> list[tuple[Any, ...]]:
    return [
        (
            t.model,
            t.options.backend,
            batch,
            t.options.threads,
            t.options.provider,
            t.options.processes,
            t.options.seed,
            frozenset(t.options.dims),
            frozenset(t.optional_dims),
        )
        for t in tasks
        for batch in t.options.batches
    ]


@given(plans)
def test_every_combination_exactly_once(plan: Plan) -> None:
    counts = Counter(listed(expanded(plan).tasks))
    assert set(counts) == combinations(plan)
    assert set(counts.values()) == {1}


def on_cpu(task: Task) -> Task:
    return spread([task], lambda *_: [Device("cpu:x", "cpu", "X")]).tasks[0]


def is_excluded(plan: Plan, job: tuple[Any, ...]) -> bool:
    name, runtime, batch, threads, provider, *_ = job
    facts = {
        "model": (name, name.removeprefix("zoo:").removesuffix(".onnx")),
        "backend": (runtime,),
        "batch": (batch,),
        "threads": (threads,),
        "provider": (provider or "cpu",),
    }

    def fits(pattern: Any, value: Any) -> bool:
        return fnmatchcase(value, pattern) if isinstance(pattern, str) else pattern == value

    return any(
        all(
            any(fits(p, v) for p in patterns for v in facts[key])
            for key, patterns in each.given.items()
        )
        for each in plan.exclusions
    )


@given(plans)
def test_what_is_excluded_is_all_that_is_missing(plan: Plan) -> None:
    tasks = [on_cpu(task) for task in expanded(plan).tasks]
    kept = set(listed(excluded(plan, tasks).tasks))
    assert kept == {job for job in listed(tuple(tasks)) if not is_excluded(plan, job)}


def test_an_exclusion_that_matches_nothing_is_noted() -> None:
    plan = Plan(
        Path("plan.toml"),
        Entry(),
        (Entry(("zoo:lenet",)),),
        (Entry(("ort",)),),
        (Entry((), {"model": ("resnet*",)}, {}, 9), Entry((), {"model": ("lenet",)}, {}, 12)),
    )
    found = excluded(plan, [on_cpu(task) for task in expanded(plan).tasks])
    assert found.tasks == ()
    assert found.notes == ("plan.toml, line 9: this [[exclude]] matches nothing",)


def test_exclusions_of_sizes_and_devices() -> None:
    plan = Plan(
        Path("p"),
        Entry(),
        (Entry(("zoo:lenet",), {}, {"n": (1, 2)}),),
        (Entry(("ort",)),),
        (Entry((), {"device": ("cpu",)}, {"n": (2,)}),),
    )
    found = excluded(plan, [on_cpu(task) for task in expanded(plan).tasks])
    assert [task.options.dims for task in found.tasks] == [(("n", 1),)]


def devices_of(backend: str, wanted: str, provider: str) -> list[Device]:
    if provider == "cuda":
        raise BackendError("no CUDA here", where=backend, remedy="Buy a GPU")
    found = [Device(f"cpu:{i}", "cpu", "X") for i in range(2)]
    return found if wanted == "all" else found[:1]


def test_a_device_that_is_not_there_is_refused_alone_and_all_is_one_task_each() -> None:
    plan = Plan(
        Path("p"),
        Entry(),
        (Entry(("zoo:lenet",), {"batch": (1, 2)}),),
        (Entry(("ort",), {"provider": ("cpu", "cuda"), "device": ("all",)}), Entry(("torch",))),
        (Entry((), {"provider": ("cuda",), "batch": (2,)}),),
    )
    found = survey(plan, devices_of)
    assert [(t.options.backend, t.device_id, t.options.device) for t in found.tasks] == [
        ("ort", "cpu:0", "cpu:0"),
        ("ort", "cpu:1", "cpu:1"),
        ("torch", "cpu:0", ""),
    ]
    ((task, error),) = found.refused
    assert task.options.batches == (1,)
    assert "no CUDA here" in str(error)


def of_version(options: Options) -> Setting:
    """A version with two devices, which takes no option but `quick`, and spells it in capitals."""
    if options.session_options == (("quick", "1"),):
        options = replace(options, session_options=(("QUICK", "1"),))
    elif options.session_options:
        raise BackendError("no such option", where=options.runtime)
    devices = tuple(Device(f"cpu:of-version-{i}", "cpu", "X") for i in range(2))
    return Setting(devices, (), options)


def of_versions(*given: tuple[tuple[str, str], ...]) -> list[Task]:
    options = Options(("zoo:lenet",), backend="ort", runtime="onnxruntime==1.22.1", threads=3)
    return [Task(replace(options, session_options=each)) for each in given]


def test_a_version_of_a_runtime_is_asked_for_its_devices_and_what_it_takes() -> None:
    asked: list[Options] = []

    def ask(options: Options) -> Setting:
        asked.append(options)
        return of_version(options)

    quick, slow = (("quick", "1"),), (("slow", "1"),)
    given = [*of_versions(quick, (), slow), *of_versions(quick, slow)]
    found = spread([replace(task, force=i > 2) for i, task in enumerate(given)], devices_of, ask)
    assert not found.unasked
    assert [str(error) for _, error in found.refused] == ["onnxruntime==1.22.1: no such option"] * 2
    assert {task.device_id for task in found.tasks} == {"cpu:of-version-0", "cpu:of-version-1"}
    settled = [task.options.session_options for task in found.tasks]
    assert settled == [(("QUICK", "1"),)] * 2 + [()] * 2 + [(("QUICK", "1"),)] * 2
    assert {task.options.threads for task in found.tasks} == {3}
    assert len(asked) == 3  # what was answered is not asked again


def test_a_version_that_cannot_be_asked_keeps_its_options_and_is_named() -> None:
    (task,) = of_versions((("anything", "1"),))
    found = spread([task], devices_of)
    assert list(found.unasked) == ["onnxruntime==1.22.1"]
    assert [made.options for made in found.tasks] == [task.options]
    assert found.tasks[0].device_id == "cpu:0"


def test_it_may_have_a_device_that_the_installed_version_lacks() -> None:
    task = of_versions(())[0].asking(provider="cuda")
    found = spread([task], devices_of)
    assert found.tasks == [task]

    def of_a_fleet(*_: str) -> list[Device]:
        raise FleetError("no machine has it")

    found = spread([task], of_a_fleet)
    assert [str(error) for _, error in found.refused] == ["no machine has it"]


def test_more_combinations_than_anybody_measures_are_refused_before_they_are_made(
    tmp_path: Path,
) -> None:
    sizes = list(range(100))
    dims = "".join(f"dim.{axis} = {sizes}\n" for axis in ("past", "new", "width"))
    path = tmp_path / "plan.toml"
    path.write_text(f"[[models]]\nname = 'zoo:lenet'\n{dims}")
    with pytest.raises(UsageError, match=r"line 1: 1,000,000 combinations of sizes \(100 of past"):
        expanded(read_plan(path))
