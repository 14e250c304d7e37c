"""What may stand behind `--dim`: sizes, sizes in turn, ties to other axes, a model's name."""

from __future__ import annotations

import pytest

from onnxprof.errors import UsageError
from onnxprof.model.dims.choosing import apart, for_models, left_out, names_of
from onnxprof.model.dims.grammar import (
    alternatives,
    combinations,
    count,
    fixed,
    is_swept,
    marked,
    names_in,
    of_values,
    parse,
    resolved,
    single,
)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ("a=1", 1),
        ("a=0", 0),
        ("b=c=2", 2),
        ("a= 16 ", 16),
        ("a=1,16, 128", "1,16,128"),
        ("a=1,1", 1),
        ("total=past + new", "past+new"),
        ("total=2*past+1", "2*past+1"),
        ("total=past+1,past+16", "past+1,past+16"),
        ("total=max(past, new),4", "max(past,new),4"),
        ("m:a=3", 3),
        ("data:0.axis2=3", 3),
    ],
)
def test_a_size_is_a_number_several_or_a_tie(item: str, size: int | str) -> None:
    assert parse([item]) == {item.rpartition("=")[0]: size}


@pytest.mark.parametrize(
    "item",
    [
        *("a", "a=", "=3", "a=-1", "a=1.5", "a=1,,2", "a=,", "a=12x", "a=b+", "a=(b", "a=2+2"),
        *("a=b c", "a=" + "9" * 30, "a=1;2", "a=" + "b+" * 200 + "b"),
    ],
)
def test_what_is_no_size_is_refused_with_the_form(item: str) -> None:
    with pytest.raises(UsageError, match="--dim") as caught:
        parse([item])
    assert "--dim" in caught.value.remedy


def test_an_axis_given_twice_is_refused_with_the_sweep_that_may_be_meant() -> None:
    assert parse(["a=1", "a=1"]) == {"a": 1}
    with pytest.raises(UsageError, match="two sizes") as caught:
        parse(["a=1", "a=2"])
    assert caught.value.remedy == "Write --dim a=1,2 to measure both"


def test_combinations_are_the_product_in_order() -> None:
    dims = (("a", "1,2"), ("b", 5), ("c", "a+b,7"))
    assert count(dims) == 4
    assert combinations(dims) == [
        (("a", 1), ("b", 5), ("c", "a+b")),
        (("a", 1), ("b", 5), ("c", 7)),
        (("a", 2), ("b", 5), ("c", "a+b")),
        (("a", 2), ("b", 5), ("c", 7)),
    ]
    assert alternatives("max(a,b),4") == ("max(a,b)", 4)
    assert is_swept("1,2")
    assert not is_swept("max(a,b)")


def test_a_tie_is_resolved_as_soon_as_its_axes_have_sizes() -> None:
    dims = (("total", "past+new"), ("twice", "2*total"), ("past", 0), ("new", 16))
    assert dict(resolved(dims)) == {"total": 16, "twice": 32, "past": 0, "new": 16}
    assert dict(resolved((("total", "past+new"), ("past", 1)))) == {"total": "past+new", "past": 1}


def test_a_tie_that_gives_no_size_names_what_gave_it() -> None:
    with pytest.raises(UsageError, match=r"past=0: --dim rest=past-1 would be -1"):
        resolved((("rest", "past-1"), ("past", 0)))
    with pytest.raises(UsageError, match=r"would be 3/2"):
        resolved((("half", "past/2"), ("past", 3)))


def test_names_that_are_no_words_stand_in_braces() -> None:
    dims = parse(["my past=3", "größe=4", "a=b=1,2", "total={my past} + größe + {a=b}, 8"])
    assert dims["a=b"] == "1,2"
    assert dims["total"] == "{my past}+größe+{a=b},8"
    assert alternatives("{p,q}+1,8") == ("{p,q}+1", 8)
    assert names_in("{my past}+größe") == ("my past", "größe")
    assert dict(resolved((("total", "2*{my past}+new"), ("my past", 3), ("new", 1))))["total"] == 7
    with pytest.raises(UsageError, match=r"no sum of axes\..*stands in braces"):
        parse(["total=my past+1"])


def test_a_name_with_a_hyphen_is_known_with_the_model() -> None:
    axes = {"past-length", "past-length-2", "new", "batch"}
    assert marked("past-length+new", axes) == "{past-length}+new"
    assert marked("past-length-2+past-length", axes) == "{past-length-2}+{past-length}"
    assert marked("{past-length}+new-batch", axes) == "{past-length}+new-batch"
    assert marked("past-length+1", {"past", "length", "past-length"}) == "past-length+1"
    assert marked("past+1", {"new"}) == "past+1"


def test_more_combinations_than_anybody_measures_are_refused_before_they_are_made() -> None:
    many = ",".join(map(str, range(1000)))
    with pytest.raises(UsageError, match=r"1,000,000,000 combinations of sizes \(1,000 of a x"):
        combinations((("a", many), ("b", many), ("c", many), ("d", 1)))
    with pytest.raises(UsageError, match="combinations"):
        of_values(range(10**6), "a")


def test_a_circle_is_refused() -> None:
    with pytest.raises(UsageError, match="tied to itself"):
        resolved((("a", "b+1"), ("b", "a+1")))
    with pytest.raises(UsageError, match="tied to itself"):
        resolved((("a", "a+1"),))


def test_one_size_where_one_is_wanted() -> None:
    assert fixed((("a", 1), ("b", "a+1"))) == {"a": 1, "b": 2}
    with pytest.raises(UsageError, match="--dim a=1,2 is several sizes"):
        single((("a", "1,2"),))
    with pytest.raises(UsageError, match="no size is given for c"):
        fixed((("a", 1), ("b", "a+c")))


def test_values_of_python_and_plans() -> None:
    assert of_values([1, 16], "") == "1,16"
    assert of_values(["past + new"], "") == "past+new"
    with pytest.raises(UsageError, match="here"):
        of_values(["past +"], "here")


MODELS = [names_of("dir/a.onnx", "a"), names_of("zoo:bert", "bert")]


def test_a_model_is_named_by_its_reference_its_file_or_its_name() -> None:
    assert apart("a:seq", MODELS) == ("a", "seq")
    assert apart("a.onnx:seq", MODELS) == ("a.onnx", "seq")
    assert apart("dir/a.onnx:x:0.axis1", MODELS) == ("dir/a.onnx", "x:0.axis1")
    assert apart("zoo:bert:seq", MODELS) == ("zoo:bert", "seq")
    assert apart("bert:seq", MODELS) == ("bert", "seq")
    assert apart("other:seq", MODELS) == ("", "other:seq")
    assert apart("a:", MODELS) == ("", "a:")


def test_a_size_for_one_model_goes_before_one_for_all() -> None:
    axes = [frozenset({"seq", "width"}), frozenset({"seq"})]
    dims = (("seq", "1,2"), ("bert:seq", 8), ("width", 3))
    first, second = for_models(dims, MODELS, axes)
    assert first == (("seq", "1,2"), ("width", 3))
    assert second == (("seq", 8),)
    assert list(left_out(dims, MODELS, [first, second])) == [(1, "width")]


def test_an_axis_of_no_model_goes_to_all_and_one_with_a_colon_is_a_name() -> None:
    axes = [frozenset({"a:seq"}), frozenset({"seq"})]
    assert for_models((("a:seq", 3),), MODELS, axes) == [(("a:seq", 3),), ()]
    assert for_models((("nobody", 3),), MODELS, axes) == [(("nobody", 3),)] * 2
    assert for_models((("nobody", 3),), MODELS, [None, axes[1]]) == [(("nobody", 3),)] * 2
